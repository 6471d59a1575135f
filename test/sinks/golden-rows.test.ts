import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { catalogSink } from '../support/catalog-sink.ts'
import { startPostgres } from '../support/postgres-server.ts'
import type { PostgresServer } from '../support/postgres-server.ts'
import { createReadableDuckDb } from './duckdb/duckdb-store.ts'
import { describeGoldenRows, writeGolden } from './golden-contract.ts'
import { goldenRows, refusedRows } from './golden-rows.ts'
import { createReadablePostgres, goldenNotInPostgres } from './postgres/postgres-store.ts'

let server: PostgresServer
before(async () => {
  server = await startPostgres()
})
after(() => server.stop())

describeGoldenRows('DuckDbSink', {}, createReadableDuckDb)
describeGoldenRows('PostgresSink', goldenNotInPostgres, () => createReadablePostgres(server))

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
