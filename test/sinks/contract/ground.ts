import assert from 'node:assert/strict'
import { setTimeout as pause } from 'node:timers/promises'
import type { Batch, TableSchema } from '../../../src/decode/columns.ts'
import type { Ack, Claimed, Sink, SinkPartition } from '../../../src/sinks/sink.ts'
import { contractBatch, contractTable } from '../../support/sink-batches.ts'
import type { BatchPlace } from '../../support/sink-batches.ts'
import { spoiling } from '../../support/spoiling-sink.ts'
import { makeSink } from './store-under-test.ts'
import type { StoreUnderTest } from './store-under-test.ts'

const writtenWithinMs = 20_000
const againAfterMs = 20

/** What a case stands on: a store, the sinks that it opened on it, and the words to speak of rows. */
export class Ground<Store extends StoreUnderTest = StoreUnderTest> {
  readonly store: Store
  readonly #patienceMs: number
  readonly #opened = new Set<Sink>()

  /** `patienceMs` is how long a sink that answers `retry` is waited for. */
  constructor(store: Store, patienceMs = 60_000) {
    this.store = store
    this.#patienceMs = patienceMs
  }

  async open(group = 'g', table: TableSchema = contractTable): Promise<Sink> {
    const sink = spoiling(await makeSink(this.store.maker, group))
    this.#opened.add(sink)
    await sink.open()
    await sink.evolve(table)
    return sink
  }

  /** Another sink beside the first, where the store allows that: else the first, which then stands for two owners. */
  async openSecond(first: Sink): Promise<Sink> {
    return this.store.several ? this.open() : first
  }

  async closeAll(): Promise<void> {
    for (const sink of this.#opened) await sink.close()
    this.#opened.clear()
  }

  async end(): Promise<void> {
    await this.closeAll()
    await this.store.remove()
  }

  async claim(sink: Sink, over: Partial<SinkPartition> = {}): Promise<Claimed> {
    const [claimed] = await sink.claim([partition(over)])
    return claimed!
  }

  write(sink: Sink, ...places: BatchPlace[]): Promise<readonly Ack[]> {
    return this.writeUnder(AbortSignal.timeout(writtenWithinMs), sink, ...places)
  }

  writeUnder(signal: AbortSignal, sink: Sink, ...places: BatchPlace[]): Promise<readonly Ack[]> {
    return sink.write(places.map(contractBatch), signal)
  }

  /** Writes as the core does, for as long as the answer is `retry`. Gives the last answer, and the errors before it. */
  async deliver(sink: Sink, batch: BatchPlace | Batch): Promise<{ ack: Ack; errors: Error[] }> {
    const deadline = performance.now() + this.#patienceMs
    const errors: Error[] = []
    for (;;) {
      const made = 'columns' in batch ? batch : contractBatch(batch)
      const [ack] = await sink.write([made], AbortSignal.timeout(writtenWithinMs))
      if (ack?.kind !== 'retry') return { ack: ack!, errors }
      errors.push(ack.error)
      assert.ok(performance.now() < deadline, `still not written: ${ack.error.message}`)
      await pause(againAfterMs)
    }
  }

  /** The rows, as a reader sees them when the daemon is gone. */
  async rows(): Promise<string[]> {
    await this.closeAll()
    return inOrder(await this.store.rows())
  }

  /** Every offset below `next` is there once, of partition 0, and nothing else. */
  async holdsJust(next: number): Promise<void> {
    assert.deepEqual(await this.rows(), places(range(0, next)))
  }
}

export interface ContractCase<Store extends StoreUnderTest = StoreUnderTest> {
  /** A sentence about what every sink with positions does. */
  readonly name: string
  readonly run: (ground: Ground<Store>) => Promise<void>
}

export const partition = (over: Partial<SinkPartition> = {}): SinkPartition => ({
  ...{ route: 'r', topic: 't', partition: 0, topicId: 'id-1' },
  ...over,
})

export const range = (base: number, next: number) => Array.from({ length: next - base }, (_, index) => base + index)
export const inOrder = (rows: readonly string[]) => [...rows].sort()
export const places = (offsets: readonly number[], of = 0) => inOrder(offsets.map((offset) => `${of}/${offset}`))
