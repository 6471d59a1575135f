import { setTimeout as pause } from 'node:timers/promises'
import kafka from '@confluentinc/kafka-javascript'
import type { KafkaConsumer, MessageHeader, Producer } from '@confluentinc/kafka-javascript'
import { createBindingConsumer } from '../../src/kafka/binding.ts'
import type { PartitionReader, TopicPartition } from '../../src/kafka/partition-reader.ts'
import { SlabView } from '../../src/kafka/slab.ts'

export interface TestRecord {
  readonly partition: number
  readonly value: Buffer | null
  readonly key?: Buffer | null
  readonly timestamp?: number
  readonly headers?: MessageHeader[]
}

export async function connectConsumer(bootstrap: string, settings: object = {}): Promise<KafkaConsumer> {
  const consumer = createBindingConsumer({
    'bootstrap.servers': bootstrap,
    'group.id': `native-reader-${process.pid}`,
    'enable.auto.commit': false,
    'enable.auto.offset.store': false,
    'auto.offset.reset': 'error',
    'fetch.queue.backoff.ms': 5,
    'fetch.wait.max.ms': 100,
    // How long an unknown topic is taken for a new one.
    'topic.metadata.propagation.max.ms': 100,
    ...settings,
  })
  await called((done) => consumer.connect({}, done))
  return consumer
}

export const disconnect = (client: KafkaConsumer | Producer): Promise<void> =>
  new Promise((resolve) => void client.disconnect(() => resolve()))

/** Writes the records in order, waiting after each `chunk` of them until the broker has them. */
export async function produce(
  bootstrap: string,
  topic: string,
  records: Iterable<TestRecord>,
  chunk = 100_000,
): Promise<void> {
  const producer = new kafka.Producer(
    { 'bootstrap.servers': bootstrap, 'linger.ms': 1, 'queue.buffering.max.messages': 1_000_000 },
    undefined,
  )
  await called((done) => producer.connect({}, done))
  let written = 0
  for (const { partition, value, key = null, timestamp, headers } of records) {
    producer.produce(topic, partition, value, key, timestamp, null, headers)
    if (++written % chunk === 0) await called((done) => producer.flush(30_000, done))
  }
  await called((done) => producer.flush(30_000, done))
  await disconnect(producer)
}

/** Writes `count` small records to one partition in a transaction of its own, which ends as told. */
export async function produceTransaction(
  bootstrap: string,
  topic: string,
  partition: number,
  count: number,
  end: 'commit' | 'abort',
): Promise<void> {
  const producer = new kafka.Producer(
    { 'bootstrap.servers': bootstrap, 'transactional.id': `${topic}-${end}` },
    undefined,
  )
  await called((done) => producer.connect({}, done))
  await called((done) => producer.initTransactions(10_000, done))
  await called((done) => producer.beginTransaction(done))
  for (let index = 0; index < count; index++) producer.produce(topic, partition, Buffer.from([index]), null)
  // An aborted transaction leaves nothing in the log unless its records have got there.
  await called((done) => producer.flush(10_000, done))
  if (end === 'commit') await called((done) => producer.commitTransaction(10_000, done))
  else await called((done) => producer.abortTransaction(10_000, done))
  await disconnect(producer)
}

/** `count` records of 96 bytes for each of the partitions, which are filled side by side. */
export function* smallRecords(count: number, partitions: number): Generator<TestRecord> {
  for (let index = 0; index < count; index++) {
    for (let partition = 0; partition < partitions; partition++) {
      const value = Buffer.alloc(96)
      value.writeUInt32LE(index)
      yield { partition, value }
    }
  }
}

/** Writes to all partitions alike until it is stopped; `stop` tells how many records each then has. */
export function keepWriting(bootstrap: string, topic: string, partitions: number): { stop(): Promise<number> } {
  let writing = true
  let written = 0
  const ended = (async () => {
    for (; writing; written += 1_000) await produce(bootstrap, topic, smallRecords(1_000, partitions))
  })()
  return {
    async stop() {
      writing = false
      await ended
      return written
    },
  }
}

/** Serves the consumer's common queue until it is stopped; rejects in `stop` with what a poll rejected with. */
export function keepPolling(reader: PartitionReader): { stop(): Promise<void> } {
  let polling = true
  const polled = (async () => {
    while (polling) await reader.poll()
  })()
  polled.catch(() => undefined)
  return {
    async stop() {
      polling = false
      await polled
    },
  }
}

/** Collects a partition's offsets as they come, granting again what each slab used up, and tells when there are enough. */
export class OffsetLog {
  readonly offsets: number[] = []
  readonly slabs: ArrayBuffer[] = []
  readonly #waiting: { count: number; resolve: () => void }[] = []
  readonly #afterSlab: ((slab: ArrayBuffer) => void) | undefined

  constructor(afterSlab?: (slab: ArrayBuffer) => void) {
    this.#afterSlab = afterSlab
  }

  readonly receive = (slab: ArrayBuffer): void => {
    const view = new SlabView(slab)
    this.slabs.push(slab)
    for (let index = 0; index < view.count; index++) this.offsets.push(view.offset(index))
    this.#afterSlab?.(slab)
    for (const { count, resolve } of this.#waiting) if (this.offsets.length >= count) resolve()
  }

  get bytes(): number {
    return this.slabs.reduce((sum, { byteLength }) => sum + byteLength, 0)
  }

  reached(count: number): Promise<void> {
    return new Promise((resolve) => {
      if (this.offsets.length >= count) resolve()
      else this.#waiting.push({ count, resolve })
    })
  }
}

/** Opens the partition with a grant that is renewed slab by slab, so that it flows. */
export function flow(reader: PartitionReader, partition: TopicPartition): OffsetLog {
  const log = new OffsetLog((slab) => reader.grant(partition, slab.byteLength))
  reader.open(partition, log.receive)
  reader.grant(partition, 4 * 1024 * 1024)
  return log
}

/** The offsets from `start` up to `end`, without `end`. */
export const range = (start: number, end: number): number[] =>
  Array.from({ length: end - start }, (_, at) => start + at)

/** For what has no event of its own, like the reader's position. */
export async function until(claim: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 30_000
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`not so after 30 s: ${claim}`)
    await pause(5)
  }
}

function called(start: (done: (error?: unknown) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => start((error) => (error ? reject(error) : resolve())))
}
