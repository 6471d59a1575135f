import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, test } from 'node:test'
import type { Sink, SinkPartition } from '../../src/sinks/sink.ts'
import { contractBatch, contractTable } from '../support/sink-batches.ts'
import type { BatchPlace } from '../support/sink-batches.ts'

/** One real, empty store, and what a test needs of it. */
export interface StoreUnderTest {
  /** A sink on the store, not open yet. Of those made in one test only one is open at a time, unless the store allows more. */
  sink(group: string): Promise<Sink>
  /** `partition/offset` of every row, in order; for each row, so a doubled one is there twice. No sink is open then. */
  rows(): Promise<string[]>
  /** Removes the store. */
  remove(): Promise<void>
}

const noSignal = new AbortController().signal
const inOrder = (rows: readonly string[]) => [...rows].sort()

/** Every `position` sink holds these, against its real store. A new sink adds one line that calls this. */
export function describeSinkContract(name: string, createStore: () => Promise<StoreUnderTest>): void {
  describe(`${name} keeps the contract of a sink with positions`, () => {
    let store: StoreUnderTest
    const opened: Sink[] = []

    beforeEach(async () => {
      store = await createStore()
    })
    afterEach(async () => {
      await closeAll()
      await store.remove()
    })

    async function open(group = 'g'): Promise<Sink> {
      const sink = await store.sink(group)
      opened.push(sink)
      await sink.open()
      await sink.evolve(contractTable)
      return sink
    }

    async function closeAll(): Promise<void> {
      for (const sink of opened.splice(0)) await sink.close()
    }

    /** The rows, as a reader sees them after the daemon is gone. */
    async function rows(): Promise<string[]> {
      await closeAll()
      return inOrder(await store.rows())
    }

    const partition = (over: Partial<SinkPartition> = {}): SinkPartition => ({
      route: 'r',
      topic: 't',
      partition: 0,
      topicId: 'id-1',
      ...over,
    })

    async function claim(sink: Sink, over: Partial<SinkPartition> = {}) {
      const [claimed] = await sink.claim([partition(over)])
      return claimed!
    }

    const write = async (sink: Sink, ...places: BatchPlace[]) => sink.write(places.map(contractBatch), noSignal)
    const offsets = (...all: number[]) => inOrder(all.map((offset) => `0/${offset}`))
    const range = (base: number, next: number) => Array.from({ length: next - base }, (_, index) => base + index)

    test('a partition that was never written has no position, then the one after its last batch', async () => {
      const sink = await open()
      const { epoch, position } = await claim(sink)
      assert.equal(position, null)
      assert.deepEqual(await write(sink, { epoch, base: 10, next: 14 }), [{ kind: 'durable', next: 14, rows: 4 }])
      assert.equal((await claim(sink)).position, 14)
      assert.deepEqual(await rows(), offsets(10, 11, 12, 13))
    })

    const redelivered: { name: string; again: [number, number]; ack: { next: number; rows: number } }[] = [
      { name: 'the same batch again', again: [0, 10], ack: { next: 10, rows: 0 } },
      { name: 'a batch that is contained', again: [3, 7], ack: { next: 10, rows: 0 } },
      { name: 'a batch that overlaps', again: [5, 15], ack: { next: 15, rows: 5 } },
      { name: 'a batch that reaches over both ends', again: [0, 15], ack: { next: 15, rows: 5 } },
      { name: 'a batch that follows', again: [10, 15], ack: { next: 15, rows: 5 } },
    ]
    for (const { name, again, ack } of redelivered) {
      test(`${name} doubles no row`, async () => {
        const sink = await open()
        const { epoch } = await claim(sink)
        await write(sink, { epoch, base: 0, next: 10 })
        const [base, next] = again
        assert.deepEqual(await write(sink, { epoch, base, next }), [{ kind: 'durable', ...ack }])
        assert.equal((await claim(sink)).position, ack.next)
        assert.deepEqual(await rows(), offsets(...range(0, ack.next)))
      })
    }

    test('a batch sent three times at once is stored once', async () => {
      const sink = await open()
      const { epoch } = await claim(sink)
      const acks = await Promise.all([0, 1, 2].map(() => write(sink, { epoch, base: 0, next: 4 })))
      assert.deepEqual(
        acks.flat().map((ack) => ack.kind === 'durable' && ack.rows),
        [4, 0, 0],
      )
      assert.deepEqual(await rows(), offsets(0, 1, 2, 3))
    })

    test('holes stay holes, and a head is trimmed by offset, not by count', async () => {
      const sink = await open()
      const { epoch } = await claim(sink)
      await write(sink, { epoch, base: 0, next: 20, offsets: [3, 9, 17] })
      assert.deepEqual(await write(sink, { epoch, base: 10, next: 40, offsets: [12, 17, 25, 38] }), [
        { kind: 'durable', next: 40, rows: 2 },
      ])
      assert.deepEqual(await rows(), offsets(3, 9, 17, 25, 38))
    })

    test('a batch without rows moves the position', async () => {
      const sink = await open()
      const { epoch } = await claim(sink)
      assert.deepEqual(await write(sink, { epoch, base: 0, next: 9, offsets: [] }), [
        { kind: 'durable', next: 9, rows: 0 },
      ])
      assert.equal((await claim(sink)).position, 9)
    })

    test('a gap is not written: the sink says where it stands', async () => {
      const sink = await open()
      const { epoch } = await claim(sink)
      await write(sink, { epoch, base: 0, next: 5 })
      assert.deepEqual(await write(sink, { epoch, base: 6, next: 9 }), [{ kind: 'resync', position: 5 }])
      assert.deepEqual(await rows(), offsets(...range(0, 5)))
    })

    test('a second claim fences the first for good, and sees what it wrote', async () => {
      const sink = await open()
      const first = await claim(sink)
      await write(sink, { epoch: first.epoch, base: 0, next: 5 })
      const second = await claim(sink)
      assert.ok(second.epoch > first.epoch)
      assert.equal(second.position, 5)
      assert.deepEqual(await write(sink, { epoch: first.epoch, base: 5, next: 9 }), [{ kind: 'fenced' }])
      assert.deepEqual(await write(sink, { epoch: second.epoch, base: 5, next: 7 }), [
        { kind: 'durable', next: 7, rows: 2 },
      ])
      assert.deepEqual(await write(sink, { epoch: first.epoch, base: 5, next: 9 }), [{ kind: 'fenced' }])
      assert.deepEqual(await rows(), offsets(...range(0, 7)))
    })

    test('two owners that claim in turn, cutting the log elsewhere each time, store every offset once', async () => {
      const sink = await open()
      let written = 0
      for (let round = 1; round <= 50; round++) {
        const { epoch, position } = await claim(sink)
        const base = Math.max(0, (position ?? 0) - (round % 3))
        const [ack] = await write(sink, { epoch, base, next: written + 1 + (round % 4) })
        assert.ok(ack?.kind === 'durable')
        written = ack.next
      }
      assert.deepEqual(await rows(), offsets(...range(0, written)))
    })

    test('what is refused of one batch keeps no other of the call from being written', async () => {
      const sink = await open()
      const zero = await claim(sink)
      const one = await claim(sink, { partition: 1 })
      const two = await claim(sink, { partition: 2 })
      await write(sink, { epoch: one.epoch, partition: 1, base: 0, next: 2 })
      const acks = await write(
        sink,
        { epoch: zero.epoch - 1, base: 0, next: 3 },
        { epoch: one.epoch, partition: 1, base: 5, next: 6 },
        { epoch: two.epoch, partition: 2, base: 0, next: 2 },
      )
      assert.deepEqual(acks, [
        { kind: 'fenced' },
        { kind: 'resync', position: 2 },
        { kind: 'durable', next: 2, rows: 2 },
      ])
      assert.deepEqual(await rows(), ['1/0', '1/1', '2/0', '2/1'])
    })

    test('a load of many partitions moves the position of each', async () => {
      const sink = await open()
      const partitions = range(0, 300)
      const asked = partitions.map((each) => partition({ partition: each }))
      const claimed = await sink.claim(asked)
      const places = claimed.map(({ epoch, partition: each }) => ({ epoch, partition: each, base: 0, next: each + 1 }))
      const acks = await write(sink, ...places.map((place) => ({ ...place, offsets: [place.partition] })))
      assert.deepEqual(
        acks,
        partitions.map((each) => ({ kind: 'durable', next: each + 1, rows: 1 })),
      )
      assert.deepEqual(
        (await sink.claim(asked)).map(({ position }) => position),
        partitions.map((each) => each + 1),
      )
      assert.deepEqual(await rows(), inOrder(partitions.map((each) => `${each}/${each}`)))
    })

    test('positions and rows are there after close and open, and the old epoch is not', async () => {
      const before = await open()
      const { epoch } = await claim(before)
      await write(before, { epoch, base: 0, next: 5 })
      await closeAll()
      const after = await open()
      const again = await claim(after)
      assert.equal(again.position, 5)
      assert.deepEqual(await write(after, { epoch, base: 5, next: 6 }), [{ kind: 'fenced' }])
      assert.deepEqual(await rows(), offsets(...range(0, 5)))
    })

    test('routes, topics and partitions have a position each', async () => {
      const sink = await open()
      const others: Partial<SinkPartition>[] = [{ route: 's' }, { topic: 'u' }, { partition: 1 }]
      const first = await claim(sink)
      await write(sink, { epoch: first.epoch, base: 0, next: 3 })
      for (const over of others) assert.equal((await claim(sink, over)).position, null, JSON.stringify(over))
      assert.equal((await claim(sink)).position, 3)
    })

    test('two groups are two readers, and both may write', async () => {
      const one = await open('one')
      await write(one, { epoch: (await claim(one)).epoch, base: 0, next: 2 })
      await closeAll()
      const other = await open('other')
      const claimed = await claim(other)
      assert.equal(claimed.position, null)
      await write(other, { epoch: claimed.epoch, base: 0, next: 2 })
      assert.deepEqual(await rows(), offsets(0, 0, 1, 1))
    })

    test('a topic made anew under its name starts anew, and fences the writer of the old one', async () => {
      const sink = await open()
      const old = await claim(sink)
      await write(sink, { epoch: old.epoch, base: 0, next: 9 })
      const made = await claim(sink, { topicId: 'id-2' })
      assert.equal(made.position, null)
      assert.deepEqual(await write(sink, { epoch: old.epoch, base: 9, next: 10 }), [{ kind: 'fenced' }])
      assert.deepEqual(await write(sink, { epoch: made.epoch, base: 0, next: 2 }), [
        { kind: 'durable', next: 2, rows: 2 },
      ])
      assert.equal((await claim(sink)).position, 9, 'the old one is where it was')
    })

    test('a write that is broken off leaves nothing behind', async () => {
      const sink = await open()
      const { epoch } = await claim(sink)
      const [ack] = await sink.write([contractBatch({ epoch, base: 0, next: 3 })], AbortSignal.abort())
      assert.equal(ack?.kind, 'retry')
      assert.equal((await claim(sink)).position, null)
      assert.deepEqual(await rows(), [])
    })
  })
}
