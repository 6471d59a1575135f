import { after, before } from 'node:test'
import { startPostgres } from '../../support/postgres-server.ts'
import type { PostgresServer } from '../../support/postgres-server.ts'
import { createPostgresStore } from '../../support/postgres-store.ts'
import { describeSinkContract } from '../sink-contract.ts'

let server: PostgresServer
before(async () => {
  server = await startPostgres()
})
after(() => server.stop())

describeSinkContract('PostgresSink', () => createPostgresStore(server))
