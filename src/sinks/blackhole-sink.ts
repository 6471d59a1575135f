import type { Batch } from '../decode/columns.ts'
import type { Ack, Claimed, Sink, SinkPartition } from './sink.ts'

/** Accepts everything and keeps nothing: for measuring what comes before a sink. It has no positions to keep. */
export class BlackholeSink implements Sink {
  #claims = 0

  open(): Promise<void> {
    return Promise.resolve()
  }

  evolve(): Promise<void> {
    return Promise.resolve()
  }

  claim(partitions: readonly SinkPartition[]): Promise<readonly Claimed[]> {
    return Promise.resolve(partitions.map((each) => ({ ...each, epoch: ++this.#claims, position: null })))
  }

  write(batches: readonly Batch[]): Promise<readonly Ack[]> {
    return Promise.resolve(
      batches.map(({ next, rowCount, deletes }) => {
        return { kind: 'durable', next, rows: rowCount + (deletes?.offsets.length ?? 0) }
      }),
    )
  }

  close(): Promise<void> {
    return Promise.resolve()
  }
}
