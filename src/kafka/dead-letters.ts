import { DeadLetterTooLargeError, KafkaUnavailableError } from '../errors.ts'
import { failPoint, failPointsArmed } from '../fail-points.ts'
import { packReference, unpackDeadLetter } from './dead-letter-slab.ts'
import { OverflowFolder } from './overflow-folder.ts'
import type { ClaimCheck } from './overflow-folder.ts'
import type { RecordProducer } from './record-producer.ts'
import { sliceSlab, SlabView } from './slab.ts'

/** Where dead letters are kept. Stored means acknowledged: only then may a position pass the record. */
export interface DeadLetterStore {
  /**
   * Stores the letters of a slab that a `DeadLetterPacker` made. Rejects with KafkaUnavailableError when one of them was not
   * acknowledged in time; then each may or may not be there. With DeadLetterTooLargeError when some fit nowhere; then all the
   * others are stored.
   */
  store(letters: ArrayBuffer): Promise<void>
}

/** Writes dead letters to a topic. */
export class DeadLetterTopic implements DeadLetterStore {
  readonly #topic: string
  readonly #producer: RecordProducer
  readonly #overflow: OverflowFolder | undefined

  /** `overflowPath`: the folder for what is too large for the topic. */
  constructor(topic: string, producer: RecordProducer, overflowPath?: string) {
    this.#topic = topic
    this.#producer = producer
    this.#overflow = overflowPath === undefined ? undefined : new OverflowFolder(overflowPath)
  }

  async connect(timeoutMs: number): Promise<void> {
    await this.#producer.connect(timeoutMs)
  }

  async store(letters: ArrayBuffer): Promise<void> {
    const refused = await this.#send(letters)
    if (refused.length === 0) return
    const slab = new SlabView(letters)
    const tooLarge: number[] = []
    // One by one: brokers refuse a batch of small records as a whole when it is too large together.
    for (const index of refused) {
      const again = await this.#send(sliceSlab(letters, index, index + 1))
      if (again.length > 0) tooLarge.push(index)
    }
    if (tooLarge.length === 0) return
    if (this.#overflow === undefined) {
      const cure = `raise its max.message.bytes, or set deadLetters.overflowPath to a folder for such records`
      const places = tooLarge.map((index) => unpackDeadLetter(slab, index))
      throw new DeadLetterTooLargeError(`too large for the dead-letter topic ${this.#topic}: ${cure}`, places)
    }
    for (const index of tooLarge) await this.#keep(slab, index, this.#overflow)
  }

  /** Waits for what was sent, within the deadline, then disconnects. */
  async disconnect(timeoutMs: number): Promise<void> {
    await this.#producer.disconnect(timeoutMs)
  }

  /** To a file, with a reference to it in the topic. */
  async #keep(slab: SlabView, index: number, overflow: OverflowFolder): Promise<void> {
    const check = await overflow.keep(unpackDeadLetter(slab, index))
    const [refused] = await this.#send(packReference(slab, index, headersOf(check)))
    if (refused === undefined) return
    throw new KafkaUnavailableError(`dead-letter topic ${this.#topic} takes not even a reference to ${check.file}`)
  }

  async #send(letters: ArrayBuffer): Promise<readonly number[]> {
    const sent = this.#producer.send(letters)
    if (failPointsArmed) {
      // Rejected while the fail point waits, it would else count as unhandled.
      sent.catch(() => undefined)
      await failPoint('in-dead-letter-write')
    }
    try {
      return await sent
    } catch (cause) {
      throw new KafkaUnavailableError(`dead-letter topic ${this.#topic}: not acknowledged`, { cause })
    }
  }
}

const headersOf = ({ file, bytes, sha256 }: ClaimCheck) => [
  { name: 'millrace.overflow.file', value: Buffer.from(file) },
  { name: 'millrace.overflow.bytes', value: Buffer.from(String(bytes)) },
  { name: 'millrace.overflow.sha256', value: Buffer.from(sha256) },
]
