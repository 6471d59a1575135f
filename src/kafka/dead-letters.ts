import { once } from 'node:events'
import kafka from '@confluentinc/kafka-javascript'
import type { MessageHeader, Producer } from '@confluentinc/kafka-javascript'
import { KafkaUnavailableError } from '../errors.ts'
import { failPoint, failPointsArmed } from '../fail-points.ts'
import { errorCodes, kafkaErrorCode } from './binding.ts'
import { connectClient, disconnectClient } from './client-connection.ts'
import { decodeHeaders } from './slab.ts'
import type { Header } from './slab.ts'

/** A record that can never be written, byte for byte, and why. */
export interface DeadLetter {
  readonly route: string
  readonly sink: string
  readonly topic: string
  readonly partition: number
  readonly offset: number
  /** Milliseconds since 1970; -1 when the record has none. */
  readonly timestamp: number
  readonly key: Uint8Array | null
  readonly value: Uint8Array | null
  /** As the slab has them. */
  readonly headers: Uint8Array
  readonly stage: 'DECODE' | 'SINK_WRITE'
  /** Ours for a decode fault, the store's own (a SQLSTATE) for a refused row. */
  readonly code: string
  readonly reason: string
}

/** Where dead letters are kept. Stored means acknowledged: only then may a position pass the record. */
export interface DeadLetterStore {
  /** Rejects with KafkaUnavailableError when one of them was not acknowledged in time; then each may or may not be there. */
  store(letters: readonly DeadLetter[]): Promise<void>
}

/** One call of `store`, handed to librdkafka with each of its records and back with each delivery report. */
interface Delivery {
  remaining: number
  resolve: () => void
  reject: (error: Error) => void
}

/** Writes dead letters to a topic with an idempotent producer that waits for all in-sync replicas. */
export class DeadLetterTopic implements DeadLetterStore {
  readonly #producer: Producer
  readonly #topic: string
  readonly #group: string

  constructor(topic: string, group: string, settings: Readonly<Record<string, unknown>>) {
    this.#topic = topic
    this.#group = group
    this.#producer = new kafka.Producer(settings, undefined)
    this.#producer.on('delivery-report', (error, { opaque }) => {
      const delivery = opaque as Delivery
      if (error)
        delivery.reject(new KafkaUnavailableError(`dead-letter topic ${topic}: not acknowledged`, { cause: error }))
      else if (--delivery.remaining === 0) delivery.resolve()
    })
    // Errors of the connection show as failed deliveries; without a listener `error` would end the process.
    ;(this.#producer as NodeJS.EventEmitter).on('error', () => undefined)
  }

  async connect(timeoutMs: number): Promise<void> {
    await connectClient(this.#producer, timeoutMs)
    // Delivery reports come from librdkafka's own thread, whatever the main thread is doing.
    this.#producer.setPollInBackground(true)
  }

  async store(letters: readonly DeadLetter[]): Promise<void> {
    if (letters.length === 0) return
    const delivery: Delivery = { remaining: letters.length, resolve: () => undefined, reject: () => undefined }
    const delivered = new Promise<void>((resolve, reject) => Object.assign(delivery, { resolve, reject }))
    // Rejected while records are still being produced below, it would else count as unhandled.
    delivered.catch(() => undefined)
    for (const letter of letters) await this.#produce(letter, delivery)
    if (failPointsArmed) await failPoint('in-dead-letter-write')
    await delivered
  }

  /** Waits for what was produced, within the deadline, then disconnects. */
  async disconnect(timeoutMs: number): Promise<void> {
    await disconnectClient(this.#producer, timeoutMs)
  }

  async #produce(letter: DeadLetter, delivery: Delivery): Promise<void> {
    const headers = deadLetterHeaders(letter, this.#group).map(({ name, value }): MessageHeader => ({
      [name]: value === null ? nullHeader : asBuffer(value),
    }))
    const key = letter.key === null ? null : asBuffer(letter.key)
    const value = letter.value === null ? null : asBuffer(letter.value)
    // Zero makes librdkafka take the present time.
    const timestamp = Math.max(0, letter.timestamp)
    for (;;) {
      try {
        this.#producer.produce(this.#topic, null, value, key, timestamp, delivery, headers)
        return
      } catch (cause) {
        if (kafkaErrorCode(cause) !== errorCodes.queueFull) {
          const place = `${letter.topic}/${letter.partition} offset ${letter.offset}`
          throw new KafkaUnavailableError(`dead-letter topic ${this.#topic}: ${place} cannot be produced`, { cause })
        }
        // Bounded by librdkafka's queue; each report makes room.
        await once(this.#producer, 'delivery-report')
      }
    }
  }
}

/**
 * The record's own headers, then the reason in the words of Kafka Connect (KIP-298), Spring Kafka and ours, so that the
 * tools people have can read them. Spring's numbers are big-endian, as its DeadLetterPublishingRecoverer writes them.
 */
export function deadLetterHeaders(letter: DeadLetter, group: string): Header[] {
  const own = decodeHeaders(letter.headers)
  const place: [string, string][] = [
    ['topic', letter.topic],
    ['partition', String(letter.partition)],
    ['offset', String(letter.offset)],
    ['connector.name', letter.sink],
    ['task.id', '0'],
    ['stage', letter.stage],
    ['class.name', 'millrace'],
    ['exception.class.name', letter.code],
    ['exception.message', letter.reason],
  ]
  return [
    ...own,
    ...place.map(([name, text]) => header(`__connect.errors.${name}`, text)),
    header('kafka_dlt-original-topic', letter.topic),
    header('kafka_dlt-original-partition', int32(letter.partition)),
    header('kafka_dlt-original-offset', int64(letter.offset)),
    header('kafka_dlt-original-timestamp', int64(letter.timestamp)),
    header('kafka_dlt-original-consumer-group', group),
    header('kafka_dlt-exception-fqcn', letter.code),
    header('kafka_dlt-exception-message', letter.reason),
    header('millrace.route', letter.route),
    header('millrace.sink', letter.sink),
    header('millrace.stage', letter.stage),
    header('millrace.code', letter.code),
    header('millrace.reason', letter.reason),
  ]
}

const header = (name: string, value: string | Buffer): Header => ({
  name,
  value: typeof value === 'string' ? Buffer.from(value) : value,
})

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}

function int64(value: number): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigInt64BE(BigInt(value))
  return bytes
}

/** An empty buffer whose bytes lie somewhere: the binding takes one without an address (`Buffer.alloc(0)`) for null. */
const empty = Buffer.alloc(1).subarray(0, 0)
const nullHeader = Buffer.alloc(0)

function asBuffer(bytes: Uint8Array): Buffer {
  return bytes.length === 0 ? empty : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
