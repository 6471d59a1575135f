import { after, before } from 'node:test'
import { failPlaces } from '../../src/fail-points.ts'
import { describeCrashMatrix } from '../chaos/describe-crash-matrix.ts'
import { PostgresStore } from '../chaos/postgres-store.ts'
import { startPostgres } from '../support/postgres-server.ts'
import type { PostgresServer } from '../support/postgres-server.ts'

let postgres: PostgresServer
let cells = 0
before(async () => {
  postgres = await startPostgres()
})
after(() => postgres.stop())

/** PostgreSQL has no checkpoint of ours. */
const places = failPlaces.filter((place) => place !== 'in-checkpoint')
describeCrashMatrix('PostgreSQL', places, () => PostgresStore.open(postgres, `cell_${++cells}`))
