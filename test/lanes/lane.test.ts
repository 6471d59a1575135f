import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Books } from '../../src/lanes/books.ts'
import { Lane } from '../../src/lanes/lane.ts'
import type { LaneSlab } from '../../src/lanes/lane.ts'

const slab = (first: number, next: number, records = next - first): LaneSlab => ({
  buffer: new ArrayBuffer(records * 10),
  records,
  first,
  next,
})

const written = (rows: number) => ({ rows, deduplicated: 0, deadLettered: 0, skipped: 0 })

function flowingLane(position: number | 'beginning' = 0): { lane: Lane; books: Books } {
  const books = new Books()
  const lane = new Lane('readings', 3, 'readings', books)
  lane.start(1, position === 'beginning' ? undefined : position)
  return { lane, books }
}

describe('Lane', () => {
  test('a part reaches from where the lane stood to what was delivered, holes included', () => {
    const { lane } = flowingLane(5)
    lane.push(slab(7, 10), 0)
    lane.push(slab(20, 25), 0)
    const part = lane.take(1000, 1000)
    assert.deepEqual([part.base, part.next, part.records], [5, 25, 8])
    lane.settle(part.next, written(8))
    assert.equal(lane.watermark, 25)
  })

  test('a lane that begins at the beginning of the log takes its base from the first record', () => {
    const { lane } = flowingLane('beginning')
    assert.equal(lane.watermark, undefined)
    lane.push(slab(40, 42), 0)
    assert.equal(lane.take(1000, 1000).base, 40)
  })

  test('a part takes whole slabs within the limits, and always one', () => {
    const { lane } = flowingLane()
    lane.push(slab(0, 10), 0)
    lane.push(slab(10, 20), 0)
    const part = lane.take(50, 1000)
    assert.equal(part.next, 10)
    assert.equal(lane.ready, false, 'one load in flight')
    lane.settle(10, written(10))
    assert.equal(lane.ready, true)
    assert.equal(lane.bufferedRecords, 10)
  })

  test('a part that comes back is the head of the lane again, with the dead letters it stored', () => {
    const { lane } = flowingLane()
    lane.push(slab(0, 10), 5)
    const part = lane.take(1000, 1000)
    lane.push(slab(10, 20), 6)
    lane.putBack(part.slabs, [4])
    const again = lane.take(100, 1000)
    assert.deepEqual([again.base, again.next, again.deadLettered, again.arrivedAt], [0, 10, [4], 5])
    lane.settle(10, written(10))
    assert.deepEqual(lane.take(100, 1000).deadLettered, [], 'forgotten once the position has passed them')
  })

  test('records that come out of order are refused, because they would be stored twice', () => {
    const { lane } = flowingLane(10)
    assert.throws(() => lane.push(slab(9, 12), 0), /readings\/3: 9 after 10/)
    lane.push(slab(10, 12), 0)
    assert.throws(() => lane.push(slab(11, 14), 0), /11 after 12/)
  })

  test('a drain keeps one load of the head, drops the rest, and resolves when the head is durable', async () => {
    const { lane, books } = flowingLane()
    for (let at = 0; at < 50; at += 10) lane.push(slab(at, at + 10), 0)
    const drained = lane.drain('revoke', 1000, 20)
    assert.equal(lane.bufferedRecords, 20)
    assert.equal(books.givenUp, 30)
    const part = lane.take(1000, 1000)
    lane.settle(part.next, written(20))
    await drained
    assert.equal(lane.watermark, 20)
    assert.ok(books.balanced)
  })

  test('a drain of an idle, a claiming or a stopped lane is done at once', async () => {
    await flowingLane().lane.drain('shutdown', 1, 1)
    await new Lane('readings', 0, 'readings', new Books()).drain('revoke', 1, 1)
    const { lane } = flowingLane()
    lane.push(slab(0, 1), 0)
    lane.stop(new Error('no'))
    await lane.drain('revoke', 1, 1)
  })

  test('a closed lane is inert: a load that ends late moves nothing, and the books still balance', () => {
    const { lane, books } = flowingLane()
    lane.push(slab(0, 10), 0)
    const part = lane.take(1000, 1000)
    lane.push(slab(10, 15), 0)
    lane.close()
    lane.settle(part.next, written(10))
    assert.equal(lane.watermark, 0)
    assert.deepEqual({ ...books }, { ...new Books(), read: 15, written: 10, givenUp: 5 })
    assert.ok(books.balanced)
  })

  test('a stopped lane says why and takes nothing more', () => {
    const { lane, books } = flowingLane()
    lane.push(slab(0, 10), 0)
    const reason = new Error('offset 3 is poison')
    lane.stop(reason)
    lane.push(slab(10, 20), 0)
    assert.deepEqual([lane.ready, lane.stopReason, lane.waiting], [false, reason, 'operator'])
    assert.equal(books.inFlight, 0)
  })

  test('control records above the last delivered one move the watermark only while nothing is on its way', () => {
    const { lane } = flowingLane(5)
    lane.push(slab(5, 7), 0)
    lane.skipTo(9)
    assert.equal(lane.watermark, 5)
    lane.settle(lane.take(100, 100).next, written(2))
    lane.skipTo(9)
    assert.equal(lane.watermark, 9)
    lane.skipTo(8)
    assert.equal(lane.watermark, 9)
    lane.push(slab(9, 10), 0)
    assert.equal(lane.take(100, 100).base, 7, 'the sink stands where it wrote last')
  })

  test('a lane claimed anew starts at the new position under the new epoch', () => {
    const { lane, books } = flowingLane()
    lane.push(slab(0, 10), 0)
    lane.take(1000, 1000)
    lane.push(slab(10, 20), 0)
    lane.abandon()
    lane.reclaim()
    assert.equal(lane.waiting, 'claim')
    lane.start(2, 4)
    lane.push(slab(4, 10), 0)
    assert.deepEqual([lane.epoch, lane.watermark, lane.take(1000, 1000).base], [2, 4, 4])
    assert.equal(books.givenUp, 20)
    assert.ok(books.balanced)
  })
})
