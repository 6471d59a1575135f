import assert from 'node:assert/strict'
import type { Batch } from '../../../src/decode/columns.ts'
import type { Ack, Sink } from '../../../src/sinks/sink.ts'
import { withoutRows } from '../../../src/workers/without-rows.ts'
import { contractBatch } from '../../support/sink-batches.ts'
import { inOrder, places, range } from './ground.ts'
import type { ContractCase, Ground } from './ground.ts'
import type { Capable } from './store-under-test.ts'

const end = 20
const noSignal = new AbortController().signal

const poisoned: { name: string; bad: number[] }[] = [
  { name: 'first', bad: [0] },
  { name: 'in the middle', bad: [9] },
  { name: 'last', bad: [end - 1] },
  { name: 'at two places', bad: [3, 15] },
  { name: 'next to each other', bad: [7, 8] },
  { name: 'everywhere', bad: range(0, end) },
]

/** Rows that the store refuses are named, each and no other, and the rest is stored. */
export const poisonCases: readonly ContractCase<Capable<'refuseRows'>>[] = [
  ...poisoned.map(({ name, bad }): ContractCase<Capable<'refuseRows'>> => ({
    name: `poison ${name} in a batch is named, and the rest is stored`,
    run: async (ground) => {
      const { sink, epoch } = await refusing(ground, bad)
      const { named, ack } = await writeRest(sink, contractBatch({ epoch, base: 0, next: end }))
      assert.deepEqual(named, bad)
      assert.deepEqual(ack, { kind: 'durable', next: end, rows: end - bad.length })
      assert.equal((await ground.claim(sink)).position, end)
      const good = range(0, end).filter((offset) => !bad.includes(offset))
      assert.deepEqual(await ground.rows(), places(good))
    },
  })),
  {
    name: 'poison in a batch whose head is stored already is named by its place in the whole batch',
    run: async (ground) => {
      const { sink, epoch } = await refusing(ground, [11, 17])
      await ground.write(sink, { epoch, base: 0, next: 8 })
      const { named, ack } = await writeRest(sink, contractBatch({ epoch, base: 4, next: end }))
      assert.deepEqual(named, [11, 17])
      assert.deepEqual(ack, { kind: 'durable', next: end, rows: 10 })
      assert.deepEqual(await ground.rows(), places(range(0, end).filter((offset) => offset !== 11 && offset !== 17)))
    },
  },
  {
    name: 'a poisoned batch keeps its neighbours in a load from nothing, and writes nothing itself',
    run: async (ground) => {
      const { sink, epoch } = await refusing(ground, [2])
      const [one, two] = await sink.claim(
        [1, 2].map((at) => ({ route: 'r', topic: 't', partition: at, topicId: 'id-1' })),
      )
      const load = [
        contractBatch({ epoch: one!.epoch, partition: 1, base: 0, next: 2 }),
        contractBatch({ epoch, base: 0, next: 4 }),
        contractBatch({ epoch: two!.epoch, partition: 2, base: 5, next: 7 }),
      ]
      // As the core does it: who has an answer is not asked again.
      let open = load
      const acks = new Map<number, Ack>()
      for (let round = 0; open.length > 0 && round < 5; round++) {
        const answers = await sink.write(open, noSignal)
        open = open.flatMap((batch, index) => {
          const ack = answers[index]!
          acks.set(batch.partition, ack)
          if (ack.kind !== 'poison') return []
          assert.deepEqual([batch.partition, ack.rows.map(({ row }) => row)], [0, [2]])
          return [withoutRows(batch, [2])]
        })
      }
      assert.deepEqual(
        [1, 0, 2].map((at) => acks.get(at)),
        [
          { kind: 'durable', next: 2, rows: 2 },
          { kind: 'durable', next: 4, rows: 3 },
          { kind: 'durable', next: 7, rows: 2 },
        ],
      )
      assert.deepEqual(await ground.rows(), inOrder(['0/0', '0/1', '0/3', '1/0', '1/1', '2/5', '2/6']))
    },
  },
  {
    name: 'nothing of a poisoned batch is stored, and its position stays',
    run: async (ground) => {
      const { sink, epoch } = await refusing(ground, [5])
      const [ack] = await ground.write(sink, { epoch, base: 0, next: end })
      assert.ok(ack?.kind === 'poison')
      assert.ok(ack.rows[0]!.reason.length > 0)
      assert.equal((await ground.claim(sink)).position, null)
      await ground.holdsJust(0)
    },
  },
]

async function refusing(ground: Ground<Capable<'refuseRows'>>, bad: readonly number[]) {
  await ground.store.refuseRows(bad)
  const sink = await ground.open()
  const { epoch } = await ground.claim(sink)
  return { sink, epoch }
}

/** Takes out what the sink names, and writes what is left: it may name all at once or some at a time. */
async function writeRest(sink: Sink, batch: Batch): Promise<{ ack: Ack; named: number[] }> {
  const named: number[] = []
  for (let left = batch; ;) {
    const [ack] = await sink.write([left], noSignal)
    if (ack?.kind !== 'poison') return { ack: ack!, named: named.toSorted((a, b) => a - b) }
    assert.ok(ack.rows.length > 0 && named.length < batch.rowCount, 'no end of poison')
    named.push(...ack.rows.map(({ row }) => left.offsets[row]!))
    left = withoutRows(
      left,
      ack.rows.map(({ row }) => row),
    )
  }
}
