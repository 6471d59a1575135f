import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { queryDuckDb } from '../../src/sinks/duckdb/duckdb-query.ts'
import { Daemon } from '../support/daemon.ts'
import { sharedKafkaBroker, uniqueName } from '../support/kafka-broker.ts'
import type { SharedKafkaBroker } from '../support/kafka-broker.ts'
import { readingsConfig } from '../support/readings-config.ts'
import { writeReadings } from '../support/readings.ts'

const partitions = 2
let broker: SharedKafkaBroker
let folder: string

before(async () => {
  broker = await sharedKafkaBroker()
  folder = mkdtempSync(join(tmpdir(), 'millrace-snapshot-'))
})
after(async () => {
  await Daemon.endAll()
  rmSync(folder, { recursive: true, force: true })
  await broker.stop()
})

test('people look at the rows while the daemon runs, in a snapshot that any DuckDB opens', async () => {
  const topic = uniqueName('snapshot')
  const deadLetterTopic = `${topic}.dead`
  await broker.createTopic(topic, partitions)
  await broker.createTopic(deadLetterTopic, 1)
  const path = join(folder, 'readings.duckdb')
  const snapshotPath = join(folder, 'look.duckdb')
  const sink = { type: 'duckdb', path, snapshotPath, snapshotEveryMs: 100 }
  const group = uniqueName('snapshot')
  const config = readingsConfig({ bootstrap: broker.bootstrap, group, topic, deadLetterTopic, sink })
  const daemon = await Daemon.start(join(folder, 'config.json'), config)

  let good = 0
  for (const records of [1000, 3000]) {
    const { broken } = await writeReadings(broker.bootstrap, topic, partitions, records)
    good += records - broken.size
    await daemon.metricReaches('millrace_rows_written_total', good, 60_000)
    const deadline = performance.now() + 60_000
    let rows = -1
    while (rows < good && performance.now() < deadline) rows = await countRows(snapshotPath)
    assert.equal(rows, good)
  }

  await assert.rejects(queryDuckDb(path, 'select 1'), /lock/i)
  assert.equal(await daemon.stop(), 0)
  assert.deepEqual(await queryDuckDb(path, 'select count(*)::int as rows from readings'), [{ rows: good }])
})

/** -1 while there is no snapshot, or one from before the table was made. */
async function countRows(snapshotPath: string): Promise<number> {
  if (!existsSync(snapshotPath)) return -1
  const [found] = await queryDuckDb(
    snapshotPath,
    `select case when exists (select 1 from information_schema.tables where table_name = 'readings') then 1 end as there`,
  )
  if (found?.['there'] !== 1) return -1
  const [counted] = await queryDuckDb(snapshotPath, 'select count(*)::int as rows from readings')
  return counted!['rows'] as number
}
