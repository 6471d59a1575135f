import { KafkaUnavailableError } from '../errors.ts'
import { failPoint, failPointsArmed } from '../fail-points.ts'
import type { PartitionOffset } from './consumer.ts'
import { partitionKey } from './partition-reader.ts'

/** Sends a commit and waits for the broker's answer. */
export type SendCommit = (offsets: readonly PartitionOffset[]) => Promise<void>

/** An answer that does not come must not hold back every later commit; the next one contains what this one asked. */
const answerMaxMsByDefault = 30_000

/**
 * Commits watermarks: whatever the source says is durable and was not committed before. One request at a time; a failed one
 * is forgotten, because the watermarks of the next one contain it.
 */
export class OffsetCommitter {
  readonly #send: SendCommit
  readonly #watermarks: () => readonly PartitionOffset[]
  readonly #onResult: (error: Error | undefined) => void
  readonly #answerMaxMs: number
  readonly #committed = new Map<string, number>()
  /** The request under way, and the partitions of it that are still ours. */
  #current: Promise<void> | undefined
  #asked = new Set<string>()
  #timer: NodeJS.Timeout | undefined

  /** `watermarks` gives, for each partition that is ours now, the offset below which all is durable or dead-lettered. */
  constructor(
    send: SendCommit,
    watermarks: () => readonly PartitionOffset[],
    onResult: (error: Error | undefined) => void,
    answerMaxMs = answerMaxMsByDefault,
  ) {
    this.#send = send
    this.#watermarks = watermarks
    this.#onResult = onResult
    this.#answerMaxMs = answerMaxMs
  }

  start(intervalMs: number): void {
    this.#timer = setInterval(() => void this.commit(), intervalMs)
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  /** What the broker has acknowledged of this partition in this assignment; undefined: nothing. */
  committed(partition: { topic: string; partition: number }): number | undefined {
    return this.#committed.get(partitionKey(partition))
  }

  /**
   * Commits now and waits for the broker's answer, after a commit under way has ended. True when afterwards everything
   * that was durable at the call is committed. Never rejects: the result goes to `onResult`.
   */
  async commit(): Promise<boolean> {
    // More than once: of several that waited, the first one to go on has sent a request of its own.
    while (this.#current) await this.#current
    const offsets = this.#watermarks().filter((each) => this.#committed.get(partitionKey(each)) !== each.offset)
    if (offsets.length === 0) return true
    this.#asked = new Set(offsets.map(partitionKey))
    let sent = false
    this.#current = this.#answered(offsets).then(
      () => {
        for (const each of offsets) this.#acknowledge(each)
        sent = true
        this.#onResult(undefined)
      },
      (error: Error) => this.#onResult(error),
    )
    await this.#current
    this.#current = undefined
    return sent
  }

  async #answered(offsets: readonly PartitionOffset[]): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    const silence = new Promise<never>((_, reject) => {
      const message = `the broker did not answer an offset commit within ${this.#answerMaxMs / 1000} s`
      timer = setTimeout(() => reject(new KafkaUnavailableError(message)), this.#answerMaxMs)
    })
    await Promise.race([this.#sendBetweenFailPoints(offsets), silence]).finally(() => clearTimeout(timer))
  }

  async #sendBetweenFailPoints(offsets: readonly PartitionOffset[]): Promise<void> {
    if (failPointsArmed) await failPoint('before-offset-commit')
    await this.#send(offsets)
    if (failPointsArmed) await failPoint('after-offset-commit')
  }

  /** Forgets a partition that was given up, an answer still to come too: its next assignment begins from nothing. */
  forget(partition: { topic: string; partition: number }): void {
    this.#committed.delete(partitionKey(partition))
    this.#asked.delete(partitionKey(partition))
  }

  #acknowledge(place: PartitionOffset): void {
    if (this.#asked.has(partitionKey(place))) this.#committed.set(partitionKey(place), place.offset)
  }
}
