import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { createBindingConsumer } from '../../src/kafka/binding.ts'
import { DeadLetterPacker } from '../../src/kafka/dead-letter-slab.ts'
import { DeadLetterTopic } from '../../src/kafka/dead-letters.ts'
import { createNativeReader } from '../../src/kafka/native-reader.ts'
import { createProducer } from '../../src/kafka/producer-choice.ts'
import { decodeHeaders, SlabView } from '../../src/kafka/slab.ts'
import { DeadLetterTooLargeError, KafkaRefusedError, KafkaUnavailableError } from '../../src/errors.ts'
import { deadLetterOf } from '../support/dead-letter.ts'
import type { LetterParts } from '../support/dead-letter.ts'
import { freePorts } from '../support/free-ports.ts'
import { sharedKafkaBroker, uniqueName } from '../support/kafka-broker.ts'
import type { SharedKafkaBroker } from '../support/kafka-broker.ts'

let broker: SharedKafkaBroker
before(async () => {
  broker = await sharedKafkaBroker()
})
after(() => broker.stop())

const empty = new Uint8Array(0)
const settings = () => ({ 'bootstrap.servers': broker.bootstrap, 'enable.idempotence': true })
const letter: LetterParts = {
  route: 'r',
  sink: 's',
  topic: 't',
  partition: 0,
  offset: 5,
  timestamp: 1234,
  key: Uint8Array.of(0, 255),
  value: Uint8Array.of(1, 0, 2),
  headers: [
    { name: 'full', value: Uint8Array.of(7) },
    { name: 'empty', value: empty },
    { name: 'none', value: null },
    { name: 'full', value: Uint8Array.of(8) },
  ],
  stage: 'DECODE',
  code: 'TRUNCATED',
  reason: 'ends early',
}
const pack = (...letters: LetterParts[]) => new DeadLetterPacker('g').pack(letters.map(deadLetterOf))
/** A record keeps its time, and those here are of 1970: retention would take them away at its next look. */
const forEver = { 'retention.ms': '-1' }

for (const wanted of ['native', 'binding'] as const) {
  const open = async (topic: string, over: object = {}): Promise<DeadLetterTopic> => {
    const store = new DeadLetterTopic(topic, createProducer(wanted, topic, { ...settings(), ...over }))
    await store.connect(10_000)
    return store
  }

  describe(`DeadLetterTopic with the ${wanted} producer, on a real broker`, () => {
    test('a record arrives byte for byte, null told from empty in key, value and headers', async () => {
      const topic = uniqueName('dead')
      await broker.createTopic(topic, 1, forEver)
      const store = await open(topic)
      await store.store(pack(letter, { ...letter, key: null, value: empty }, { ...letter, key: empty, value: null }))
      await store.disconnect(10_000)

      const records = await readRecords(topic, 3)
      const bytes = (part: Uint8Array | null) => part && Buffer.from(part).toString('hex')
      assert.deepEqual(
        records.map(({ slab, index }) => [bytes(slab.key(index)), bytes(slab.value(index)), slab.timestamp(index)]),
        [
          ['00ff', '010002', 1234],
          [null, '', 1234],
          ['', null, 1234],
        ],
      )
      const headers = decodeHeaders(records[0]!.slab.headers(0))
      assert.deepEqual(
        headers.slice(0, 4).map(({ name, value }) => [name, bytes(value)]),
        [
          ['full', '07'],
          ['empty', ''],
          ['none', null],
          ['full', '08'],
        ],
      )
      assert.deepEqual(headers, decodeHeaders(new SlabView(pack(letter)).headers(0)))
    })

    test('more than its queue holds arrives once each, from many calls at once', async () => {
      const topic = uniqueName('dead')
      await broker.createTopic(topic, 1, forEver)
      const store = await open(topic, { 'queue.buffering.max.messages': 50 })
      const calls = Array.from({ length: 8 }, (_, call) =>
        pack(...Array.from({ length: 250 }, (_, index) => ({ ...letter, value: Buffer.from(`${call}/${index}`) }))),
      )
      await Promise.all(calls.map((letters) => store.store(letters)))
      await store.disconnect(10_000)

      const records = await readRecords(topic, 2000)
      const values = records.map(({ slab, index }) => Buffer.from(slab.value(index)!).toString())
      assert.deepEqual([values.length, new Set(values).size], [2000, 2000])
      assert.deepEqual(await broker.endOffsets(topic), [2000])
    })

    test('what is not acknowledged is told, never taken for stored', async () => {
      const store = await open(uniqueName('dead'), { 'message.timeout.ms': 1000 })
      await assert.rejects(store.store(pack(letter, letter)), KafkaUnavailableError)
      await store.disconnect(10_000)
    })

    test('those that are too large are named, and all others are stored', async () => {
      const topic = uniqueName('dead')
      await broker.createTopic(topic, 1, { ...forEver, 'max.message.bytes': '4000' })
      const store = await open(topic)
      const large = { ...letter, offset: 6, value: Buffer.alloc(5000, 1) }
      // Larger than librdkafka itself sends.
      const huge = { ...letter, offset: 7, value: Buffer.alloc(1_100_000, 1) }
      await assert.rejects(store.store(pack(letter, large, letter, huge)), (error) => {
        assert.ok(error instanceof DeadLetterTooLargeError)
        assert.deepEqual(error.places.map(({ offset }) => offset).sort(), [6, 7])
        return true
      })
      await store.disconnect(10_000)
      assert.equal((await readRecords(topic, 2)).length, 2)
    })
  })
}

