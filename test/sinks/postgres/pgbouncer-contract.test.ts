import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { startPgBouncer, systemPgBouncer } from '../../support/pgbouncer.ts'
import type { PgBouncer } from '../../support/pgbouncer.ts'
import { startPostgres } from '../../support/postgres-server.ts'
import type { PostgresServer } from '../../support/postgres-server.ts'
import { describeSinkContract } from '../sink-contract.ts'
import { createPostgresStore, postgresAble } from './postgres-store.ts'

const program = systemPgBouncer()

if (program === undefined) {
  test('this system has no PgBouncer: the contract is held without one between', () => {
    assert.equal(systemPgBouncer(), undefined)
  })
} else {
  let server: PostgresServer
  let pooler: PgBouncer
  before(async () => {
    server = await startPostgres()
    pooler = await startPgBouncer(program, server)
  })
  after(async () => {
    await pooler.stop()
    await server.stop()
  })

  describeSinkContract('PostgresSink through PgBouncer', postgresAble, () => createPostgresStore(server, pooler.port))
}
