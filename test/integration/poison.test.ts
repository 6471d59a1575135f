import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { queryDuckDb } from '../../src/sinks/duckdb/duckdb-query.ts'
import { Daemon } from '../support/daemon.ts'
import { sharedKafkaBroker, uniqueName } from '../support/kafka-broker.ts'
import type { SharedKafkaBroker } from '../support/kafka-broker.ts'
import { badEvery, poisonKinds, writePoisoned } from '../support/poisoned-readings.ts'
import { readingsConfig } from '../support/readings-config.ts'
import { headerText, readTopic } from '../support/topic-records.ts'

const partitions = 4
const records = Number(process.env['MILLRACE_TEST_RECORDS'] ?? 20_000)

let broker: SharedKafkaBroker
let folder: string

before(async () => {
  broker = await sharedKafkaBroker()
  folder = mkdtempSync(join(tmpdir(), 'millrace-poison-'))
})
after(async () => {
  await Daemon.endAll()
  rmSync(folder, { recursive: true, force: true })
  await broker.stop()
})

test('25 kinds of bad records at 2 % of the input are each dead-lettered once, with their reason, and all others written once', async () => {
  assert.equal(poisonKinds.length, 25)
  const topic = uniqueName('readings')
  const dead = uniqueName('dead')
  const path = join(folder, 'poison.duckdb')
  await broker.createTopic(topic, partitions)
  await broker.createTopic(dead, 1)
  const expected = await writePoisoned(broker.bootstrap, topic, partitions, records, badEvery)
  const daemon = await Daemon.start(
    join(folder, 'poison.json'),
    readingsConfig({
      bootstrap: broker.bootstrap,
      group: uniqueName('group'),
      topic,
      deadLetterTopic: dead,
      sink: { type: 'duckdb', path },
    }),
  )
  await daemon.metricReaches('millrace_committed_offset', records)
  assert.equal(await daemon.metric('millrace_worker_deaths_total'), 0)
  assert.equal(await daemon.stop(), 0, daemon.output)

  const letters = await readTopic(broker.bootstrap, dead, await broker.endOffsets(dead))
  const found = letters.map((letter) => {
    const name = (letter.key as Buffer).toString()
    const place = ['partition', 'offset'].map((part) => headerText(letter, `__connect.errors.${part}`))
    assert.deepEqual([...letter.value!], poisonKinds.find((kind) => kind.name === name)?.bytes, name)
    return `${place.join('/')} ${name} ${headerText(letter, 'millrace.code')}`
  })
  assert.deepEqual(found.sort(), expected.sort())
  const good = BigInt(records - expected.length)
  const [rows] = await queryDuckDb(
    path,
    'select count(*) as rows, count(distinct (_partition, _offset)) as places from readings',
  )
  assert.deepEqual(rows, { rows: good, places: good })
})
