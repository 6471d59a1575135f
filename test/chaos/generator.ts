import kafka from '@confluentinc/kafka-javascript'
import type { Producer } from '@confluentinc/kafka-javascript'
import { setTimeout as pause } from 'node:timers/promises'
import { Seeded } from '../support/seeded.ts'
import { encode } from './entry.ts'
import type { Encoding } from './entry.ts'
import type { Topics } from './topics.ts'

const keys = 1000
const compactedKeys = 50
/** Shares of what is written, the rest goes to the plain topic. */
const transactionalShare = 0.15
const compactedShare = 0.05
const tickMs = 20

export interface GeneratorOptions {
  readonly bootstrap: string
  readonly topics: Topics
  readonly encoding: Encoding
  readonly seed: number
  readonly partitions: number
}

/**
 * A record handed over for the compacted topic: later it may be gone from the log. Its offset is not told, because a record
 * whose acknowledgement a broker took with it may stand in the log a second time.
 */
export interface Handed {
  readonly partition: number
  readonly key: string
  readonly sequence: number
}

/** Writes the known records of a run, past all faults but the broker's own. */
export class Generator {
  readonly ledger: Handed[] = []
  /** Of the plain topic; more after partitions were added. */
  partitions: number
  written = 0
  committedTransactions = 0
  abortedTransactions = 0
  readonly #options: GeneratorOptions
  readonly #random: Seeded
  readonly #producer: Producer
  #sequence = 0
  #transactionsDue = 0
  #running = true
  #ticking: Promise<void> = Promise.resolve()
  #transacting: Promise<void> = Promise.resolve()
  #wake: () => void = () => undefined
  #stopping: Promise<void> | undefined

  private constructor(options: GeneratorOptions, producer: Producer) {
    this.#options = options
    this.#random = new Seeded(options.seed)
    this.#producer = producer
    this.partitions = options.partitions
    producer.on('delivery-report', () => this.#wake())
    ;(producer as NodeJS.EventEmitter).on('error', () => undefined)
  }

  static async start(options: GeneratorOptions): Promise<Generator> {
    const producer = new kafka.Producer(
      {
        'bootstrap.servers': options.bootstrap,
        'enable.idempotence': true,
        'compression.type': 'lz4',
        'linger.ms': 10,
        'queue.buffering.max.messages': 200_000,
        'reconnect.backoff.max.ms': 1000,
        'topic.metadata.refresh.interval.ms': 1000,
        dr_cb: true,
      },
      undefined,
    )
    await new Promise<void>((resolve, reject) => producer.connect({}, (error) => (error ? reject(error) : resolve())))
    producer.setPollInBackground(true)
    return new Generator(options, producer)
  }

  /** Writes so many at once and waits until they are in the log. */
  async burst(records: number): Promise<void> {
    for (let index = 0; index < records; index++) await this.#one()
    await this.#flush()
  }

  /** Writes on at this rate until `stop`. */
  run(recordsPerSecond: number): void {
    this.#ticking = this.#tick(recordsPerSecond)
    this.#transacting = this.#transact()
  }

  /** Ends with all in the log, and an aborted transaction as the last thing in the transactional topic. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop()
    return this.#stopping
  }

  async #stop(): Promise<void> {
    this.#running = false
    await this.#ticking
    await this.#transacting
    await this.#flush()
    await new Promise<void>((resolve) => void this.#producer.disconnect(() => resolve()))
  }

  async #tick(recordsPerSecond: number): Promise<void> {
    const startedAt = performance.now()
    let due = 0
    while (this.#running) {
      const wanted = ((performance.now() - startedAt) / 1000) * recordsPerSecond
      // What an outage of the broker held back is not made up for at once.
      due = Math.max(due, wanted - recordsPerSecond)
      for (; due < wanted; due++) {
        if (this.#random.next() < transactionalShare) this.#transactionsDue++
        else await this.#one()
      }
      await pause(tickMs)
    }
  }

  async #one(): Promise<void> {
    const { topics, encoding } = this.#options
    const sequence = ++this.#sequence
    if (this.#random.next() < compactedShare) {
      const key = `c${sequence % compactedKeys}`
      const partition = sequence % 2
      this.ledger.push({ partition, key, sequence })
      return this.#produce(topics.compacted, partition, encode(encoding, key, sequence), key)
    }
    const number = this.#random.between(0, keys - 1)
    const partition = number % this.partitions
    const chance = this.#random.next()
    if (chance < 0.002) return this.#produce(topics.plain, partition, null, `tombstone${number}`)
    if (chance < 0.005) {
      const poison = this.#random.pick(encoding === 'protobuf' ? poisonBytes : poisonTexts)
      return this.#produce(topics.plain, partition, poison, `poison${number}`)
    }
    const key = `k${number}`
    return this.#produce(topics.plain, partition, encode(encoding, key, sequence), key)
  }

  async #produce(topic: string, partition: number, value: Buffer | null, key: string): Promise<void> {
    while (!tryProduce(this.#producer, topic, partition, value, key)) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve
        setTimeout(resolve, 100)
      })
    }
    this.written++
  }

  /** One transaction after the other, about one in five aborted, the last one too. */
  async #transact(): Promise<void> {
    let life = 0
    let producer: Producer | undefined
    while (this.#running || this.#transactionsDue > 0) {
      const records = Math.min(this.#transactionsDue, 500)
      if (records === 0) {
        await pause(tickMs)
        continue
      }
      try {
        producer ??= await this.#connectTransactional(++life)
        await this.#transaction(producer, records, this.#random.next() < 0.2)
        this.#transactionsDue -= records
      } catch {
        // Unknown outcome: a new life of the same id ends what the old one left open. The log tells what became of it.
        await disconnect(producer)
        producer = undefined
        await pause(200)
      }
    }
    if (producer) await this.#transaction(producer, 10, true).catch(() => undefined)
    await disconnect(producer)
  }

  async #connectTransactional(life: number): Promise<Producer> {
    const producer = new kafka.Producer(
      {
        'bootstrap.servers': this.#options.bootstrap,
        'client.id': `transactional-${life}`,
        'transactional.id': this.#options.topics.transactional,
        'transaction.timeout.ms': 10_000,
        'reconnect.backoff.max.ms': 1000,
      },
      undefined,
    )
    ;(producer as NodeJS.EventEmitter).on('error', () => undefined)
    await within(10_000, (done) => producer.connect({ timeout: 8000 }, done))
    await within(10_000, (done) => producer.initTransactions(8000, done))
    return producer
  }

