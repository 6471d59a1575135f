import assert from 'node:assert/strict'
import { KafkaRefusedError, KafkaUnavailableError } from '../errors.ts'
import { createBindingConsumer, errorCodes, kafkaErrorCode } from './binding.ts'
import type { BindingConsumer } from './binding.ts'
import { connectClient, disconnectClient } from './client-connection.ts'
import type { TopicPartition } from './partition-reader.ts'

export interface PartitionOffset extends TopicPartition {
  readonly offset: number
}

/** A change of the assignment. Librdkafka stands still until `assign` or `unassign` answers it, so every one is answered. */
export type Rebalance =
  | { readonly kind: 'assign'; readonly partitions: readonly TopicPartition[] }
  /** `lost`: the group has already given the partitions to others; nothing of them may be committed. */
  | { readonly kind: 'revoke'; readonly partitions: readonly TopicPartition[]; readonly lost: boolean }

/** Called on the main thread, from the common queue; must not throw. */
export interface ConsumerEvents {
  rebalance(event: Rebalance): void
  statistics(json: string): void
  log(level: number, facility: string, message: string): void
}

const requestTimeoutMs = 15_000

/**
 * The group member: connects, answers rebalances, commits, asks for offsets. One a process life, because the binding
 * leaks the native object by design. Records are handed over by a PartitionReader, not by this.
 */
export class Consumer {
  readonly binding: BindingConsumer
  readonly #events: ConsumerEvents
  /** Commits under way, oldest first. An answer names its offsets: one that never came must not shift the ones after it. */
  readonly #commits: { asked: string; resolve: () => void; reject: (error: Error) => void }[] = []
  #closing = false

  constructor(settings: Readonly<Record<string, unknown>>, events: ConsumerEvents) {
    this.#events = events
    try {
      this.binding = createBindingConsumer({
        ...settings,
        rebalance_cb: (error: unknown, partitions: TopicPartition[]) => this.#onRebalance(error, partitions),
        offset_commit_cb: (error: unknown, offsets: readonly PartitionOffset[]) => this.#onCommitted(error, offsets),
      })
    } catch (cause) {
      throw new KafkaRefusedError(`kafka.properties: librdkafka refuses the settings`, { cause })
    }
    this.binding.on('event.stats', ({ message }: { message: string }) => events.statistics(message))
    this.binding.on('event.log', ({ severity, fac, message }: { severity: number; fac: string; message: string }) =>
      events.log(severity, fac, message),
    )
    // Token refresh and others emit here; without a listener the process would die.
    this.binding.on('event.error', (error) => events.log(4, 'ERROR', error.message))
    ;(this.binding as NodeJS.EventEmitter).on('error', (error: Error) => events.log(3, 'ERROR', error.message))
  }

  /** Rejects with KafkaUnavailableError naming the last thing that went wrong on a connection. */
  async connect(timeoutMs: number): Promise<void> {
    await connectClient(this.binding, timeoutMs)
  }

  /** Joins the group. Names, or patterns that begin with ^. */
  subscribe(topics: readonly string[]): void {
    this.binding.subscribe([...topics])
  }

  /** Answers an `assign`: begins fetching each partition at its offset. */
  assign(partitions: readonly PartitionOffset[]): void {
    const wanted = partitions.map(({ topic, partition, offset }) => ({ topic, partition, offset: startOffset(offset) }))
    if (this.binding.rebalanceProtocol() === 'COOPERATIVE') this.binding.incrementalAssign(wanted)
    else this.binding.assign(wanted)
  }

  /** Answers a `revoke`: gives the partitions up. */
  unassign(partitions: readonly TopicPartition[]): void {
    if (this.binding.rebalanceProtocol() === 'COOPERATIVE') this.binding.incrementalUnassign([...partitions])
    else this.binding.unassign()
  }

  /**
   * Begins to fetch a partition anew that librdkafka has given up, and refuses to seek. Throws a KafkaRefusedError where the
   * group's protocol hands over all partitions together: then only a restart helps.
   */
  retake({ topic, partition }: TopicPartition, offset: number, open: () => void): void {
    if (this.binding.rebalanceProtocol() !== 'COOPERATIVE') {
      throw new KafkaRefusedError(
        `${topic}/${partition} can be read again only after a restart: partition.assignment.strategy is an eager one`,
      )
    }
    this.binding.incrementalUnassign([{ topic, partition }])
    open()
    this.binding.incrementalAssign([{ topic, partition, offset: startOffset(offset) }])
  }

