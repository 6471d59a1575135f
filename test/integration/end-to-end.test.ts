import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { queryDuckDb } from '../../src/sinks/duckdb/duckdb-query.ts'
import { Daemon } from '../support/daemon.ts'
import { sharedKafkaBroker, uniqueName } from '../support/kafka-broker.ts'
import type { SharedKafkaBroker } from '../support/kafka-broker.ts'
import { readingsConfig } from '../support/readings-config.ts'
import { writeReadings } from '../support/readings.ts'
import type { Written } from '../support/readings.ts'
import { headerText, readTopic } from '../support/topic-records.ts'

const partitions = 8
const records = Number(process.env['MILLRACE_TEST_RECORDS'] ?? 100_000)
const kills = 5

let broker: SharedKafkaBroker
let folder: string
const topic = uniqueName('readings')
let written: Written

before(async () => {
  broker = await sharedKafkaBroker()
  folder = mkdtempSync(join(tmpdir(), 'millrace-end-to-end-'))
  await broker.createTopic(topic, partitions)
  written = await writeReadings(broker.bootstrap, topic, partitions, records)
})
after(async () => {
  await Daemon.endAll()
  rmSync(folder, { recursive: true, force: true })
  await broker.stop()
})

/** A daemon's configuration of its own: group, file and dead-letter topic. */
async function setUp(name: string, over: object = {}) {
  const group = uniqueName(name)
  const dead = `${group}.dead`
  await broker.createTopic(dead, 1)
  const database = join(folder, `${name}.duckdb`)
  const config = readingsConfig(
    {
      bootstrap: broker.bootstrap,
      group,
      topic,
      deadLetterTopic: dead,
      sink: { type: 'duckdb', path: database },
      properties: { 'session.timeout.ms': 2000 },
    },
    { batch: { maxRecords: 2000 }, ...over },
  )
  return { group, dead, database, config, file: join(folder, `${name}.json`) }
}

/** Every good record is a row once, with its own values; every broken one is a dead letter; nothing else is there. */
async function assertExact(
  set: { group: string; dead: string; database: string },
  deadLettersOnce: boolean,
): Promise<void> {
  const [counted] = await queryDuckDb(
    set.database,
    `select count(*) as rows,
            count(distinct (_partition, _offset)) as places,
            count(*) filter (sequence <> _offset * ${partitions} + _partition) as strangers
     from readings`,
  )
  const good = BigInt(records - written.broken.size)
  assert.deepEqual(counted, { rows: good, places: good, strangers: 0n })

  const letters = await readTopic(broker.bootstrap, set.dead, await broker.endOffsets(set.dead))
  const places = letters.map((letter) => {
    return `${headerText(letter, '__connect.errors.partition')}/${headerText(letter, '__connect.errors.offset')}`
  })
  assert.deepEqual(new Set(places), written.broken)
  if (deadLettersOnce) assert.equal(letters.length, written.broken.size)

  const ends = Array.from({ length: partitions }, (_, partition) => Math.ceil((records - partition) / partitions))
  assert.deepEqual(await broker.endOffsets(topic), ends)
  assert.deepEqual(await broker.committed(set.group, topic), ends)
}

for (const reader of ['binding', 'native']) {
  describe(`a daemon with the ${reader} reader, from Kafka into DuckDB`, () => {
    test('every good record is a row once, every broken one a dead letter, all is committed', async () => {
      const set = await setUp(`plain-${reader}`, { reader })
      const daemon = await Daemon.start(set.file, set.config)
      await daemon.metricReaches('millrace_rows_written_total', records - written.broken.size)
      await daemon.metricReaches('millrace_dead_letters_total', written.broken.size)
      assert.equal(await daemon.stop(), 0, daemon.output)
      await assertExact(set, true)
    })

    test(`and so it is after kill -9 at ${kills} moments`, async () => {
      const set = await setUp(`killed-${reader}`, { reader })
      for (let kill = 1; kill <= kills; kill++) {
        const daemon = await Daemon.start(set.file, set.config)
        // Each life is cut short while loads are in flight, a few thousand rows further on.
        await daemon.metricReaches('millrace_rows_written_total', (records / (kills + 1)) * 0.5)
        await daemon.kill()
      }
      const daemon = await Daemon.start(set.file, set.config)
      await daemon.metricReaches('millrace_committed_offset', records)
      assert.equal(await daemon.stop(), 0, daemon.output)
      await assertExact(set, false)
    })
  })
}
