import assert from 'node:assert/strict'
import type { TableSchema } from '../../../src/decode/columns.ts'
import { SinkRefusedError } from '../../../src/errors.ts'
import { contractBatch, contractTable, fixed } from '../../support/sink-batches.ts'
import type { ContractCase } from './ground.ts'
import type { Capable } from './store-under-test.ts'

const widened: TableSchema = {
  ...contractTable,
  columns: [...contractTable.columns, { name: 'added', type: 'int64', nullable: true }],
}
const retyped: TableSchema = {
  ...contractTable,
  columns: contractTable.columns.map((each) => (each.name === 'word' ? { ...each, type: 'float64' } : each)),
}

/** Tables change by additions only. */
export const schemaCases: readonly ContractCase[] = [
  {
    name: 'a column that is added on the way is null in the rows before it',
    run: async (ground) => {
      const sink = await ground.open()
      const { epoch } = await ground.claim(sink)
      await ground.write(sink, { epoch, base: 0, next: 2 })
      await sink.evolve(widened)
      const batch = contractBatch({ epoch, base: 2, next: 4 })
      const [ack] = await sink.write(
        [{ ...batch, table: widened, columns: [...batch.columns, fixed(BigInt64Array.of(7n, -8n))] }],
        new AbortController().signal,
      )
      assert.deepEqual(ack, { kind: 'durable', next: 4, rows: 2 })
      await ground.closeAll()
      assert.deepEqual(await ground.store.texts('added'), [null, null, '7', '-8'])
      await ground.holdsJust(4)
    },
  },
  {
    name: 'a column of another type is refused with its name, and the table is what it was',
    run: async (ground) => {
      const sink = await ground.open()
      const { epoch } = await ground.claim(sink)
      await ground.write(sink, { epoch, base: 0, next: 2 })
      await assert.rejects(sink.evolve(retyped), (error: unknown) => {
        assert.ok(error instanceof SinkRefusedError, String(error))
        assert.match(error.message, /word/)
        return true
      })
      await sink.evolve(contractTable)
      assert.equal((await ground.write(sink, { epoch, base: 2, next: 3 }))[0]?.kind, 'durable')
      await ground.closeAll()
      assert.deepEqual(await ground.store.texts('word'), [null, 'word x 1', 'word xx 2'])
    },
  },
]

/** Asked of stores that can be given what breaks the sink's promise. */
export const guaranteeCases: readonly ContractCase<Capable<'unfit'>>[] = [
  {
    name: 'a store that cannot keep the promise is refused at open, in words',
    run: async (ground) => {
      const unfit = Object.entries(await ground.store.unfit())
      assert.ok(unfit.length > 0)
      for (const [name, sink] of unfit) {
        await assert.rejects(sink.open(), SinkRefusedError, `${name}: was not refused`)
        await sink.close()
      }
    },
  },
]
