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
  /** The same of its deletes. */
  readonly deletesFrom: number
}

/** Compare-and-swap: what becomes of a batch, given what is stored. One that applies is put on the list. */
export function decide(batch: Batch, stored: StoredPosition | undefined, applying: Applying[]): Ack {
  if (stored?.epoch !== batch.epoch) return { kind: 'fenced' }
  const { next } = stored
  if (next !== null && next >= batch.next) return { kind: 'durable', next, rows: 0 }
  if (next !== null && next < batch.base) return { kind: 'resync', position: next }
  const deletes = batch.deletes?.offsets ?? noOffsets
  const from = firstAt(batch.offsets.subarray(0, batch.rowCount), next)
  const deletesFrom = firstAt(deletes, next)
  applying.push({ batch, from, deletesFrom })
  return { kind: 'durable', next: batch.next, rows: batch.rowCount - from + deletes.length - deletesFrom }
}

const noOffsets = new Float64Array(0)

/** The first offset from `next` on. */
function firstAt(offsets: Float64Array, next: number | null): number {
  let from = 0
  while (next !== null && from < offsets.length && offsets[from]! < next) from++
  return from
}

/** JSON keeps apart what a separator might join. */
export const positionKey = ({
  route,
  topic,
  partition,
}: Pick<SinkPartition, 'route' | 'topic' | 'partition'>): string => JSON.stringify([route, topic, partition])
