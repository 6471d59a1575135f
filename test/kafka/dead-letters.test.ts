import assert from 'node:assert/strict'
import { test } from 'node:test'
import { deadLetterHeaders } from '../../src/kafka/dead-letters.ts'
import { encodeHeaders } from '../../src/kafka/slab.ts'

const letter = {
  route: 'readings',
  sink: 'warehouse',
  topic: 'telemetry.readings',
  partition: 7,
  offset: 2 ** 40,
  timestamp: 1_700_000_000_000,
  key: null,
  value: null,
  headers: encodeHeaders([
    { name: 'trace', value: Buffer.from('a') },
    { name: 'trace', value: Buffer.from('b') },
    { name: 'empty', value: null },
  ]),
  stage: 'DECODE',
  code: 'TRUNCATED',
  reason: 'ends within field 3',
} as const

const headers = deadLetterHeaders(letter, 'ingest')
const value = (name: string) => headers.find((each) => each.name === name)?.value
const text = (name: string) => Buffer.from(value(name)!).toString()

test("the record's own headers come first, in their order, repeated names too", () => {
  assert.deepEqual(
    headers.slice(0, 3).map(({ name, value }) => [name, value && Buffer.from(value).toString()]),
    [
      ['trace', 'a'],
      ['trace', 'b'],
      ['empty', null],
    ],
  )
})

test('the place and the reason are in the words of Kafka Connect', () => {
  const words = ['topic', 'partition', 'offset', 'connector.name', 'stage', 'exception.class.name', 'exception.message']
  assert.deepEqual(
    words.map((word) => text(`__connect.errors.${word}`)),
    ['telemetry.readings', '7', '1099511627776', 'warehouse', 'DECODE', 'TRUNCATED', 'ends within field 3'],
  )
})

test("and in Spring's, whose numbers are big-endian", () => {
  assert.equal(text('kafka_dlt-original-topic'), 'telemetry.readings')
  assert.deepEqual(value('kafka_dlt-original-partition'), Buffer.from('00000007', 'hex'))
  assert.deepEqual(value('kafka_dlt-original-offset'), Buffer.from('0000010000000000', 'hex'))
  assert.equal(text('kafka_dlt-original-consumer-group'), 'ingest')
})
