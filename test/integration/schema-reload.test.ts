import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { queryDuckDb } from '../../src/sinks/duckdb/duckdb-query.ts'
import { Daemon } from '../support/daemon.ts'
import { sharedKafkaBroker, uniqueName } from '../support/kafka-broker.ts'
import type { SharedKafkaBroker } from '../support/kafka-broker.ts'
import { withProducer } from '../support/readings.ts'

let broker: SharedKafkaBroker
let folder: string

before(async () => {
  broker = await sharedKafkaBroker()
  folder = mkdtempSync(join(tmpdir(), 'millrace-reload-'))
})
after(async () => {
  await Daemon.endAll()
  rmSync(folder, { recursive: true, force: true })
  await broker.stop()
})

const first = 'message Text { string text = 1; }'
const wider = 'message Text { string text = 1; int32 size = 2; }'
const incompatible = 'message Text { string text = 1; string size = 2; }'

/** A daemon of two threads or one, as the sink allows, and what its test does with it. */
async function start(sink: (name: string) => object) {
  const name = uniqueName('reload')
  const proto = join(folder, `${name}.proto`)
  const write = (messages: string) => writeFileSync(proto, `syntax = "proto3"; package test; ${messages}`)
  write(first)
  await broker.createTopic(name, 1)
  const route = { topics: [name], decode: { files: [proto], message: 'test.Text' }, sink: 'sink', table: 'texts' }
  const config = {
    kafka: { brokers: broker.bootstrap, group: name },
    workers: 2,
    routes: [route],
    sinks: { sink: sink(name) },
    batch: { lingerMs: 10 },
  }
  const daemon = await Daemon.start(join(folder, `${name}.json`), config)
  return {
    daemon,
    write,
    /** Field 1 is the text, field 2 the number 7. */
    produce: (count: number) =>
      withProducer(broker.bootstrap, (producer) => {
        for (let index = 0; index < count; index++) producer.produce(name, 0, Buffer.from('0a01611007', 'hex'), null)
        return Promise.resolve()
      }),
    rows: (least: number) => daemon.metricReaches('millrace_rows_written_total', least),
    /** Sends SIGHUP and waits for its result. */
    reload: async (result: string, count = 1) => {
      daemon.signal('SIGHUP')
      await daemon.metricReaches(`millrace_schema_reloads_total{result="${result}"}`, count)
    },
  }
}

describe('SIGHUP', () => {
  test('takes up a field that was added, refuses what is incompatible, and nothing is lost meanwhile', async () => {
    const database = join(folder, 'texts.duckdb')
    const { daemon, write, produce, rows, reload } = await start(() => ({ type: 'duckdb', path: database }))
    await produce(3)
    await rows(3)

    write(wider)
    await reload('applied')
    await produce(3)
    await rows(6)

    write(incompatible)
    await reload('refused')
    const { error } = await daemon.logged('changed schemas are refused, the old ones stay in use')
    assert.match(JSON.stringify(error), /size was int32 and is string now/)
    await produce(3)
    await rows(9)

    for (const [index, text] of ['message Other {}', 'message Text {'].entries()) {
      write(text)
      await reload('refused', 2 + index)
    }
    write(wider)
    await reload('unchanged')
    await produce(1)
    await rows(10)
    assert.equal(await daemon.metric('millrace_dead_letters_total'), 0)
    assert.equal(await daemon.stop(), 0, daemon.output)

    const found = await queryDuckDb(
      database,
      'select size, count(*)::int as rows from texts group by size order by size',
    )
    assert.deepEqual(found, [
      { size: 7, rows: 7 },
      { size: null, rows: 3 },
    ])
  })

  test('refuses what the sink refuses, and rows are written as before', async () => {
    const database = join(folder, 'narrow.duckdb')
    const { daemon, write, produce, rows, reload } = await start(() => ({ type: 'duckdb', path: database }))
    await produce(1)
    await rows(1)
    write('message Text { string text = 1; string size = 3; }')
    await reload('applied')
    write(first)
    await reload('applied', 2)
    // Nothing in the schema speaks against it, but the table has kept the column of the old type.
    write(wider)
    await reload('refused')
    const { error } = await daemon.logged('changed schemas are refused, the old ones stay in use')
    assert.match(JSON.stringify(error), /column size is VARCHAR and INTEGER is needed/)
    await produce(1)
    await rows(2)
    assert.equal(await daemon.stop(), 0, daemon.output)
  })

  test('is heeded by every worker while records flow', async () => {
    const { daemon, write, produce, rows, reload } = await start(() => ({ type: 'blackhole' }))
    const producing = produce(50_000)
    for (let round = 0; round < 5; round++) {
      write(`${wider} // ${round}`)
      await reload('applied', round + 1)
    }
    await producing
    await rows(50_000)
    assert.equal(await daemon.metric('millrace_dead_letters_total'), 0)
    assert.equal(await daemon.stop(), 0, daemon.output)
  })
})
