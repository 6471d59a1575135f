import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DeadLetterPacker, packReference, unpackDeadLetter } from '../../src/kafka/dead-letter-slab.ts'
import { decodeHeaders, SlabView } from '../../src/kafka/slab.ts'
import { deadLetterOf } from '../support/dead-letter.ts'
import type { LetterParts } from '../support/dead-letter.ts'

const letter: LetterParts = {
  route: 'readings',
  sink: 'warehouse',
  topic: 'telemetry.readings',
  partition: 7,
  offset: 2 ** 40,
  timestamp: 1_700_000_000_000,
  key: null,
  value: null,
  headers: [
    { name: 'trace', value: Buffer.from('a') },
    { name: 'trace', value: Buffer.from('b') },
    { name: 'empty', value: null },
  ],
  stage: 'DECODE',
  code: 'TRUNCATED',
  reason: 'ends within field 3',
}

const slab = new SlabView(new DeadLetterPacker('ingest').pack([deadLetterOf(letter)]))
const headers = decodeHeaders(slab.headers(0))
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
  const words = {
    topic: 'telemetry.readings',
    partition: '7',
    offset: '1099511627776',
    'connector.name': 'warehouse',
    'task.id': '0',
    stage: 'DECODE',
    'class.name': 'millrace',
    'exception.class.name': 'TRUNCATED',
    'exception.message': 'ends within field 3',
  }
  const found = Object.keys(words).map((word) => [word, text(`__connect.errors.${word}`)])
  assert.deepEqual(Object.fromEntries(found), words)
})

test("and in Spring's, whose numbers are big-endian", () => {
  assert.equal(text('kafka_dlt-original-topic'), 'telemetry.readings')
  assert.deepEqual(value('kafka_dlt-original-partition'), Buffer.from('00000007', 'hex'))
  assert.deepEqual(value('kafka_dlt-original-offset'), Buffer.from('0000010000000000', 'hex'))
  assert.deepEqual(value('kafka_dlt-original-timestamp'), Buffer.from('0000018bcfe56800', 'hex'))
  assert.equal(text('kafka_dlt-original-consumer-group'), 'ingest')
  assert.equal(text('kafka_dlt-exception-fqcn'), 'TRUNCATED')
  assert.equal(text('kafka_dlt-exception-message'), 'ends within field 3')
})

test('and in ours', () => {
  const words = ['route', 'sink', 'stage', 'code', 'reason']
  assert.deepEqual(
    words.map((word) => text(`millrace.${word}`)),
    ['readings', 'warehouse', 'DECODE', 'TRUNCATED', 'ends within field 3'],
  )
})

test('letters of several partitions and faults each get what is theirs, though much of it is shared', () => {
  const letters = Array.from({ length: 60 }, (_, index): LetterParts => {
    const key = index % 4 === 0 ? null : Buffer.from('k'.repeat(index % 3))
    return {
      ...letter,
      topic: `t${index % 2}`,
      partition: index % 3,
      offset: index,
      timestamp: index % 7 === 0 ? -1 : index,
      key,
      value: Buffer.from(`value ${index}`),
      headers: index % 5 === 0 ? letter.headers : [],
      stage: index % 11 === 0 ? 'SINK_WRITE' : 'DECODE',
      code: `CODE${index % 4}`,
      reason: `grün ${index}`,
    }
  })
  const packed = new SlabView(new DeadLetterPacker('ingest').pack(letters.map(deadLetterOf)))
  const found = letters.map((_, index) => unpackDeadLetter(packed, index))
  assert.deepEqual(found.map(plain), letters.map(plain))
})

test('a reference to a letter has its reason, and nothing of its record but what it is given', () => {
  const pointer = { name: 'millrace.overflow.file', value: Buffer.from('/f') }
  const reference = new SlabView(packReference(slab, 0, [pointer]))
  assert.deepEqual([reference.key(0), reference.value(0), reference.offset(0)], [null, null, letter.offset])
  assert.deepEqual(
    decodeHeaders(reference.headers(0)).map(({ name }) => name),
    [pointer.name, ...headers.slice(3).map(({ name }) => name)],
  )
})

/** With plain arrays for bytes, which compare whatever class they are of. */
const plain = ({ key, value, headers, ...rest }: LetterParts) => ({
  place: [rest.route, rest.sink, rest.topic, rest.partition, rest.offset, rest.timestamp],
  fault: [rest.stage, rest.code, rest.reason],
  key: key && [...key],
  value: value && [...value],
  headers: headers.map(({ name, value }) => [name, value && [...value]]),
})
