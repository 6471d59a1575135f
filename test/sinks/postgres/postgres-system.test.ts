import { after, before, describe } from 'node:test'
import { systemPostgres } from '../../support/postgres-installation.ts'
import { startPostgres } from '../../support/postgres-server.ts'
import type { PostgresServer } from '../../support/postgres-server.ts'
import { describeSinkContract } from '../sink-contract.ts'
import { createPostgresStore, postgresAble } from './postgres-store.ts'

// Older servers, where the system has one beside ours: Debian keeps each version in a folder of its own.
for (const version of [14, 15, 16, 17]) {
  const installation = systemPostgres(version)
  if (installation === undefined) continue
  describe(`PostgreSQL ${version} of the system`, () => {
    let server: PostgresServer
    before(async () => {
      server = await startPostgres({ installation })
    })
    after(() => server.stop())
    describeSinkContract(`PostgresSink ${version}`, postgresAble, () => createPostgresStore(server))
  })
}
