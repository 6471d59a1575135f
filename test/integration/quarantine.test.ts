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
import { withProducer, writeReadings } from '../support/readings.ts'
import { headerText, readTopic } from '../support/topic-records.ts'

const partitions = 2
/** Few, because each sixteenth costs a worker, and the one that stands still is waited for. */
const recordsAround = 60

let broker: SharedKafkaBroker
let folder: string

before(async () => {
  broker = await sharedKafkaBroker()
  folder = mkdtempSync(join(tmpdir(), 'millrace-quarantine-'))
})
after(async () => {
  await Daemon.endAll()
  rmSync(folder, { recursive: true, force: true })
  await broker.stop()
})

const pills: { name: string; action: string; code: RegExp }[] = [
  { name: 'ends its worker thread', action: 'exit', code: /^WORKER_KILLED$/ },
  // On a slow machine the heap is not full when the worker's time is over.
  { name: 'fills the heap of its worker', action: 'exhaust', code: /^WORKER_(KILLED|HUNG)$/ },
  { name: 'lets its worker stand still', action: 'hang', code: /^WORKER_HUNG$/ },
]

describe('a record that', () => {
  for (const { name, action, code } of pills) {
    test(`${name} is found and dead-lettered, and all others are written once`, async () => {
      const topic = uniqueName('readings')
      const dead = uniqueName('dead')
      const path = join(folder, `${topic}.duckdb`)
      await broker.createTopic(topic, partitions)
      await broker.createTopic(dead, 1)
      const before = await writeReadings(broker.bootstrap, topic, partitions, recordsAround)
      await withProducer(broker.bootstrap, (producer) => {
        producer.produce(topic, 1, Buffer.from('pill'), 'the pill')
        return Promise.resolve()
      })
      const after = await writeReadings(broker.bootstrap, topic, partitions, recordsAround)
      const good = 2 * recordsAround - before.broken.size - after.broken.size
      const daemon = await Daemon.start(
        join(folder, `${topic}.json`),
        readingsConfig({
          bootstrap: broker.bootstrap,
          group: uniqueName('group'),
          topic,
          deadLetterTopic: dead,
          sink: { type: 'duckdb', path },
        }),
        { MILLRACE_TEST: '1', MILLRACE_FAIL_POINTS: `record=${action}:the pill` },
      )
      await daemon.metricReaches('millrace_rows_written_total', good)
      await daemon.metricReaches('millrace_committed_offset', 2 * recordsAround + 1)
      const deaths = await daemon.metric('millrace_worker_deaths_total')
      assert.ok(deaths >= 4 && deaths <= 8, `${deaths} workers died`)
      assert.equal(await daemon.metric('millrace_rebalances_total'), 1)
      assert.equal(await daemon.stop(), 0, daemon.output)

      const letters = await readTopic(broker.bootstrap, dead, await broker.endOffsets(dead))
      const pill = letters.filter((letter) => letter.value?.toString() === 'pill')
      assert.equal(pill.length, 1)
      assert.match(headerText(pill[0]!, 'millrace.code')!, code)
      assert.match(headerText(pill[0]!, 'millrace.reason')!, /alone in a load, .* 3 times/)
      const [rows] = await queryDuckDb(
        path,
        'select count(*) as rows, count(distinct (_partition, _offset)) as places from readings',
      )
      assert.deepEqual(rows, { rows: BigInt(good), places: BigInt(good) })
    })
  }
})
