import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { createBindingConsumer } from '../../src/kafka/binding.ts'
import { DeadLetterTopic } from '../../src/kafka/dead-letters.ts'
import { createNativeReader } from '../../src/kafka/native-reader.ts'
import { decodeHeaders, encodeHeaders, SlabView } from '../../src/kafka/slab.ts'
import { KafkaUnavailableError } from '../../src/errors.ts'
import { sharedKafkaBroker, uniqueName } from '../support/kafka-broker.ts'
import type { SharedKafkaBroker } from '../support/kafka-broker.ts'

let broker: SharedKafkaBroker
before(async () => {
  broker = await sharedKafkaBroker()
})
after(() => broker.stop())

const empty = new Uint8Array(0)
const settings = () => ({ 'bootstrap.servers': broker.bootstrap, 'enable.idempotence': true, dr_cb: true })
const letter = {
  route: 'r',
  sink: 's',
  topic: 't',
  partition: 0,
  offset: 5,
  timestamp: 1234,
  key: Uint8Array.of(0, 255) as Uint8Array | null,
  value: Uint8Array.of(1, 0, 2) as Uint8Array | null,
  headers: encodeHeaders([
    { name: 'full', value: Uint8Array.of(7) },
    { name: 'empty', value: empty },
    { name: 'none', value: null },
    { name: 'full', value: Uint8Array.of(8) },
  ]),
  stage: 'DECODE',
  code: 'TRUNCATED',
  reason: 'ends early',
} as const

describe('DeadLetterTopic, on a real broker', () => {
  test('a record arrives byte for byte, null told from empty in key, value and headers', async () => {
    const topic = uniqueName('dead')
    // A record keeps its time, and this one's is of 1970: retention would take it away at its next look.
    await broker.createTopic(topic, 1, { 'retention.ms': '-1' })
    const store = new DeadLetterTopic(topic, 'g', settings())
    await store.connect(10_000)
    await store.store([letter, { ...letter, key: null, value: empty }, { ...letter, key: empty, value: null }])
    await store.disconnect(10_000)

    const slabs = await readSlabs(topic, 3)
    const records = slabs.flatMap((slab) => Array.from({ length: slab.count }, (_, index) => ({ slab, index })))
    const bytes = (part: Uint8Array | null) => part && Buffer.from(part).toString('hex')
    assert.deepEqual(
      records.map(({ slab, index }) => [bytes(slab.key(index)), bytes(slab.value(index)), slab.timestamp(index)]),
      [
        ['00ff', '010002', 1234],
        [null, '', 1234],
        ['', null, 1234],
      ],
    )
    const own = decodeHeaders(records[0]!.slab.headers(0)).slice(0, 4)
    assert.deepEqual(
      own.map(({ name, value }) => [name, bytes(value)]),
      [
        ['full', '07'],
        ['empty', ''],
        ['none', null],
        ['full', '08'],
      ],
    )
  })

  test('what is not acknowledged is told, never taken for stored', async () => {
    const topic = uniqueName('dead')
    const store = new DeadLetterTopic(topic, 'g', { ...settings(), 'message.timeout.ms': 1000 })
    await store.connect(10_000)
    await assert.rejects(store.store([letter]), KafkaUnavailableError)
    await store.disconnect(10_000)
  })
})

/** Reads a topic's partition 0 until so many records are there. */
async function readSlabs(topic: string, records: number): Promise<SlabView[]> {
  const consumer = createBindingConsumer({ 'bootstrap.servers': broker.bootstrap, 'group.id': topic })
  await new Promise<void>((resolve, reject) => consumer.connect({}, (error) => (error ? reject(error) : resolve())))
  const reader = createNativeReader(consumer)
  const partition = { topic, partition: 0 }
  const slabs: SlabView[] = []
  reader.open(partition, (slab) => slabs.push(new SlabView(slab)))
  consumer.assign([{ ...partition, offset: 0 }])
  reader.grant(partition, 1_000_000)
  while (slabs.reduce((sum, { count }) => sum + count, 0) < records) await reader.poll()
  await reader.stop()
  await new Promise<void>((resolve) => void consumer.disconnect(() => resolve()))
  return slabs
}
