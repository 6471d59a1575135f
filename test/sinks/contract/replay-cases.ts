import assert from 'node:assert/strict'
import { inOrder, partition, places, range } from './ground.ts'
import type { ContractCase } from './ground.ts'

const redelivered: { name: string; again: [number, number]; ack: { next: number; rows: number } }[] = [
  { name: 'the same batch again', again: [0, 10], ack: { next: 10, rows: 0 } },
  { name: 'a batch that is contained', again: [3, 7], ack: { next: 10, rows: 0 } },
  { name: 'a batch that overlaps', again: [5, 15], ack: { next: 15, rows: 5 } },
  { name: 'a batch that reaches over both ends', again: [0, 15], ack: { next: 15, rows: 5 } },
  { name: 'a batch that follows', again: [10, 15], ack: { next: 15, rows: 5 } },
]

/** What comes again, is cut elsewhere, or has holes is stored once. */
export const replayCases: readonly ContractCase[] = [
  {
    name: 'a partition that was never written has no position, then the one after its last batch',
    run: async (ground) => {
      const sink = await ground.open()
      const { epoch, position } = await ground.claim(sink)
      assert.equal(position, null)
      const acks = await ground.write(sink, { epoch, base: 10, next: 14 })
      assert.deepEqual(acks, [{ kind: 'durable', next: 14, rows: 4 }])
      assert.equal((await ground.claim(sink)).position, 14)
      assert.deepEqual(await ground.rows(), places([10, 11, 12, 13]))
    },
  },
  ...redelivered.map(
    ({ name, again: [base, next], ack }) =>
      ({
        name: `${name} doubles no row`,
        run: async (ground) => {
          const sink = await ground.open()
          const { epoch } = await ground.claim(sink)
          await ground.write(sink, { epoch, base: 0, next: 10 })
          assert.deepEqual(await ground.write(sink, { epoch, base, next }), [{ kind: 'durable', ...ack }])
          assert.equal((await ground.claim(sink)).position, ack.next)
          await ground.holdsJust(ack.next)
        },
      }) satisfies ContractCase,
  ),
  {
    name: 'a batch sent three times at once is stored once',
    run: async (ground) => {
      const sink = await ground.open()
      const others = [await ground.openSecond(sink), await ground.openSecond(sink)]
      const { epoch } = await ground.claim(sink)
      const acks = await Promise.all([sink, ...others].map((each) => ground.write(each, { epoch, base: 0, next: 4 })))
      const rows = acks.flat().map((ack) => (ack.kind === 'durable' ? ack.rows : 0))
      assert.deepEqual(rows.toSorted(), [0, 0, 4])
      await ground.holdsJust(4)
    },
  },
  {
    name: 'holes stay holes, and a head is trimmed by offset, not by count',
    run: async (ground) => {
      const sink = await ground.open()
      const { epoch } = await ground.claim(sink)
      await ground.write(sink, { epoch, base: 0, next: 20, offsets: [3, 9, 17] })
      const acks = await ground.write(sink, { epoch, base: 10, next: 40, offsets: [12, 17, 25, 38] })
      assert.deepEqual(acks, [{ kind: 'durable', next: 40, rows: 2 }])
      assert.deepEqual(await ground.rows(), places([3, 9, 17, 25, 38]))
    },
  },
  {
    name: 'a batch without rows moves the position',
    run: async (ground) => {
      const sink = await ground.open()
      const { epoch } = await ground.claim(sink)
      const acks = await ground.write(sink, { epoch, base: 0, next: 9, offsets: [] })
      assert.deepEqual(acks, [{ kind: 'durable', next: 9, rows: 0 }])
      assert.equal((await ground.claim(sink)).position, 9)
    },
  },
  {
    name: 'a range that begins in a hole follows the one that ended before it',
    run: async (ground) => {
      const sink = await ground.open()
      const { epoch } = await ground.claim(sink)
      // A transaction marker at 5: the position passed it with the first batch, and 6 is where the second begins.
      await ground.write(sink, { epoch, base: 0, next: 6, offsets: range(0, 5) })
      const acks = await ground.write(sink, { epoch, base: 6, next: 9 })
      assert.deepEqual(acks, [{ kind: 'durable', next: 9, rows: 3 }])
      assert.deepEqual(await ground.rows(), places([...range(0, 5), 6, 7, 8]))
    },
  },
  {
    name: 'a gap is not written: the sink says where it stands',
    run: async (ground) => {
      const sink = await ground.open()
      const { epoch } = await ground.claim(sink)
      await ground.write(sink, { epoch, base: 0, next: 5 })
      assert.deepEqual(await ground.write(sink, { epoch, base: 6, next: 9 }), [{ kind: 'resync', position: 5 }])
      assert.equal((await ground.claim(sink)).position, 5)
      await ground.holdsJust(5)
    },
  },
  {
    name: 'a load of many partitions moves the position of each',
    run: async (ground) => {
      const sink = await ground.open()
      const partitions = range(0, 300)
      const asked = partitions.map((each) => partition({ partition: each }))
      const claimed = await sink.claim(asked)
      const acks = await ground.write(
        sink,
        ...claimed.map(({ epoch, partition: each }) => ({
          ...{ epoch, partition: each, base: 0, next: each + 1 },
          offsets: [each],
        })),
      )
      assert.deepEqual(
        acks,
        partitions.map((each) => ({ kind: 'durable', next: each + 1, rows: 1 })),
      )
      assert.deepEqual(
        (await sink.claim(asked)).map(({ position }) => position),
        partitions.map((each) => each + 1),
      )
      assert.deepEqual(await ground.rows(), inOrder(partitions.map((each) => `${each}/${each}`)))
    },
  },
  {
    name: 'positions and rows are there after close and open, and the old epoch is not',
    run: async (ground) => {
      const before = await ground.open()
      const { epoch } = await ground.claim(before)
      await ground.write(before, { epoch, base: 0, next: 5 })
      await ground.closeAll()
      const after = await ground.open()
      const again = await ground.claim(after)
      assert.equal(again.position, 5)
      assert.deepEqual(await ground.write(after, { epoch, base: 5, next: 6 }), [{ kind: 'fenced' }])
      await ground.holdsJust(5)
    },
  },
  {
    name: 'a write that is broken off leaves nothing behind',
    run: async (ground) => {
      const sink = await ground.open()
      const { epoch } = await ground.claim(sink)
      const [ack] = await ground.writeUnder(AbortSignal.abort(), sink, { epoch, base: 0, next: 3 })
      assert.equal(ack?.kind, 'retry')
      assert.equal((await ground.claim(sink)).position, null)
      await ground.holdsJust(0)
    },
  },
]