  async #transaction(producer: Producer, records: number, abort: boolean): Promise<void> {
    const { topics, encoding } = this.#options
    await within(5000, (done) => producer.beginTransaction(done))
    for (let index = 0; index < records; index++) {
      const sequence = ++this.#sequence
      const key = `t${sequence % keys}`
      producer.produce(topics.transactional, sequence % 3, encode(encoding, key, sequence), key)
    }
    // An aborted transaction leaves nothing in the log unless its records have got there.
    await within(10_000, (done) => producer.flush(8000, done))
    if (abort) await within(10_000, (done) => producer.abortTransaction(8000, done))
    else await within(10_000, (done) => producer.commitTransaction(8000, done))
    this.written += records
    if (abort) this.abortedTransactions++
    else this.committedTransactions++
  }

  async #flush(): Promise<void> {
    await new Promise<void>((resolve, reject) =>
      this.#producer.flush(120_000, (error) => (error ? reject(error) : resolve())),
    )
  }
}

/** No Entry: cut short, a field of another type, text that is no UTF-8, a group that never ends, nothing but a tag. */
const poisonBytes = ['0a0561', '0805', '0a02c328', '0b0b', 'ff'].map((hex) => Buffer.from(hex, 'hex'))
const poisonTexts = ['{"key": "cut', 'no json', '[1, 2', '\u0000'].map((text) => Buffer.from(text))

function tryProduce(producer: Producer, topic: string, partition: number, value: Buffer | null, key: string): boolean {
  try {
    producer.produce(topic, partition, value, key)
    return true
  } catch (error) {
    // Full, or a partition so new that the client does not know it: a moment later.
    const { ERR__QUEUE_FULL, ERR__UNKNOWN_PARTITION } = kafka.CODES.ERRORS
    if ([ERR__QUEUE_FULL, ERR__UNKNOWN_PARTITION].includes((error as { code: number }).code)) return false
    throw error
  }
}

/** The binding's transactional calls may never call back when the broker dies meanwhile. */
async function within(ms: number, call: (done: (error: unknown) => void) => void): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const deadline = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer in ${ms} ms`)), ms)
  })
  const answered = new Promise<void>((resolve, reject) => call((error) => (error ? reject(error) : resolve())))
  answered.catch(() => undefined)
  await Promise.race([answered, deadline]).finally(() => clearTimeout(timer))
}

async function disconnect(producer: Producer | undefined): Promise<void> {
  if (producer) await within(5000, (done) => void producer.disconnect(2000, done)).catch(() => undefined)
}
