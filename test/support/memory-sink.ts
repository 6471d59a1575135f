import type { Batch } from '../../src/decode/columns.ts'
import type { Ack, Claimed, PoisonRow, Sink, SinkPartition } from '../../src/sinks/sink.ts'

/** What the sink answers instead of writing; by default it writes. */
export type Refusal = (batch: Batch) => Ack | undefined

/** A store in memory behind the sink's contract, for tests of what calls a sink: rows by `topic/partition/offset`. */
export class MemorySink implements Sink {
  readonly rows: string[] = []
  /** The batches of every call of `write`. */
  readonly calls: (readonly Batch[])[] = []
  refuse: Refusal = () => undefined

  open(): Promise<void> {
    return Promise.resolve()
  }

  evolve(): Promise<void> {
    return Promise.resolve()
  }

  claim(partitions: readonly SinkPartition[]): Promise<readonly Claimed[]> {
    return Promise.resolve(partitions.map((partition) => ({ ...partition, epoch: 1, position: null })))
  }

  write(batches: readonly Batch[]): Promise<readonly Ack[]> {
    this.calls.push(batches)
    return Promise.resolve(batches.map((batch) => this.refuse(batch) ?? this.#store(batch)))
  }

  close(): Promise<void> {
    return Promise.resolve()
  }

  #store({ topic, partition, offsets, rowCount, next, deletes }: Batch): Ack {
    for (let row = 0; row < rowCount; row++) this.rows.push(`${topic}/${partition}/${offsets[row]}`)
    return { kind: 'durable', next, rows: rowCount + (deletes?.offsets.length ?? 0) }
  }
}

/** Refuses rows at these offsets, as a store does: all that it finds in a batch, and nothing of it is written. */
export const poisonAt =
  (offsets: readonly number[], reason: string): Refusal =>
  (batch) => {
    const rows: PoisonRow[] = []
    for (let row = 0; row < batch.rowCount; row++) {
      if (offsets.includes(batch.offsets[row]!)) rows.push({ row, reason, code: '22003' })
    }
    return rows.length > 0 ? { kind: 'poison', rows } : undefined
  }
