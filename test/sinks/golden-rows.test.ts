import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { catalogSink } from '../support/catalog-sink.ts'
import { startPostgres } from '../support/postgres-server.ts'
import type { PostgresServer } from '../support/postgres-server.ts'
import { createReadableDuckDb } from './duckdb/duckdb-store.ts'
import { describeGoldenRows, writeGolden } from './golden-contract.ts'
import { goldenRows, refusedRows } from './golden-rows.ts'
import { createReadablePostgres } from './postgres/postgres-store.ts'

let server: PostgresServer
before(async () => {
  server = await startPostgres()
})
after(() => server.stop())

describeGoldenRows('DuckDbSink', {}, createReadableDuckDb)
// PostgreSQL has no NUL in its texts, nor in those within jsonb, and no -0 among the numbers there.
const notInPostgres = {
  'text of a NUL': '22021',
  'text of a NUL within': '22021',
  'a text with a NUL among others': '22021',
  'a NUL, in a list': '22021',
  'a NUL within, in a list': '22021',
  'a map with -0': '22003',
  'a map with a NUL': '22P05',
  'a NUL, in a map': '22P05',
  'a NUL within, in a map': '22P05',
}
describeGoldenRows('PostgresSink', notInPostgres, () => createReadablePostgres(server))

test('the blackhole takes every golden value, and what is none is a dead letter before it', async () => {
  const { letters, result } = await writeGolden(catalogSink('blackhole', {}))
  assert.deepEqual(
    [...letters.keys()],
    refusedRows.map((_, index) => goldenRows.length + index),
  )
  const [outcome] = result.outcomes
  assert.ok(outcome?.kind === 'durable')
  assert.equal(outcome.counts.rows, goldenRows.length)
})

test('there are 200 of them at least, each with a name of its own', () => {
  assert.ok(goldenRows.length >= 200)
  const names = [...goldenRows, ...refusedRows].map(({ name }) => name)
  assert.equal(new Set(names).size, names.length)
})
