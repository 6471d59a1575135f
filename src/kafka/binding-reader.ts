import assert from 'node:assert/strict'
import type { Message, TopicPartitionOffset } from '@confluentinc/kafka-javascript'
import { KafkaUnavailableError } from '../errors.ts'
import type { BindingConsumer } from './binding.ts'
import { partitionKey } from './partition-reader.ts'
import type { PartitionReader, SlabReceiver, TopicPartition } from './partition-reader.ts'
import { PausedPartitions } from './paused-partitions.ts'
import { encodeHeaders, packSlab } from './slab.ts'
import type { RecordToPack } from './slab.ts'

interface Opening {
  readonly partition: TopicPartition
  readonly receive: SlabReceiver
  grantBytes: number
  /** What arrives until the seek is done is older than it. */
  rewinding: boolean
  position: number | undefined
}

/** Waits this long for the first record of a call; rebalances and errors are served meanwhile. */
const pollTimeoutMs = 100
/** Records a call: more make the main thread's stalls longer, fewer make the slabs small. */
const recordsPerPollMax = 4000
const seekTimeoutMs = 10_000

/**
 * The reader for where our addon cannot be had: `consume(n)` grouped by partition, with pause and resume for lanes
 * without a grant. The binding makes an object of every record on the main thread, about 4 us each.
 */
export class BindingReader implements PartitionReader {
  readonly name = 'binding'
  readonly #consumer: BindingConsumer
  readonly #openings = new Map<string, Opening>()
  readonly #paused: PausedPartitions
  /** The consume call under way; rewinds wait for it, because what it popped is older than the seek. */
  #polling: Promise<void> = Promise.resolve()

  constructor(consumer: BindingConsumer) {
    this.#consumer = consumer
    this.#paused = new PausedPartitions(consumer)
    consumer.setDefaultConsumeTimeout(pollTimeoutMs)
    // Otherwise the time-out counts for each record, and a trickle blocks the call for minutes.
    consumer.setDefaultIsTimeoutOnlyForFirstMessage(true)
  }

  open(partition: TopicPartition, receive: SlabReceiver): void {
    const key = partitionKey(partition)
    assert(!this.#openings.has(key), `${key} is open already`)
    this.#paused.resume(partition)
    this.#openings.set(key, { partition, receive, grantBytes: 0, rewinding: false, position: undefined })
  }

  grant(partition: TopicPartition, bytes: number): void {
    const opening = this.#openings.get(partitionKey(partition))
    if (opening === undefined) return
    opening.grantBytes += bytes
    if (opening.grantBytes > 0) this.#paused.resume(partition)
  }

  close(partition: TopicPartition): void {
    this.#openings.delete(partitionKey(partition))
  }

  halt(partition: TopicPartition): void {
    if (this.#openings.delete(partitionKey(partition))) this.#paused.pause(partition)
  }

  position(partition: TopicPartition): number | undefined {
    return this.#openings.get(partitionKey(partition))?.position
  }

  async rewind(partition: TopicPartition, offset: number): Promise<void> {
    const key = partitionKey(partition)
    const opening = this.#openings.get(key)
    assert(opening, `${key} is not open`)
    // Paused, nothing new is popped; what the call under way has popped already is dropped by the flag.
    this.#paused.pause(partition)
    Object.assign(opening, { rewinding: true, grantBytes: 0, position: undefined })
    await this.#polling
    await new Promise<void>((resolve, reject) => {
      this.#consumer.seek({ ...partition, offset }, seekTimeoutMs, (cause: unknown) => {
        if (cause) reject(new KafkaUnavailableError(`${key} cannot be read from ${offset}`, { cause }))
        else resolve()
      })
    })
    if (this.#openings.get(key) !== opening) throw new KafkaUnavailableError(`${key} was closed while it was rewound`)
    opening.rewinding = false
  }

  poll(): Promise<void> {
    const polled = new Promise<void>((resolve, reject) => {
      this.#consumer.consume(recordsPerPollMax, (error: unknown, messages) => {
        if (error) return reject(error)
        if (messages.length > 0) this.#deliver(messages)
        else this.#readPositions()
        resolve()
      })
    })
    this.#polling = polled.catch(() => undefined)
    return polled
  }

  async stop(): Promise<void> {
    this.#openings.clear()
    await this.#polling
  }

  /**
   * The consumer's own positions, which pass control records. Only when a call brought nothing: what it had popped would
   * count as read, and is not handed over yet.
   */
  #readPositions(): void {
    const openings = [...this.#openings.values()].filter(
      ({ position, rewinding }) => position !== undefined && !rewinding,
    )
    if (openings.length === 0) return
    for (const { topic, partition, offset } of positionsOf(this.#consumer, openings)) {
      const opening = this.#openings.get(partitionKey({ topic, partition }))
      if (opening && typeof offset === 'number' && offset > (opening.position ?? 0)) opening.position = offset
    }
  }

  #deliver(messages: readonly Message[]): void {
    for (const group of byPartition(messages).values()) {
      const opening = this.#openings.get(partitionKey(group[0]!))
      // Popped before a revoke, handed over after it: not ours any more.
      if (opening === undefined || opening.rewinding) continue
      const slab = packSlab(group.map(toRecord))
      opening.grantBytes -= slab.byteLength
      opening.position = group.at(-1)!.offset + 1
      if (opening.grantBytes <= 0 && !this.#paused.has(opening.partition)) this.#paused.pause(opening.partition)
      opening.receive(slab)
    }
  }
}

function positionsOf(consumer: BindingConsumer, openings: readonly Opening[]): TopicPartitionOffset[] {
  try {
    return consumer.position(openings.map(({ partition: { topic, partition } }) => ({ topic, partition })))
  } catch {
    // A partition of them was given up this very moment: the next idle call tells.
    return []
  }
}

function byPartition(messages: readonly Message[]): Map<string, Message[]> {
  const groups = new Map<string, Message[]>()
  for (const message of messages) {
    const key = partitionKey(message)
    const group = groups.get(key)
    if (group) group.push(message)
    else groups.set(key, [message])
  }
  return groups
}

function toRecord({ offset, timestamp, key, value, headers }: Message): RecordToPack {
  return {
    offset,
    timestamp: timestamp ?? -1,
    key: typeof key === 'string' ? Buffer.from(key) : (key ?? null),
    value,
    headers: headers ? encodeHeaders(headers.flatMap(toHeaders)) : noHeaders,
  }
}

const noHeaders = new Uint8Array(0)

const toHeaders = (header: Record<string, string | Buffer | null>) =>
  Object.entries(header).map(([name, value]) => ({
    name,
    value: typeof value === 'string' ? Buffer.from(value) : value,
  }))
