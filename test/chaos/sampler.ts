import kafka from '@confluentinc/kafka-javascript'
import type { KafkaConsumer, TopicPartitionOffset } from '@confluentinc/kafka-javascript'
import { setTimeout as pause } from 'node:timers/promises'
import type { Bound, Store } from './store.ts'
import type { Topics } from './topics.ts'
import { sourceTopics } from './topics.ts'

/** What the group had committed at a moment, and what the store then had of it. */
export interface Sample {
  readonly bounds: readonly Bound[]
  readonly rows: readonly number[]
}

const requestTimeoutMs = 3000
/** A look at the store may cost so many times less than what lies between two looks. */
const idleFactor = 12
const leastBetweenMs = 1000

/**
 * Looks at the group's committed offsets first, then at the store: as the store only grows, a row that is missing below a
 * committed offset was missing when it was committed.
 */
export class Sampler {
  readonly samples: Sample[] = []
  readonly #store: Store
  readonly #topics: Topics
  readonly #partitions: () => number
  readonly #consumer: KafkaConsumer
  #running = true
  #looking: Promise<void> = Promise.resolve()

  private constructor(store: Store, topics: Topics, partitions: () => number, consumer: KafkaConsumer) {
    this.#store = store
    this.#topics = topics
    this.#partitions = partitions
    this.#consumer = consumer
  }

  /** `group` is asked about and never joined. `partitions`: of the plain topic, now. */
  static async start(
    bootstrap: string,
    group: string,
    store: Store,
    topics: Topics,
    partitions: () => number,
  ): Promise<Sampler> {
    const consumer = new kafka.KafkaConsumer(
      { 'bootstrap.servers': bootstrap, 'group.id': group, 'reconnect.backoff.max.ms': 1000 },
      undefined,
    )
    ;(consumer as NodeJS.EventEmitter).on('error', () => undefined)
    await new Promise<void>((resolve, reject) => consumer.connect({}, (error) => (error ? reject(error) : resolve())))
    return new Sampler(store, topics, partitions, consumer)
  }

  /**
   * Takes samples until `stop`. A file is left alone: whoever looks into it keeps a daemon that starts just then from opening
   * it, so there are samples of it only when a daemon has ended.
   */
  run(): void {
    if (this.#store.place.type === 'duckdb') return
    this.#looking = (async () => {
      while (this.#running) {
        const startedAt = performance.now()
        await this.sample()
        await pause(Math.max(leastBetweenMs, (performance.now() - startedAt) * idleFactor))
      }
    })()
  }

  async sample(): Promise<void> {
    const bounds = await this.committed()
    if (bounds === undefined || bounds.length === 0) return
    const rows = await this.#store.countBelow(bounds).catch(() => undefined)
    if (rows) this.samples.push({ bounds, rows })
  }

  /** What the group has committed, of partitions that have a commit; undefined when the broker does not say. */
  async committed(): Promise<Bound[] | undefined> {
    const partitions = sourceTopics(this.#topics).flatMap((topic) =>
      Array.from({ length: topic === this.#topics.plain ? this.#partitions() : fixedPartitions }, (_, partition) => ({
        topic,
        partition,
      })),
    )
    return new Promise((resolve) => {
      this.#consumer.committed(partitions, requestTimeoutMs, (error, found: TopicPartitionOffset[]) => {
        if (error) resolve(undefined)
        else resolve(found.filter(({ offset }) => offset >= 0))
      })
    })
  }

  /** The sum of all committed offsets: it rises while the group makes progress. */
  async progress(): Promise<number | undefined> {
    return (await this.committed())?.reduce((sum, { offset }) => sum + offset, 0)
  }

  async stop(): Promise<void> {
    this.#running = false
    await this.#looking
    await new Promise<void>((resolve) => void this.#consumer.disconnect(() => resolve()))
  }
}

/** Of the transactional and the compacted topic; the generator writes to fewer. */
export const fixedPartitions = 3
