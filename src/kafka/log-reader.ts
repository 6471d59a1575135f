import { KafkaUnavailableError } from '../errors.ts'
import { Consumer } from './consumer.ts'
import { partitionKey } from './partition-reader.ts'
import type { PartitionReader, TopicPartition } from './partition-reader.ts'
import { createReader } from './reader-choice.ts'
import { SlabView } from './slab.ts'

const connectTimeoutMs = 10_000
const disconnectTimeoutMs = 5_000
const slabBytesMax = 1024 * 1024
/** Read ahead of whoever looks at the records. */
const aheadBytes = 8 * slabBytesMax
/** Nothing new for so long: a broker that does not answer, or a transaction that is still open. */
const silenceMaxMs = 30_000

/** Reads partitions from one offset to another, committed records only, as a member of no group. One partition at a time. */
export class LogReader {
  readonly #consumer: Consumer
  readonly #reader: PartitionReader

  private constructor(consumer: Consumer) {
    this.#consumer = consumer
    this.#reader = createReader(
      consumer.binding,
      'auto',
      // Whoever looks on wants to see large ones, too.
      { slabBytesMax, recordBytesMax: 2 ** 30 },
      () => undefined,
      () => undefined,
    )
  }

  /** `settings` are a consumer's. Rejects with KafkaUnavailableError. */
  static async connect(settings: Readonly<Record<string, unknown>>): Promise<LogReader> {
    // Librdkafka wants a group's name, but joins none before it subscribes: partitions are assigned by us.
    const consumer = new Consumer(settings, {
      rebalance: () => undefined,
      statistics: () => undefined,
      log: () => undefined,
    })
    await consumer.connect(connectTimeoutMs)
    return new LogReader(consumer)
  }

  /** The log's first offset and the one after its last. */
  range(partition: TopicPartition): Promise<{ start: number; end: number }> {
    return this.#consumer.logRange(partition)
  }

  /**
   * What lies in [from, to), in order; the last slab may go beyond. Rejects with KafkaUnavailableError when the log does not
   * come to `to`.
   */
  async *read(partition: TopicPartition, from: number, to: number): AsyncGenerator<SlabView> {
    if (from >= to) return
    const arrived: SlabView[] = []
    this.#reader.open(partition, (slab) => arrived.push(new SlabView(slab)))
    this.#consumer.binding.assign([{ ...partition, offset: from }])
    this.#reader.grant(partition, aheadBytes)
    let position = from
    let movedAt = performance.now()
    try {
      while (position < to) {
        await this.#reader.poll()
        for (const slab of arrived.splice(0)) {
          yield slab
          this.#reader.grant(partition, slab.buffer.byteLength)
        }
        const now = this.#reader.position(partition) ?? position
        if (now > position) movedAt = performance.now()
        position = now
        if (performance.now() - movedAt > silenceMaxMs) {
          const why = `nothing came after offset ${position} for ${silenceMaxMs / 1000} s: a transaction may be open there`
          throw new KafkaUnavailableError(`${partitionKey(partition)}: ${why}; end with --to ${position}`)
        }
      }
    } finally {
      this.#reader.close(partition)
      this.#consumer.binding.unassign()
    }
  }

  async close(): Promise<void> {
    await this.#reader.stop()
    // It has a deadline, and what was read does not depend on it.
    await this.#consumer.disconnect(disconnectTimeoutMs).catch(() => undefined)
  }
}
