import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { runCli } from '../support/daemon.ts'
import { sharedKafkaBroker, uniqueName } from '../support/kafka-broker.ts'
import type { SharedKafkaBroker } from '../support/kafka-broker.ts'
import { startPostgres } from '../support/postgres-server.ts'
import { readingMessage, readingProto, withProducer, writeReadings } from '../support/readings.ts'

const partitions = 4
// So that none of the last ones is broken.
const records = 1600
const proto =
  'syntax = "proto3"; package test; message Text { string text = 1; Inner inner = 2; message Inner { double x = 1; } }'

let broker: SharedKafkaBroker
let folder: string
const readings = uniqueName('readings')
const texts = uniqueName('texts')
const empty = uniqueName('empty')

before(async () => {
  broker = await sharedKafkaBroker()
  folder = mkdtempSync(join(tmpdir(), 'millrace-plan-'))
  writeFileSync(join(folder, 'text.proto'), proto)
  await broker.createTopic(readings, partitions)
  await broker.createTopic(texts, 1)
  await broker.createTopic(empty, 1)
  await writeReadings(broker.bootstrap, readings, partitions, records)
  await withProducer(broker.bootstrap, async (producer) => {
    const values = [
      // text: what clears a terminal.
      Buffer.from('0a04' + '1b5b324a', 'hex'),
      null,
      // Confluent's prefix before a message.
      Buffer.from('000000000700' + '0a0161', 'hex'),
      // inner.x is cut off.
      Buffer.from('1205' + '0900000000', 'hex'),
    ]
    for (const value of values) producer.produce(texts, 0, value, 'key')
  })
})
after(async () => {
  rmSync(folder, { recursive: true, force: true })
  await broker.stop()
})

async function plan(args: readonly string[], change: object = {}, sink?: object) {
  const group = uniqueName('plan')
  const file = join(folder, `${group}.json`)
  const route = {
    topics: [readings],
    decode: { files: [readingProto], message: readingMessage },
    sink: 'nowhere',
    ...change,
  }
  const sinks = { nowhere: sink ?? { type: 'duckdb', path: join(folder, `${group}.duckdb`) } }
  writeFileSync(file, JSON.stringify({ kafka: { brokers: broker.bootstrap, group }, routes: [route], sinks }))
  return { group, ...(await runCli(['plan', '--config', file, ...args])) }
}

const textDecode = { decode: { files: ['text.proto'], message: 'test.Text' } }

describe('millrace plan', () => {
  test('shows the newest records of every partition as rows, and the table, without a trace in the group', async () => {
    const { stdout, code, group } = await plan(['--records', '8'])
    const shown = [...stdout.matchAll(new RegExp(`${readings}/(\\d)@(\\d+)`, 'g'))].map(([, partition, offset]) => [
      Number(partition),
      Number(offset),
    ])
    const newest = records / partitions - 1
    assert.deepEqual(
      shown.sort(),
      [0, 1, 2, 3].flatMap((partition) => [
        [partition, newest - 1],
        [partition, newest],
      ]),
      stdout,
    )
    assert.match(stdout, /the newest 8 records of 4 partition\(s\): 8 rows, 0 bad, 0 skipped/)
    assert.match(stdout, /sequence +uint64 +no/)
    assert.equal(code, 0)
    assert.deepEqual(await broker.committed(group, readings), [undefined, undefined, undefined, undefined])
  })

  test('tells what cannot become a row, the first one with its place, its reason and its bytes', async () => {
    const { stdout, code } = await plan(['--records', '100', '--topic', texts], {
      topics: [readings, texts],
      ...textDecode,
    })
    assert.match(stdout, /the newest 4 records of 1 partition\(s\): 1 rows, 2 bad, 1 skipped/)
    assert.match(stdout, new RegExp(`the first is ${texts}/0 offset 2: MALFORMED: .*Confluent framing, schema id 7`))
    assert.match(stdout, /its 9 bytes: 00 00 00 00 07 00 0a 01 61/)
    assert.equal(code, 1)
  })

  test('names the field and the byte of the fault', async () => {
    const { stdout } = await plan(['--records', '1'], { topics: [texts], ...textDecode })
    assert.match(stdout, /offset 3: TRUNCATED: inner\.x: .*\(at byte 3\)/)
  })

  test('shows escapes instead of sending them to the terminal', async () => {
    const { stdout } = await plan(['--records', '4'], { topics: [texts], ...textDecode })
    assert.match(stdout, /\\u\{1b\}\[2J/)
    assert.ok(!stdout.includes('\u001b'), stdout)
  })

  test('shows the statements that the sink would run, and runs none', async () => {
    const postgres = await startPostgres()
    try {
      const { stdout, code } = await plan(['--records', '1'], {}, { type: 'postgres', url: postgres.url })
      assert.match(stdout, /sinks\.nowhere: run would execute[\s\S]*create table [^;]*"sequence" numeric[^;]*;/i)
      assert.equal(code, 0)
      const tables = await postgres.query(`select 1 from information_schema.tables where table_schema = 'public'`)
      assert.deepEqual(tables, [])
    } finally {
      await postgres.stop()
    }
  })

  test('shows rows while the sink is away', async () => {
    const away = { type: 'postgres', url: 'postgres://nobody@127.0.0.1:1/nowhere' }
    const { stdout, code } = await plan(['--records', '1'], {}, away)
    assert.match(stdout, /1 rows, 0 bad/)
    assert.match(stdout, /sinks\.nowhere: cannot be asked for its table: .*ECONNREFUSED/)
    assert.equal(code, 0)
  })

  test('finds no fault with an empty topic', async () => {
    const { stdout, code } = await plan(['--records', '4'], { topics: [empty] })
    assert.match(stdout, /no records/)
    assert.equal(code, 0)
  })

  test('refuses a topic that no route reads', async () => {
    const { stderr, code } = await plan(['--records', '4', '--topic', 'telemetry.other'])
    assert.match(stderr, /no route reads topic telemetry\.other/)
    assert.equal(code, 64)
  })
})
