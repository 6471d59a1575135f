import { once } from 'node:events'
import kafka from '@confluentinc/kafka-javascript'
import type { MessageHeader, Producer } from '@confluentinc/kafka-javascript'
import { DeadLetterTooLargeError, KafkaUnavailableError } from '../errors.ts'
import { failPoint, failPointsArmed } from '../fail-points.ts'
import { errorCodes, kafkaErrorCode } from './binding.ts'
import { connectClient, disconnectClient } from './client-connection.ts'
import { OverflowFolder } from './overflow-folder.ts'
import type { ClaimCheck } from './overflow-folder.ts'
import { decodeHeaders, encodeHeaders } from './slab.ts'
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
  /**
   * Rejects with KafkaUnavailableError when one of them was not acknowledged in time; then each may or may not be there. With
   * DeadLetterTooLargeError when some fit nowhere; then all the others are stored.
   */
  store(letters: readonly DeadLetter[]): Promise<void>
}

/** One call of `store`, handed to librdkafka with each of its records and back with each delivery report. */
interface Delivery {
  remaining: number
  readonly tooLarge: DeadLetter[]
  resolve: () => void
  reject: (error: Error) => void
}

/** What comes back with a delivery report. */
interface Opaque {
  readonly delivery: Delivery
  readonly letter: DeadLetter
}

/** Writes dead letters to a topic with an idempotent producer that waits for all in-sync replicas. */
export class DeadLetterTopic implements DeadLetterStore {
  readonly #producer: Producer
  readonly #topic: string
  readonly #group: string

  readonly #overflow: OverflowFolder | undefined

  /** `overflowPath`: the folder for what is too large for the topic. */
  constructor(topic: string, group: string, settings: Readonly<Record<string, unknown>>, overflowPath?: string) {
    this.#topic = topic
    this.#group = group
    this.#overflow = overflowPath === undefined ? undefined : new OverflowFolder(overflowPath)
    this.#producer = new kafka.Producer(settings, undefined)
    this.#producer.on('delivery-report', (error, { opaque }) => {
      const { delivery, letter } = opaque as Opaque
      if (kafkaErrorCode(error) === errorCodes.messageTooLarge) refuseAsTooLarge(delivery, letter)
      else if (error)
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
    const refused = await this.#send(letters)
    const tooLarge: DeadLetter[] = []
    // One by one: brokers refuse a batch of small records as a whole when it is too large together.
    for (const letter of refused) tooLarge.push(...(await this.#send([letter])))
    if (this.#overflow === undefined && tooLarge.length > 0) {
      const cure = `raise its max.message.bytes, or set deadLetters.overflowPath to a folder for such records`
      throw new DeadLetterTooLargeError(`too large for the dead-letter topic ${this.#topic}: ${cure}`, tooLarge)
    }
    for (const letter of tooLarge) await this.#check(letter, await this.#overflow!.keep(letter))
  }

  /** Waits for what was produced, within the deadline, then disconnects. */
  async disconnect(timeoutMs: number): Promise<void> {
    await disconnectClient(this.#producer, timeoutMs)
  }

  /** The letter without what makes it large, and where that is kept. */
  async #check(letter: DeadLetter, { file, bytes, sha256 }: ClaimCheck): Promise<void> {
    const pointer = [
      header('millrace.overflow.file', file),
      header('millrace.overflow.bytes', String(bytes)),
      header('millrace.overflow.sha256', sha256),
    ]
    const [refused] = await this.#send([{ ...letter, key: null, value: null, headers: encodeHeaders(pointer) }])
    if (refused)
      throw new KafkaUnavailableError(`dead-letter topic ${this.#topic} takes not even a reference to ${file}`)
  }

  /** Resolves when each is acknowledged or refused for its size; with those that were. */
  async #send(letters: readonly DeadLetter[]): Promise<readonly DeadLetter[]> {
    if (letters.length === 0) return []
    const delivery: Delivery = {
      remaining: letters.length,
      tooLarge: [],
      resolve: () => undefined,
      reject: () => undefined,
    }
    const delivered = new Promise<void>((resolve, reject) => Object.assign(delivery, { resolve, reject }))
    // Rejected while records are still being produced below, it would else count as unhandled.
    delivered.catch(() => undefined)
    for (const letter of letters) await this.#produce(letter, delivery)
    if (failPointsArmed) await failPoint('in-dead-letter-write')
    await delivered
    return delivery.tooLarge
  }

  async #produce(letter: DeadLetter, delivery: Delivery): Promise<void> {
    const headers = deadLetterHeaders(letter, this.#group).map(({ name, value }): MessageHeader => ({
      [name]: value === null ? nullHeader : asBuffer(value),
    }))
    const opaque: Opaque = { delivery, letter }
    const key = letter.key === null ? null : asBuffer(letter.key)
    const value = letter.value === null ? null : asBuffer(letter.value)
    // Zero makes librdkafka take the present time.
    const timestamp = Math.max(0, letter.timestamp)
    for (;;) {
      try {
        this.#producer.produce(this.#topic, null, value, key, timestamp, opaque, headers)
        return
      } catch (cause) {
        if (kafkaErrorCode(cause) === errorCodes.messageTooLarge) return refuseAsTooLarge(delivery, letter)
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

function refuseAsTooLarge(delivery: Delivery, letter: DeadLetter): void {
  delivery.tooLarge.push(letter)
  if (--delivery.remaining === 0) delivery.resolve()
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
