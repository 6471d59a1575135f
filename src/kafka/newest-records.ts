import { KafkaUnavailableError } from '../errors.ts'
import { BindingReader } from './binding-reader.ts'
import { Consumer } from './consumer.ts'
import { partitionKey } from './partition-reader.ts'
import type { TopicPartition } from './partition-reader.ts'
import { joinSlabs, SlabView } from './slab.ts'

/** The newest records of one partition, in the order of the log. */
export interface NewestRecords extends TopicPartition {
  readonly slab: ArrayBuffer
}

/** A partition, the part of its log that is there, and how many of its records are wanted. */
interface Wanted extends TopicPartition {
  readonly start: number
  readonly end: number
  readonly count: number
}

const connectTimeoutMs = 10_000
const disconnectTimeoutMs = 5_000
/** A log has holes; where too few records were found, so many times as many offsets are looked through the next time. */
const widening = 8

/**
 * The newest `count` records, shared out among the partitions: what is coming in now. Joins no group, commits nothing. What
 * the log holds of markers and compacted records is passed over. `complete` is false when not all of them came within
 * `timeoutMs` of the connection. Rejects with KafkaUnavailableError.
 */
export async function readNewest(
  settings: Readonly<Record<string, unknown>>,
  partitions: readonly TopicPartition[],
  count: number,
  timeoutMs: number,
): Promise<{ readonly records: readonly NewestRecords[]; readonly complete: boolean }> {
  // Librdkafka wants a group's name, but joins none before it subscribes: partitions are assigned by us.
  const consumer = new Consumer(
    { ...settings, 'enable.partition.eof': true, 'statistics.interval.ms': 0 },
    {
      rebalance: () => undefined,
      statistics: () => undefined,
      log: () => undefined,
    },
  )
  await consumer.connect(connectTimeoutMs)
  const deadline = performance.now() + timeoutMs
  try {
    const ranges = await Promise.all(partitions.map((partition) => consumer.logRange(partition)))
    const counts = shareOut(
      ranges.map(({ start, end }) => end - start),
      count,
    )
    const wanted = partitions.map((partition, index) => ({ ...partition, ...ranges[index]!, count: counts[index]! }))
    return await new NewestReader(consumer).read(wanted, deadline)
  } finally {
    // It has a deadline, and what was read does not depend on it.
    await consumer.disconnect(disconnectTimeoutMs).catch(() => undefined)
  }
}

/** Shares `count` out evenly; what a partition does not have goes to the others. */
export function shareOut(available: readonly number[], count: number): number[] {
  const shares = available.map(() => 0)
  const byLeast = available.map((_, index) => index).sort((a, b) => available[a]! - available[b]!)
  let left = count
  byLeast.forEach((index, done) => {
    shares[index] = Math.min(available[index]!, Math.ceil(left / (byLeast.length - done)))
    left -= shares[index]
  })
  return shares
}

class NewestReader {
  readonly #consumer: Consumer
  readonly #reader: BindingReader
  /** What is left to be read to its end, in this round. */
  readonly #unread = new Map<string, Wanted>()
  readonly #slabs = new Map<Wanted, SlabView[]>()

  constructor(consumer: Consumer) {
    this.#consumer = consumer
    this.#reader = new BindingReader(consumer.binding)
    consumer.binding.on('partition.eof', (partition) => this.#unread.delete(partitionKey(partition)))
  }

  async read(all: readonly Wanted[], deadline: number): Promise<{ records: NewestRecords[]; complete: boolean }> {
    let open = all.filter(({ count }) => count > 0)
    const found = open
    for (let times = 1; open.length > 0 && performance.now() < deadline; times *= widening) {
      const from = ({ start, end, count }: Wanted): number => Math.max(start, end - count * times)
      await this.#round(open, from, deadline)
      open = open.filter((each) => this.#count(each) < each.count && from(each) > each.start)
    }
    const records = found.flatMap((each) => {
      const views = this.#slabs.get(each) ?? []
      const { topic, partition, count } = each
      return views.length === 0 ? [] : { topic, partition, slab: joinSlabs(views, count) }
    })
    return { records, complete: open.length === 0 && this.#unread.size === 0 }
  }

  async #round(open: readonly Wanted[], from: (each: Wanted) => number, deadline: number): Promise<void> {
    this.#unread.clear()
    for (const each of open) {
      this.#unread.set(partitionKey(each), each)
      this.#slabs.set(each, [])
      this.#reader.open(each, (slab) => this.#receive(each, new SlabView(slab)))
      this.#reader.grant(each, Infinity)
    }
    this.#consumer.assign(open.map((each) => ({ topic: each.topic, partition: each.partition, offset: from(each) })))
    try {
      while (this.#unread.size > 0 && performance.now() < deadline) await this.#reader.poll()
    } catch (cause) {
      throw new KafkaUnavailableError('the newest records cannot be read', { cause })
    } finally {
      for (const each of open) this.#reader.close(each)
    }
  }

  /** Keeps no more slabs than the newest records need: the window may be much wider. */
  #receive(wanted: Wanted, view: SlabView): void {
    const slabs = this.#slabs.get(wanted)!
    slabs.push(view)
    while (this.#count(wanted) - slabs[0]!.count >= wanted.count) slabs.shift()
    if (view.offset(view.count - 1) >= wanted.end - 1) this.#unread.delete(partitionKey(wanted))
  }

  #count(wanted: Wanted): number {
    return (this.#slabs.get(wanted) ?? []).reduce((sum, { count }) => sum + count, 0)
  }
}
