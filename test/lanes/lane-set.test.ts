import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Books } from '../../src/lanes/books.ts'
import { LaneSet } from '../../src/lanes/lane-set.ts'
import { Lane } from '../../src/lanes/lane.ts'

const laneOf = (partition: number) => new Lane('t', partition, 'r', new Books())

describe('LaneSet', () => {
  test('lanes come in the order in which they were last served', () => {
    const lanes = new LaneSet()
    const [first, second, third] = [laneOf(0), laneOf(1), laneOf(2)]
    for (const lane of [first, second, third]) lanes.add(lane)
    lanes.served(first)
    assert.deepEqual([...lanes], [second, third, first])
  })

  test('a former lane of a partition neither takes the place of the present one nor takes it away', () => {
    const lanes = new LaneSet()
    const [former, present, other] = [laneOf(0), laneOf(0), laneOf(1)]
    lanes.add(present)
    lanes.add(other)
    lanes.served(former)
    assert.deepEqual([...lanes], [present, other])
    lanes.delete(former)
    assert.deepEqual([lanes.get('t', 0), lanes.size], [present, 2])
  })

  test('its bytes are those that wait and those in flight', () => {
    const lanes = new LaneSet()
    const lane = laneOf(0)
    lanes.add(lane)
    lane.start(1, 0)
    for (const first of [0, 1])
      lane.push({ buffer: new ArrayBuffer(10 + first), records: 1, first, next: first + 1 }, 0)
    lane.take(1, 1)
    assert.equal(lanes.bufferedBytes, 21)
  })
})
