import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { createProducer } from '../../src/kafka/producer-choice.ts'
import { packSlab } from '../../src/kafka/slab.ts'
import { Daemon } from '../support/daemon.ts'
import { sharedKafkaBroker, uniqueName } from '../support/kafka-broker.ts'
import type { SharedKafkaBroker } from '../support/kafka-broker.ts'
import { readingsConfig } from '../support/readings-config.ts'
import { withProducer } from '../support/readings.ts'

const mebibyte = 2 ** 20
/** Its checksum, by which librdkafka chooses, is even. */
const keyOfPartition0 = Buffer.from('boom')
const memoryMaxBytes = 64 * mebibyte
/** What Node, the binding and our threads take beside; docs/OPERATIONS.md names it. */
const baseBytes = 300 * mebibyte

let broker: SharedKafkaBroker
let folder: string
before(async () => {
  broker = await sharedKafkaBroker()
  folder = mkdtempSync(join(tmpdir(), 'millrace-bomb-'))
})
after(async () => {
  await Daemon.endAll()
  rmSync(folder, { recursive: true, force: true })
  await broker.stop()
})

// The broker takes a batch of 1 MB. Of one byte gzip makes 1032 at the most, lz4 255 (and snappy 21: no bomb). What zstd makes is
// bounded by librdkafka, which then cannot unpack the batch at all.
for (const { codec, bombBytes, says } of [
  { codec: 'gzip', bombBytes: 400 * mebibyte, says: tooLarge },
  { codec: 'lz4', bombBytes: 200 * mebibyte, says: tooLarge },
  {
    codec: 'zstd',
    bombBytes: 400 * mebibyte,
    says: () => /Decompression .* at 3 .*failed.*damaged, or .*receive\.message\.max\.bytes.*millrace_position/,
  },
]) {
  test(`a small ${codec} batch that unpacks to ${bombBytes / mebibyte} MiB stops its partition with the cure, is never copied, and the other partition goes on`, async () => {
    const topic = uniqueName('readings')
    const dead = uniqueName('dead')
    await broker.createTopic(topic, 2)
    await broker.createTopic(dead, 1)
    const good = Buffer.from([0x0a, 0x01, 0x61])
    const produce = (partition: number, records: number) =>
      withProducer(broker.bootstrap, (producer) => {
        for (let index = 0; index < records; index++) producer.produce(topic, partition, good, 'key')
        return Promise.resolve()
      })
    await produce(0, 3)
    await throwBomb(topic, codec, bombBytes)
    await produce(0, 2)
    await produce(1, 5)

    const group = uniqueName('group')
    const daemon = await Daemon.start(
      join(folder, `${group}.json`),
      readingsConfig(
        { bootstrap: broker.bootstrap, group, topic, deadLetterTopic: dead, sink: { type: 'blackhole' } },
        { memory: { maxBytes: memoryMaxBytes } },
      ),
    )
    const { error } = await daemon.logged('partition stands still until an operator acts')
    const { message } = error as Error
    assert.ok(message.startsWith(`${topic}/0: `), message)
    assert.match(message, says(bombBytes))
    // The five of the other partition; the three before the bomb are in time to be written, or are read again one day.
    await daemon.metricReaches('millrace_committed_offset', 5)
    const peak = Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${daemon.pid}/status`, 'utf8'))?.[1]) * 1024
    assert.ok(peak < bombBytes * 1.25 + memoryMaxBytes + baseBytes, `${peak} bytes were resident`)
    assert.equal(await daemon.metric('millrace_dead_letters_total'), 0)
    assert.equal(await daemon.stop(), 0, daemon.output)
  })
}

function tooLarge(bombBytes: number): RegExp {
  return new RegExp(
    `the record at offset 3 has ${bombBytes + keyOfPartition0.length} bytes, .*memory.maxBytes.*millrace_position`,
  )
}

/** Zeros, of which gzip makes a thousandth. Kafka's limits are about what it left. */
async function throwBomb(topic: string, codec: string, bombBytes: number): Promise<void> {
  const settings = {
    'bootstrap.servers': broker.bootstrap,
    'compression.type': codec,
    'message.max.bytes': 1_000_000_000,
    'message.timeout.ms': 60_000,
  }
  const producer = createProducer('native', topic, settings)
  await producer.connect(30_000)
  const headers = new Uint8Array(0)
  const refused = await producer.send(
    packSlab([{ offset: 0, timestamp: -1, key: keyOfPartition0, value: Buffer.alloc(bombBytes), headers }]),
  )
  assert.deepEqual(refused, [])
  await producer.disconnect(30_000)
}
