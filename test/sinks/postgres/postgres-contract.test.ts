import { after, before } from 'node:test'
import { startPostgres } from '../../support/postgres-server.ts'
import type { PostgresServer } from '../../support/postgres-server.ts'
import { describeSinkContract } from '../sink-contract.ts'
import { createPostgresStore, postgresAble } from './postgres-store.ts'

let server: PostgresServer
before(async () => {
  server = await startPostgres()
})
after(() => server.stop())

describeSinkContract('PostgresSink', postgresAble, () => createPostgresStore(server))
