import type { SlabView } from '../kafka/slab.ts'
import type { Column, TableSchema } from './columns.ts'
import type { RecordFaultCode } from './record-fault.ts'

/** Where the slabs of one lane come from. */
export interface Origin {
  readonly topic: string
  readonly partition: number
}

/** A record that is no row: its place among the slabs given, so that the caller can keep its bytes, and why. */
export interface BadRecord {
  /** Index of the slab in the call, and of the record in the slab. */
  readonly slab: number
  readonly record: number
  readonly offset: number
  readonly code: RecordFaultCode
  /** One line for an operator: names the field and the byte where known, never the record's text. */
  readonly reason: string
}

/** Why a record is neither a row nor bad: counted, so that the books balance. */
export type SkipReason = 'tombstone'

/** One lane's slabs as columns. `recordCount` = `rowCount` + `bad.length` + `skipped`, always. */
export interface Decoded {
  readonly recordCount: number
  readonly rowCount: number
  /** Kafka offset of each row, ascending. */
  readonly offsets: Float64Array
  /** Aligned with the table's columns; each has exactly `rowCount` rows. */
  readonly columns: readonly Column[]
  /** In the order of the log. */
  readonly bad: readonly BadRecord[]
  readonly skipped: number
  readonly skippedByReason: Readonly<Record<SkipReason, number>>
  /** Offset of the last record + 1; -1 when the slabs held none. */
  readonly next: number
  /**
   * Gives the arrays of `offsets` and `columns` back to the decoder, which fills them anew: nobody may read them after that.
   * Called when the last who could has ended, once or more; where it never is, they are left to the garbage collector.
   */
  readonly release: () => void
}

/**
 * Turns records into rows. All decoders of a plan give the same columns, byte for byte, and the same bad records with
 * the same codes; the rules are written at `planTable`, `WireCheck` and `JsonMapping`. Only the payload bits of a NaN
 * are not part of its value.
 */
export interface Decoder {
  readonly table: TableSchema

  /**
   * Decodes slabs of ONE lane, in order. Never throws for what a record holds. Keeps nothing of the slabs: the columns
   * are copies and belong to the caller until it releases them. Throws a RangeError when one column outgrows 1 GiB: the load
   * was far too big.
   */
  decode(slabs: readonly SlabView[], origin: Origin): Decoded
}
