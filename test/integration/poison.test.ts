import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import type { RecordFaultCode } from '../../src/decode/record-fault.ts'
import { simulatedReadings } from '../../src/commands/simulated-readings.ts'
import { loadMessageType } from '../../src/decode/schema-source.ts'
import { queryDuckDb } from '../../src/sinks/duckdb/duckdb-query.ts'
import { Daemon } from '../support/daemon.ts'
import { sharedKafkaBroker, uniqueName } from '../support/kafka-broker.ts'
import type { SharedKafkaBroker } from '../support/kafka-broker.ts'
import { readingsConfig } from '../support/readings-config.ts'
import { readingMessage, readingProto, withProducer } from '../support/readings.ts'
import { headerText, readTopic } from '../support/topic-records.ts'

const times = (count: number, ...bytes: number[]) => Array.from({ length: count }, () => bytes).flat()

/** Bytes that are no Reading (proto/telemetry.proto), each in its own way. */
const kinds: { name: string; bytes: number[]; code: RecordFaultCode }[] = [
  { name: 'a string that ends early', bytes: [0x0a, 0x05, 0x61], code: 'TRUNCATED' },
  { name: 'a double that ends early', bytes: [0x29, 0, 0], code: 'TRUNCATED' },
  { name: 'a float that ends early', bytes: [0x45, 0], code: 'TRUNCATED' },
  { name: 'a varint that ends early', bytes: [0x18, 0xff], code: 'TRUNCATED' },
  { name: 'a tag that ends early', bytes: [0x80], code: 'TRUNCATED' },
  { name: 'a tag without a value', bytes: [0x18], code: 'TRUNCATED' },
  { name: 'a message in it that ends early', bytes: [0x52, 0x09, 0x09, 0], code: 'TRUNCATED' },
  { name: 'an unknown field that ends early', bytes: [0xa2, 0x06, 0x05, 0x01], code: 'TRUNCATED' },
  { name: 'field number 0', bytes: [0x00, 0x00], code: 'MALFORMED' },
  { name: 'field number 0, with a length', bytes: [0x02, 0x00], code: 'MALFORMED' },
  { name: 'wire type 6', bytes: [0x0e], code: 'MALFORMED' },
  { name: 'wire type 7', bytes: [0x0f], code: 'MALFORMED' },
  { name: 'a varint without an end', bytes: [0x18, ...times(11, 0xff)], code: 'MALFORMED' },
  { name: 'the end of a group that never began', bytes: [0xa4, 0x06], code: 'MALFORMED' },
  { name: 'a group ended by another', bytes: [0xa3, 0x06, 0xac, 0x06], code: 'MALFORMED' },
  { name: 'text as a number', bytes: [0x08, 0x01], code: 'WIRE_TYPE' },
  { name: 'a number as text', bytes: [0x1a, 0x01, 0x61], code: 'WIRE_TYPE' },
  { name: 'a double as a float', bytes: [0x2d, 0, 0, 0, 0], code: 'WIRE_TYPE' },
  { name: 'a message as a number', bytes: [0x50, 0x01], code: 'WIRE_TYPE' },
  { name: 'an enum as eight bytes', bytes: [0x39, ...times(8, 0)], code: 'WIRE_TYPE' },
  { name: 'text that is no UTF-8', bytes: [0x0a, 0x01, 0xff], code: 'BAD_UTF8' },
  { name: 'text with an overlong NUL', bytes: [0x0a, 0x02, 0xc0, 0x80], code: 'BAD_UTF8' },
  { name: 'text with half a surrogate', bytes: [0x0a, 0x03, 0xed, 0xa0, 0x80], code: 'BAD_UTF8' },
  { name: 'groups a hundred and fifty deep', bytes: times(150, 0xa3, 0x06), code: 'TOO_DEEP' },
  { name: 'a time beyond the year 9999', bytes: [0x22, 0x0a, 0x08, ...times(8, 0xff), 0x7f], code: 'OUT_OF_RANGE' },
]

const partitions = 4
const records = Number(process.env['MILLRACE_TEST_RECORDS'] ?? 20_000)
/** Every so many records one is bad: 2 %. */
const badEvery = 50

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
  assert.equal(kinds.length, 25)
  const topic = uniqueName('readings')
  const dead = uniqueName('dead')
  const path = join(folder, 'poison.duckdb')
  await broker.createTopic(topic, partitions)
  await broker.createTopic(dead, 1)
  const expected = await write(topic)
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
    assert.deepEqual([...letter.value!], kinds.find((kind) => kind.name === name)?.bytes, name)
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

/** `partition/offset kind code` of each bad record written. */
async function write(topic: string): Promise<string[]> {
  const type = await loadMessageType({ files: [readingProto], message: readingMessage })
  const readings = simulatedReadings(type, 7)
  const expected: string[] = []
  await withProducer(broker.bootstrap, (producer) => {
    for (let index = 0; index < records; index++) {
      const partition = index % partitions
      if (index % badEvery === 0) {
        const { name, bytes, code } = kinds[(index / badEvery) % kinds.length]!
        expected.push(`${partition}/${Math.floor(index / partitions)} ${name} ${code}`)
        producer.produce(topic, partition, Buffer.from(bytes), name)
      } else {
        let next = readings.next().value
        while (next.broken) next = readings.next().value
        producer.produce(topic, partition, next.value, next.key)
      }
    }
    return Promise.resolve()
  })
  return expected
}
