import assert from 'node:assert/strict'
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { DuckDBInstance } from '@duckdb/node-api'
import { queryDuckDb } from '../../src/sinks/duckdb/duckdb-query.ts'
import { Daemon } from '../support/daemon.ts'
import { sharedKafkaBroker, uniqueName } from '../support/kafka-broker.ts'
import type { SharedKafkaBroker } from '../support/kafka-broker.ts'
import { readingsConfig } from '../support/readings-config.ts'
import { writeReadings } from '../support/readings.ts'

let broker: SharedKafkaBroker
let folder: string

before(async () => {
  broker = await sharedKafkaBroker()
  folder = mkdtempSync(join(tmpdir(), 'millrace-gaps-'))
})
after(async () => {
  await Daemon.endAll()
  rmSync(folder, { recursive: true, force: true })
  await broker.stop()
})

/** A topic of one partition, a DuckDB file, and daemons that carry the one into the other. */
async function setUp() {
  const topic = uniqueName('readings')
  const group = uniqueName('group')
  const dead = uniqueName('dead')
  const path = join(folder, `${topic}.duckdb`)
  await broker.createTopic(topic, 1)
  await broker.createTopic(dead, 1)
  const sink = { type: 'duckdb', path }
  // A fetch that waits at the broker while its daemon is suspended is answered long before a new producer has connected;
  // else it takes the records along that the test is about to delete.
  const properties = { 'fetch.wait.max.ms': 5 }
  const config = readingsConfig({
    bootstrap: broker.bootstrap,
    group,
    topic,
    deadLetterTopic: dead,
    sink,
    properties,
  }) as { kafka: object }
  return {
    topic,
    path,
    start: (onGap: 'stop' | 'skip' | 'earliest', reader: 'native' | 'binding' = 'native') =>
      Daemon.start(join(folder, `${group}.json`), { ...config, reader, kafka: { ...config.kafka, onGap } }),
    write: (records: number) => writeReadings(broker.bootstrap, topic, 1, records),
    rows: () =>
      queryDuckDb(
        path,
        'select count(*)::integer as rows, count(distinct _offset)::integer as places, min(_offset)::integer as first, max(_offset)::integer as last from readings',
      ).then(([row]) => row),
  }
}

/** As if the log had lost its last records: what an unclean election does to a partition, seen from the sink. */
async function moveStoredPosition(path: string, next: number): Promise<void> {
  const instance = await DuckDBInstance.create(path)
  const connection = await instance.connect()
  await connection.run(`update millrace_position set next_offset = ${next}`)
  connection.closeSync()
  instance.closeSync()
}

/** Runs a daemon until all that is in the topic is written, and stops it. */
async function runUntilWritten(daemon: Daemon, end: number): Promise<void> {
  await daemon.metricReaches('millrace_committed_offset', end)
  assert.equal(await daemon.stop(), 0, daemon.output)
}

describe('when the log does not have the position', () => {
  test('retention passed it: the partition stops with the exact range, and goes on when the rule says skip', async () => {
    const { topic, start, write, rows } = await setUp()
    await write(100)
    await runUntilWritten(await start('stop'), 100)
    await write(100)
    await broker.deleteRecordsBelow(topic, 0, 150)

    const stopped = await start('stop')
    const { error } = await stopped.logged('partition stands still until an operator acts')
    const said = error as { code: string; message: string }
    assert.equal(said.code, 'LOG_GAP')
    assert.match(
      said.message,
      new RegExp(`^${topic}/0: records \\[100, 150\\) are gone .* \\[150, 200\\).* kafka\\.onGap`),
    )
    const ready = await fetch(new URL('/ready', await stopped.adminUrl()))
    assert.match(await ready.text(), /records \[100, 150\) are gone/)
    assert.equal(await stopped.stop(), 0, stopped.output)
    assert.deepEqual(await rows(), { rows: 100, places: 100, first: 0, last: 99 })

    const going = await start('skip')
    await going.metricReaches('millrace_gap_records_total', 50)
    await runUntilWritten(going, 200)
    assert.deepEqual(await rows(), { rows: 150, places: 150, first: 0, last: 199 })
  })

  for (const reader of ['native', 'binding'] as const) {
    test(`retention passes it while the ${reader} reader runs: found by the fetch, and decided by the same rule`, async () => {
      const { topic, start, write, rows } = await setUp()
      await write(100)
      const daemon = await start('skip', reader)
      await daemon.metricReaches('millrace_committed_offset', 100)
      daemon.signal('SIGSTOP')
      await write(100)
      await broker.deleteRecordsBelow(topic, 0, 150)
      daemon.signal('SIGCONT')
      await daemon.metricReaches('millrace_gap_records_total', 50)
      await runUntilWritten(daemon, 200)
      assert.deepEqual(await rows(), { rows: 150, places: 150, first: 0, last: 199 })
    })
  }

  test('the topic was made anew: it stops, and with the rule earliest the new one is read from its first record', async () => {
    const { topic, start, write, rows } = await setUp()
    await write(100)
    await runUntilWritten(await start('stop'), 100)
    await broker.deleteTopic(topic)
    await broker.createTopic(topic, 1)
    await write(40)

    for (const rule of ['stop', 'skip'] as const) {
      const stopped = await start(rule)
      const { error } = await stopped.logged('partition stands still until an operator acts')
      assert.match((error as Error).message, /made anew: position 100 .* \[0, 40\).*earliest/)
      assert.equal(await stopped.stop(), 0, stopped.output)
    }
    await runUntilWritten(await start('earliest'), 40)
    assert.deepEqual(await rows(), { rows: 140, places: 100, first: 0, last: 99 })
  })

  test('the topic is made anew while the daemon runs: it stops, and nothing of the new one is taken for the old', async () => {
    const { topic, start, write, rows } = await setUp()
    await write(100)
    const daemon = await start('stop')
    await daemon.metricReaches('millrace_committed_offset', 100)
    await broker.deleteTopic(topic)
    await broker.createTopic(topic, 1)
    await write(40)
    const { error } = await daemon.logged('partition stands still until an operator acts')
    assert.match((error as Error).message, /made anew: position 100/)
    assert.equal(await daemon.stop(), 0, daemon.output)
    assert.deepEqual(await rows(), { rows: 100, places: 100, first: 0, last: 99 })
  })

  test('the log ends below it: it stops under any rule, because the sink has what the log lost', async () => {
    const { path, start, write } = await setUp()
    await write(100)
    await runUntilWritten(await start('stop'), 100)
    await moveStoredPosition(path, 130)
    const daemon = await start('earliest')
    const { error } = await daemon.logged('partition stands still until an operator acts')
    assert.match((error as Error).message, /cut off: position 130 .*\[0, 100\).* rows of \[100, 130\)/)
    assert.equal(await daemon.stop(), 0, daemon.output)
  })

  test('a sink restored from an older backup is filled again from its position', async () => {
    const { path, start, write, rows } = await setUp()
    const backup = `${path}.backup`
    await write(100)
    await runUntilWritten(await start('stop'), 100)
    copyFileSync(path, backup)
    await write(100)
    await runUntilWritten(await start('stop'), 200)
    copyFileSync(backup, path)
    rmSync(`${path}.wal`, { force: true })
    const daemon = await start('stop')
    await daemon.metricReaches('millrace_rows_written_total', 100)
    await runUntilWritten(daemon, 200)
    assert.deepEqual(await rows(), { rows: 200, places: 200, first: 0, last: 199 })
  })
})
