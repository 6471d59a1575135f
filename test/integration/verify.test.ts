import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { DuckDBInstance } from '@duckdb/node-api'
import pg from 'pg'
import { Daemon, runCli } from '../support/daemon.ts'
import { sharedKafkaBroker, uniqueName } from '../support/kafka-broker.ts'
import type { SharedKafkaBroker } from '../support/kafka-broker.ts'
import { startPostgres } from '../support/postgres-server.ts'
import type { PostgresServer } from '../support/postgres-server.ts'
import { readingsConfig } from '../support/readings-config.ts'
import { writeReadings } from '../support/readings.ts'
import { produceTransaction } from '../kafka/native-reader-fixture.ts'

const partitions = 2
const records = 4000

let broker: SharedKafkaBroker
let folder: string
let postgres: PostgresServer
before(async () => {
  broker = await sharedKafkaBroker()
  folder = mkdtempSync(join(tmpdir(), 'millrace-verify-'))
  postgres = await startPostgres()
})
after(async () => {
  await Daemon.endAll()
  rmSync(folder, { recursive: true, force: true })
  await postgres.stop()
  await broker.stop()
})

/** A topic with rows, dead letters, and the holes of two transactions, written into a sink to its end. */
async function written(metadata: readonly string[], name: string, sink: object) {
  const topic = uniqueName('readings')
  const dead = uniqueName('dead')
  const file = join(folder, `${name}.json`)
  await broker.createTopic(topic, partitions)
  await broker.createTopic(dead, 1)
  const { broken } = await writeReadings(broker.bootstrap, topic, partitions, records)
  await produceTransaction(broker.bootstrap, topic, 0, 3, 'abort')
  await produceTransaction(broker.bootstrap, topic, 0, 2, 'commit')
  const config = readingsConfig({
    bootstrap: broker.bootstrap,
    group: uniqueName('group'),
    topic,
    deadLetterTopic: dead,
    sink,
  }) as { routes: object[] }
  const columns = metadata.length > 0 ? { columns: ['sequence', { from: '_offset', as: 'place' }] } : {}
  const routes = [{ ...config.routes[0], metadata, ...columns }]
  const daemon = await Daemon.start(file, { ...config, routes })
  // Three aborted records and the markers of both transactions are offsets that nobody can read.
  await daemon.metricReaches('millrace_committed_offset', records + 3 + 2 + 2)
  assert.equal(await daemon.stop(), 0, daemon.output)
  const good = records - broken.size
  return { topic, file, good, dead: broken.size + 2 }
}

async function changeDuckDb(database: string, sql: string): Promise<void> {
  const instance = await DuckDBInstance.create(database)
  const connection = await instance.connect()
  await connection.run(sql)
  connection.closeSync()
  instance.closeSync()
}

/** A sink of its own, and how to tamper with its rows. */
const stores = {
  DuckDB: async (name: string) => {
    const path = join(folder, `${name}.duckdb`)
    return { sink: { type: 'duckdb', path }, change: (sql: string) => changeDuckDb(path, sql) }
  },
  PostgreSQL: async (name: string) => {
    const url = await postgres.createDatabase(name)
    const change = async (sql: string) => {
      const client = new pg.Client(url)
      await client.connect()
      await client.query(sql)
      await client.end()
    }
    return { sink: { type: 'postgres', url }, change }
  },
}

for (const [storeName, open] of Object.entries(stores)) {
  describe(`millrace verify, on ${storeName}`, () => {
    test('proves a log that was written whole, and names the very offsets of rows that are missing or there twice', async () => {
      const { sink, change } = await open('places')
      const { topic, file, good, dead } = await written(['partition', 'offset'], `places-${storeName}`, sink)
      const whole = await runCli(['verify', '--config', file])
      assert.equal(whole.code, 0, whole.stdout + whole.stderr)
      assert.match(
        whole.stdout,
        new RegExp(`${good} rows, ${dead} dead letters, 0 skipped, 4 holes of the log; 1 offsets`),
      )
      assert.match(whole.stdout, /^0 lost, 0 doubled$/m)

      await change('delete from readings where _partition = 1 and place in (17, 18, 19, 25)')
      await change('insert into readings select * from readings where _partition = 0 and place = 7')
      const torn = await runCli(['verify', '--config', file])
      assert.equal(torn.code, 1, torn.stdout + torn.stderr)
      assert.match(torn.stdout, new RegExp(`^${topic}/1 lost: 17-19, 25$`, 'm'))
      assert.match(torn.stdout, new RegExp(`^${topic}/0 doubled: 7$`, 'm'))
      assert.match(torn.stdout, /^4 lost, 1 doubled$/m)

      const part = await runCli(['verify', '--config', file, '--topic', topic, '--from', '8', '--to', '17'])
      assert.equal(part.code, 0, part.stdout + part.stderr)
    })

    test('goes by positions and counts where rows do not tell their records, and says so', async () => {
      const { sink, change } = await open('counts')
      const { file } = await written([], `counts-${storeName}`, sink)
      const whole = await runCli(['verify', '--config', file])
      assert.equal(whole.code, 0, whole.stdout + whole.stderr)
      assert.match(whole.stdout, /by positions and counts/)

      await change('delete from readings where sequence in (10, 11)')
      const torn = await runCli(['verify', '--config', file])
      assert.equal(torn.code, 1, torn.stdout + torn.stderr)
      assert.match(torn.stdout, /^2 lost, 0 doubled$/m)
    })
  })
}