describe('the native producer', () => {
  const connect = async (bootstrap: string, timeoutMs: number) =>
    createProducer('native', 't', { 'bootstrap.servers': bootstrap }).connect(timeoutMs)

  test('tells why no broker answered', async () => {
    const [port] = await freePorts(1)
    await assert.rejects(connect(`127.0.0.1:${port}`, 1500), (error) => {
      assert.ok(error instanceof KafkaUnavailableError)
      assert.match((error.cause as Error).message, new RegExp(`127\\.0\\.0\\.1:${port}.*refused`))
      return true
    })
  })

  test('tells which setting librdkafka does not take', () => {
    const settings = { 'bootstrap.servers': broker.bootstrap, 'no.such.property': 1 }
    assert.throws(
      () => createProducer('native', 't', settings),
      (error) => {
        assert.ok(error instanceof KafkaRefusedError)
        assert.match((error.cause as Error).message, /no\.such\.property/)
        return true
      },
    )
  })

  test('what is under way at its end is told as not acknowledged', async () => {
    const topic = uniqueName('dead')
    const producer = createProducer('native', topic, settings())
    await producer.connect(10_000)
    const sent = assert.rejects(producer.send(pack(letter)), KafkaUnavailableError)
    await producer.disconnect(100)
    await sent
  })
})

interface Place {
  readonly slab: SlabView
  readonly index: number
}

/** Reads a topic's partition 0 until so many records are there. */
async function readRecords(topic: string, records: number): Promise<Place[]> {
  const consumer = createBindingConsumer({ 'bootstrap.servers': broker.bootstrap, 'group.id': topic })
  await new Promise<void>((resolve, reject) => consumer.connect({}, (error) => (error ? reject(error) : resolve())))
  const reader = createNativeReader(consumer)
  const partition = { topic, partition: 0 }
  const found: Place[] = []
  reader.open(partition, (buffer) => {
    const slab = new SlabView(buffer)
    for (let index = 0; index < slab.count; index++) found.push({ slab, index })
  })
  consumer.assign([{ ...partition, offset: 0 }])
  reader.grant(partition, 100_000_000)
  while (found.length < records) await reader.poll()
  await reader.stop()
  await new Promise<void>((resolve) => void consumer.disconnect(() => resolve()))
  return found
}
