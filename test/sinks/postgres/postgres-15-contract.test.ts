import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { systemPostgres } from '../../support/postgres-installation.ts'
import { startPostgres } from '../../support/postgres-server.ts'
import type { PostgresServer } from '../../support/postgres-server.ts'
import { describeGoldenRows } from '../golden-contract.ts'
import { describeSinkContract } from '../sink-contract.ts'
import { createPostgresStore, createReadablePostgres, goldenNotInPostgres, postgresAble } from './postgres-store.ts'

// An older server than npm's, where the system has one.
const installation = systemPostgres(15)

if (installation === undefined) {
  test('this system has no PostgreSQL 15: the contract is held by the one from npm alone', () => {
    assert.equal(systemPostgres(15), undefined)
  })
} else {
  let server: PostgresServer
  before(async () => {
    server = await startPostgres({ installation })
  })
  after(() => server.stop())

  test(`the PostgreSQL of ${installation.binaries} is a 15`, async () => {
    const [row] = await server.query<{ version: string }>(`select current_setting('server_version') as version`)
    assert.match(row!.version, /^15\./)
  })

  describeSinkContract('PostgresSink on PostgreSQL 15', postgresAble, () => createPostgresStore(server))
  describeGoldenRows('PostgresSink on PostgreSQL 15', goldenNotInPostgres, () => createReadablePostgres(server))
}
