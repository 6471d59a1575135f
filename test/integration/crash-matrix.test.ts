import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { failPlaces } from '../../src/fail-points.ts'
import type { FailPlace } from '../../src/fail-points.ts'
import { cellOf, runCell, writeMatrixLog } from '../chaos/crash-matrix.ts'
import type { Cell, MatrixLog } from '../chaos/crash-matrix.ts'
import { DuckDbStore } from '../chaos/duckdb-store.ts'
import { PostgresStore } from '../chaos/postgres-store.ts'
import type { Store } from '../chaos/store.ts'
import { startPostgres } from '../support/postgres-server.ts'
import type { PostgresServer } from '../support/postgres-server.ts'
import { sharedKafkaBroker } from '../support/kafka-broker.ts'
import type { SharedKafkaBroker } from '../support/kafka-broker.ts'

/** The whole matrix takes longer than a file of the suite may: run it by itself, as docs/RELIABILITY.md tells. */
const whole = process.env['MILLRACE_TEST_CRASH_MATRIX'] === 'all'
/** Where an error leaves more open than a kill does: the process goes on with what it knows. */
const thrown: readonly FailPlace[] = [
  'after-write-before-sink-commit',
  'after-sink-commit-before-reply',
  'in-dead-letter-write',
]
const cells = failPlaces.flatMap((place): Cell[] => {
  const actions: Cell['action'][] = whole
    ? ['kill', 'throw', 'delay:1500']
    : thrown.includes(place)
      ? ['kill', 'throw']
      : ['kill']
  return actions.map((action) => cellOf(place, action))
})

let broker: SharedKafkaBroker
let folder: string
let log: MatrixLog
let postgres: PostgresServer
let cellCount = 0
before(async () => {
  broker = await sharedKafkaBroker()
  folder = mkdtempSync(join(tmpdir(), 'millrace-crash-'))
  log = await writeMatrixLog(broker)
  postgres = await startPostgres()
})
after(async () => {
  rmSync(folder, { recursive: true, force: true })
  await postgres.stop()
  await broker.stop()
})

interface MatrixStore {
  readonly name: string
  readonly places: readonly FailPlace[]
  readonly open: (folder: string) => Promise<Store>
}

/** PostgreSQL has no checkpoint of ours. */
const stores: readonly MatrixStore[] = [
  { name: 'DuckDB', places: failPlaces, open: async (own) => new DuckDbStore(own) },
  {
    name: 'PostgreSQL',
    places: failPlaces.filter((place) => place !== 'in-checkpoint'),
    open: async () => PostgresStore.open(postgres, `cell_${++cellCount}`),
  },
]

for (const { name, places, open } of stores) {
  describe(`every record has one fate in ${name}, whatever happens to the daemon`, { concurrency: 3 }, () => {
    for (const cell of cells.filter(({ place }) => places.includes(place))) {
      const { place, action } = cell
      test(`${place}: ${action}`, async () => {
        const own = join(folder, `${name}-${place}-${action.slice(0, 5)}`)
        mkdirSync(own)
        const store = await open(own)
        try {
          await runCell(log, cell, store, own)
        } finally {
          await store.stop()
        }
      })
    }
  })
}
