import type { Batch } from '../decode/columns.ts'
import type { Ack, SinkPartition } from './sink.ts'

/** The newest claim of a partition, as a sink with positions has it stored. */
export interface StoredPosition {
  readonly epoch: number
  /** Null until the first write. */
  readonly next: number | null
}

/** A batch that applies: its rows from `from` on are not in the table yet. */
export interface Applying {
  readonly batch: Batch
  readonly from: number
}

/** Compare-and-swap: what becomes of a batch, given what is stored. One that applies is put on the list. */
export function decide(batch: Batch, stored: StoredPosition | undefined, applying: Applying[]): Ack {
  if (stored?.epoch !== batch.epoch) return { kind: 'fenced' }
  const { next } = stored
  if (next !== null && next >= batch.next) return { kind: 'durable', next, rows: 0 }
  if (next !== null && next < batch.base) return { kind: 'resync', position: next }
  let from = 0
  while (next !== null && from < batch.rowCount && batch.offsets[from]! < next) from++
  applying.push({ batch, from })
  return { kind: 'durable', next: batch.next, rows: batch.rowCount - from }
}

/** JSON keeps apart what a separator might join. */
export const positionKey = ({
  route,
  topic,
  partition,
}: Pick<SinkPartition, 'route' | 'topic' | 'partition'>): string => JSON.stringify([route, topic, partition])
