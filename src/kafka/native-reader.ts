import assert from 'node:assert/strict'
import type { KafkaConsumer } from '@confluentinc/kafka-javascript'
import { KafkaUnavailableError } from '../errors.ts'
import { openPartitionQueues } from './native-addon.ts'
import type { Deliver, PartitionQueues, PartitionQueuesLimits } from './native-addon.ts'
import { partitionKey } from './partition-reader.ts'
import type { PartitionReader, SlabReceiver, TopicPartition } from './partition-reader.ts'
import { PausedPartitions } from './paused-partitions.ts'

/** What librdkafka reports of one partition: its code (`errorCodes` in binding.ts) and its words. */
export interface PartitionError {
  readonly code: number
  readonly message: string
}

export interface NativeReaderOptions extends Partial<PartitionQueuesLimits> {
  /**
   * Called on the main thread, after the slabs of what came before. The partition stays open; whether more comes is
   * librdkafka's matter, except for `logTruncation` and `invalidMessageSize`: after these nothing more is read until it is opened or rewound.
   * A topic or partition that is gone, or forbidden, according to the cluster's metadata is not reported here: librdkafka
   * tells only the consumer (`event.error`), and the binding drops its place.
   */
  readonly onPartitionError?: (partition: TopicPartition, error: PartitionError) => void
}

interface Opening {
  readonly partition: TopicPartition
  readonly receive: SlabReceiver
  /** The addon's name for it, new with each opening; undefined while it is being rewound. */
  lane: number | undefined
  position: number | undefined
}

const limitsByDefault: PartitionQueuesLimits = {
  recordBytesMax: 2 ** 30,
  readBytesMax: 1024 * 1024,
  readRecordsMax: 8192,
  coalesceMs: 5,
}

/** Bounds how long `poll` waits, and with it how late a shutdown is noticed; a rebalance ends the wait. */
const pollTimeoutMs = 250
const seekTimeoutMs = 10_000

/**
 * Throws NativeReaderUnavailableError where the addon cannot be had or does not fit; then `BindingReader` serves. The
 * consumer must be connected, and must be used by no other reader.
 */
export function createNativeReader(consumer: KafkaConsumer, options: NativeReaderOptions = {}): NativeReader {
  return new NativeReader(consumer, options)
}

/** The reader over librdkafka's partition queues: records go from its fetch buffers into slabs on the addon's own thread. */
export class NativeReader implements PartitionReader {
  readonly name = 'native'
  readonly #consumer: KafkaConsumer
  readonly #onPartitionError: NativeReaderOptions['onPartitionError']
  readonly #openings = new Map<string, Opening>()
  readonly #byLane = new Map<number, Opening>()
  /** Calls that run on the binding's threads; the consumer must not disconnect under them. */
  readonly #underWay = new Set<Promise<unknown>>()
  readonly #queues: PartitionQueues
  readonly #paused: PausedPartitions
  #laneLast = 0
  #stopped = false

  constructor(consumer: KafkaConsumer, { onPartitionError, ...limits }: NativeReaderOptions) {
    this.#consumer = consumer
    this.#onPartitionError = onPartitionError
    this.#queues = openPartitionQueues(consumer, { ...limitsByDefault, ...limits }, this.#deliver)
    this.#paused = new PausedPartitions(consumer)
    consumer.setDefaultConsumeTimeout(pollTimeoutMs)
  }

  open(partition: TopicPartition, receive: SlabReceiver): void {
    const key = partitionKey(partition)
    assert(!this.#stopped, `${key} is opened after the end`)
    assert(!this.#openings.has(key), `${key} is open already`)
    this.#paused.resume(partition)
    const opening: Opening = { partition, receive, lane: undefined, position: undefined }
    this.#openLane(opening)
    this.#openings.set(key, opening)
  }

  grant(partition: TopicPartition, bytes: number): void {
    const lane = this.#openings.get(partitionKey(partition))?.lane
    if (lane !== undefined) this.#queues.grant(lane, bytes)
  }

  close(partition: TopicPartition): void {
    const key = partitionKey(partition)
    const opening = this.#openings.get(key)
    if (opening === undefined) return
    this.#openings.delete(key)
    this.#closeLane(opening, true)
  }

  halt(partition: TopicPartition): void {
    if (!this.#openings.has(partitionKey(partition))) return
    this.close(partition)
    this.#paused.pause(partition)
  }

  position(partition: TopicPartition): number | undefined {
    return this.#openings.get(partitionKey(partition))?.position
  }

  async rewind(partition: TopicPartition, offset: number): Promise<void> {
    const key = partitionKey(partition)
    const opening = this.#openings.get(key)
    assert(opening, `${key} is not open`)
    this.#closeLane(opening, false)
    try {
      // A seek outdates at once all that was fetched before it, so the lane opened after it sees nothing stale.
      await this.#track(this.#seek({ ...partition, offset }))
      if (this.#openings.get(key) !== opening) throw new Error('it was closed meanwhile')
      this.#openLane(opening)
    } catch (cause) {
      throw new KafkaUnavailableError(`${key} cannot be read from ${offset}`, { cause })
    }
  }

  poll(): Promise<void> {
    return this.#track(
      new Promise<void>((resolve, reject) => {
        this.#consumer.consume(1, (error: unknown, messages) => {
          if (error) return reject(error)
          const stray = messages[0]
          if (stray === undefined) return resolve()
          const place = `${partitionKey(stray)}, offset ${stray.offset}`
          reject(new assert.AssertionError({ message: `${place}: came out of the common queue, past its lane` }))
        })
      }),
    )
  }

  async stop(): Promise<void> {
    if (!this.#stopped) {
      this.#stopped = true
      this.#openings.clear()
      this.#byLane.clear()
      this.#queues.stop()
    }
    await Promise.allSettled(this.#underWay)
  }

  readonly #deliver: Deliver = (lane, slab, position, errorCode, message) => {
    const opening = this.#byLane.get(lane)
    if (opening === undefined) return
    if (position >= 0) opening.position = position
    if (slab !== null) opening.receive(slab)
    if (errorCode !== 0) this.#onPartitionError?.(opening.partition, { code: errorCode, message })
  }

  #openLane(opening: Opening): void {
    const { topic, partition } = opening.partition
    const lane = ++this.#laneLast
    this.#queues.open(lane, topic, partition)
    opening.lane = lane
    this.#byLane.set(lane, opening)
  }

  #closeLane(opening: Opening, purge: boolean): void {
    const { lane } = opening
    opening.lane = undefined
    opening.position = undefined
    if (lane === undefined) return
    this.#byLane.delete(lane)
    this.#queues.close(lane, purge)
  }

  #seek(target: TopicPartition & { readonly offset: number }): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#consumer.seek(target, seekTimeoutMs, (error: unknown) => (error ? reject(error) : resolve()))
    })
  }

  #track<Result>(call: Promise<Result>): Promise<Result> {
    this.#underWay.add(call)
    const done = () => void this.#underWay.delete(call)
    call.then(done, done)
    return call
  }
}
