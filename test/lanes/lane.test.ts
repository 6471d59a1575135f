import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Books } from '../../src/lanes/books.ts'
import { Lane } from '../../src/lanes/lane.ts'
import type { LaneSlab, SplitSlab } from '../../src/lanes/lane.ts'

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

  test('a drain of a lane that stands still is done when its load comes back unwritten', async () => {
    const { lane, books } = flowingLane()
    lane.push(slab(0, 1), 0)
    const { slabs } = lane.take(1, 1)
    const drained = lane.drain('revoke', 1, 1)
    lane.stop(new Error('no'))
    lane.putBack(slabs, [])
    await drained
    assert.equal(books.givenUp, 1)
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

  test('a part takes what fits exactly, by bytes and by records', () => {
    const { lane } = flowingLane()
    for (let at = 0; at < 60; at += 10) lane.push(slab(at, at + 10), 0)
    const byBytes = lane.take(200, 1000)
    assert.deepEqual([byBytes.records, byBytes.bytes, lane.bufferedBytes], [20, 200, 400])
    lane.settle(20, written(20))
    assert.equal(lane.take(1000, 30).records, 30)
  })

  test('a drain keeps as many whole slabs as make a load by bytes, and one however large', () => {
    const { lane, books } = flowingLane()
    for (let at = 0; at < 50; at += 10) lane.push(slab(at, at + 10), 0)
    void lane.drain('revoke', 200, 1000)
    assert.deepEqual([lane.bufferedBytes, lane.bufferedRecords, books.givenUp], [200, 20, 30])
    void lane.drain('revoke', 1, 1)
    assert.deepEqual([lane.bufferedBytes, lane.bufferedRecords], [100, 10])
  })

  test('whatever fates the records of a load had, what has none is given up', () => {
    const { lane, books } = flowingLane()
    lane.push(slab(0, 20), 0)
    lane.take(1000, 1000)
    lane.settle(15, { rows: 1, deduplicated: 2, deadLettered: 4, skipped: 8 })
    const fates = { written: 1, deduplicated: 2, deadLettered: 4, skipped: 8, givenUp: 5 }
    assert.deepEqual({ ...books }, { ...new Books(), read: 20, ...fates })
  })

  test('a part that comes back to a lane that was closed or stands still is given up', () => {
    for (const act of ['close', 'stop'] as const) {
      const { lane, books } = flowingLane()
      lane.push(slab(0, 10), 0)
      const part = lane.take(1000, 1000)
      lane[act](new Error('no'))
      lane.putBack(part.slabs, [])
      assert.deepEqual([lane.bufferedRecords, lane.ready, books.givenUp, books.inFlight], [0, false, 10, 0])
    }
  })

  test('dead letters of a part that is lost are forgotten with it: they are stored again', () => {
    const { lane } = flowingLane()
    lane.push(slab(0, 10), 0)
    lane.putBack(lane.take(1000, 1000).slabs, [4])
    lane.take(1000, 1000)
    lane.abandon()
    lane.reclaim()
    lane.start(2, 0)
    lane.push(slab(0, 10), 0)
    assert.deepEqual(lane.take(1000, 1000).deadLettered, [])
  })

  test('what was closed or stands still is not claimed anew', () => {
    const { lane } = flowingLane()
    lane.stop(new Error('no'))
    lane.reclaim()
    assert.equal(lane.waiting, 'operator')
    lane.close()
    lane.reclaim()
    assert.equal(lane.waiting, 'closed')
  })

  test('while a record is suspect, the first slab is cut to what a load may hold of it', () => {
    // A slab has a prefix of 4 bytes, which a cut doubles.
    const prefixed = (first: number, next: number): LaneSlab => ({
      ...slab(first, next),
      buffer: new ArrayBuffer(4 + (next - first) * 10),
    })
    const split: SplitSlab = ({ first, next }, records) => [
      prefixed(first, first + records),
      prefixed(first + records, next),
    ]
    const { lane } = flowingLane()
    lane.push(prefixed(0, 32), 3)
    lane.take(1000, 1000)
    lane.suspectLoad(true, 'WORKER_KILLED')
    lane.abandon()
    lane.reclaim()
    lane.start(2, 0)
    for (const at of [0, 2]) lane.push(prefixed(at, at === 0 ? 2 : 32), 5)
    lane.cutHead(() => assert.fail('two records are a sixteenth'))
    lane.settle(lane.take(1000, 1000).next, written(2))
    lane.cutHead(split)
    assert.equal(lane.bufferedBytes, 4 + 20 + 4 + 280)
    const { records, bytes, arrivedAt } = lane.take(1000, 1000)
    assert.deepEqual([records, bytes, arrivedAt], [2, 24, 5])
    assert.deepEqual([lane.bufferedRecords, lane.bufferedBytes], [28, 284])
  })

  test('it tells since when it waits for what it waits for, and when it last made a step', () => {
    const { lane } = flowingLane(0)
    const began = lane.changedAt
    assert.equal(lane.progressedAt, began)
    const [first, second] = [began + 1e9, began + 2e9]
    lane.push(slab(0, 10), first)
    assert.deepEqual([lane.changedAt, lane.progressedAt], [first, first])
    lane.push(slab(10, 20), second)
    assert.deepEqual([lane.changedAt, lane.progressedAt], [first, second], 'it has waited since the first')
    const { slabs } = lane.take(100, 100)
    const left = lane.changedAt
    assert(left < first && left >= began)
    lane.putBack(slabs, [])
    assert.equal(lane.progressedAt, second, 'a load that comes back is no step')
    lane.settle(lane.take(1000, 100).next, written(20))
    const settled = lane.progressedAt
    assert(settled < second && settled === lane.changedAt)
    lane.push(slab(20, 21), second)
    lane.settle(lane.take(1000, 100).next, written(1))
    const again = lane.progressedAt
    lane.skipTo(21)
    assert.equal(lane.progressedAt, again, 'where it is already')
    lane.skipTo(22)
    assert(lane.progressedAt >= again)
    assert.equal(lane.watermark, 22)
  })
})