  /** True from when the group gave our partitions to others until the revoke that tells us of it is answered. */
  assignmentLost(): boolean {
    return this.binding.assignmentLost()
  }

  /**
   * Commits next offsets and waits for the broker's answer, which needs the common queue to be polled meanwhile. Rejects
   * with KafkaUnavailableError; what was committed then is unknown. At most one at a time.
   */
  commit(offsets: readonly PartitionOffset[]): Promise<void> {
    for (const { topic, partition, offset } of offsets) {
      // Anything else than such a number makes the binding commit offset 0 without a word.
      assert(topic && partition >= 0 && Number.isSafeInteger(offset) && offset >= 0, `commit ${topic}/${partition}`)
    }
    return new Promise((resolve, reject) => {
      this.#commits.push({ asked: offsetsText(offsets), resolve, reject })
      try {
        this.binding.commit([...offsets])
      } catch (cause) {
        this.#commits.pop()
        reject(new KafkaUnavailableError('the offset commit could not be sent', { cause }))
      }
    })
  }

  /** The group's committed offsets, in the order asked; undefined where there is none. */
  async committed(partitions: readonly TopicPartition[]): Promise<(number | undefined)[]> {
    if (partitions.length === 0) return []
    const found = await new Promise<readonly (PartitionOffset | Error)[]>((resolve, reject) => {
      this.binding.committed([...partitions], requestTimeoutMs, (error: unknown, result) => {
        if (error) reject(new KafkaUnavailableError('the committed offsets cannot be read', { cause: error }))
        else resolve(result)
      })
    })
    return partitions.map(({ topic, partition }) => {
      const entry = found.find(
        (each) => !(each instanceof Error) && each.topic === topic && each.partition === partition,
      )
      if (entry === undefined)
        throw new KafkaUnavailableError(`no committed offset was answered for ${topic}/${partition}`)
      const { offset } = entry as Partial<PartitionOffset>
      return typeof offset === 'number' && offset >= 0 ? offset : undefined
    })
  }

  /** The log's first offset and the one after its last, as the broker has them now. */
  async logRange({ topic, partition }: TopicPartition): Promise<{ start: number; end: number }> {
    return new Promise((resolve, reject) => {
      this.binding.queryWatermarkOffsets(topic, partition, requestTimeoutMs, (error: unknown, offsets) => {
        if (error)
          reject(new KafkaUnavailableError(`the offsets of ${topic}/${partition} cannot be read`, { cause: error }))
        else resolve({ start: offsets.lowOffset, end: offsets.highOffset })
      })
    })
  }

  /**
   * Leaves the group. From here on a revoke is answered at once: an unanswered one would hang the disconnect and then
   * the exit. Drain and commit before. No other call may follow.
   */
  async disconnect(timeoutMs: number): Promise<void> {
    this.#closing = true
    await disconnectClient(this.binding, timeoutMs)
  }

  #onRebalance(error: unknown, partitions: readonly TopicPartition[]): void {
    const code = kafkaErrorCode(error)
    if (code === errorCodes.assignPartitions) {
      // A late assignment while leaving would be waited for like any other: answer with nothing to fetch.
      if (this.#closing) this.assign([])
      else this.#events.rebalance({ kind: 'assign', partitions })
    } else if (this.#closing) {
      this.unassign(partitions)
    } else {
      this.#events.rebalance({ kind: 'revoke', partitions, lost: this.binding.assignmentLost() })
    }
  }

  #onCommitted(error: unknown, offsets: readonly PartitionOffset[]): void {
    const answered = this.#commits.findIndex(({ asked }) => asked === offsetsText(offsets))
    const commit = this.#commits[answered]
    if (commit === undefined) return
    // What was asked before and is not answered by now never will be.
    this.#commits.splice(0, answered + 1)
    if (error) commit.reject(new KafkaUnavailableError('the broker refused the offset commit', { cause: error }))
    else commit.resolve()
  }
}

/** The same for the same offsets, in whatever order. */
const offsetsText = (offsets: readonly PartitionOffset[]): string =>
  offsets
    .map(({ topic, partition, offset }) => `${topic}/${partition}=${offset}`)
    .sort()
    .join()

/** librdkafka's logical offset for the beginning of the log. */
export const beginningOfLog = -2

function startOffset(offset: number): number {
  assert(Number.isSafeInteger(offset) && (offset >= 0 || offset === beginningOfLog), `start offset ${offset}`)
  return offset
}
