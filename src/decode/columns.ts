/**
 * The columns that a decoder fills and a sink reads: Arrow's in-memory layout without Arrow, so that a sink can copy whole
 * arrays. https://arrow.apache.org/docs/format/Columnar.html
 */

/** What a column holds. The comment gives the typed array in `Column.values`, one element a row, or the bytes' meaning. */
export type ColumnType =
  | 'bool' // Uint8Array, 0 or 1
  | 'int32' // Int32Array
  | 'uint32' // Uint32Array
  | 'int64' // BigInt64Array
  | 'uint64' // BigUint64Array
  | 'float32' // Float32Array
  | 'float64' // Float64Array
  | 'timestamp' // BigInt64Array, microseconds since 1970-01-01T00:00:00Z
  | 'duration' // BigInt64Array, microseconds
  | 'string' // variable: UTF-8
  | 'bytes' // variable
  | 'json' // variable: one JSON text (RFC 8259) in UTF-8

/** One column of a table: the name it has in the sink, its type, and whether a row may have none. */
export interface ColumnSchema {
  readonly name: string
  readonly type: ColumnType
  readonly nullable: boolean
}

/** The table that a route writes to. Only additive changes are ever made to it. */
export interface TableSchema {
  readonly name: string
  readonly columns: readonly ColumnSchema[]
}

/** Fixed-width values, by column type. */
export type FixedValues =
  Uint8Array | Int32Array | Uint32Array | BigInt64Array | BigUint64Array | Float32Array | Float64Array

/**
 * `validity` is a bitmap, least significant bit first, 1 = the row has a value; absent when every row has one. A row
 * without a value has an unspecified fixed value or an empty range of bytes.
 */
export type Column =
  | { readonly kind: 'fixed'; readonly values: FixedValues; readonly validity: Uint8Array | undefined }
  | {
      readonly kind: 'variable'
      /** Row r is `bytes[offsets[r] .. offsets[r + 1])`; one element more than there are rows. */
      readonly offsets: Uint32Array
      readonly bytes: Uint8Array
      readonly validity: Uint8Array | undefined
    }

/** True when row `row` of `column` has a value. */
export function hasValue(column: Column, row: number): boolean {
  return column.validity === undefined || ((column.validity[row >> 3] ?? 0) & (1 << (row & 7))) !== 0
}

/**
 * One lane's part of a load, decoded: the half-open offset range [base, next). Every offset in it is a row below, a dead
 * letter, skipped by the route's rule, or a hole in the log; so a batch with no rows is valid and moves the position.
 * Offsets are plain numbers: exact below 2^53, which Kafka's 64-bit offsets do not reach in practice.
 */
export interface Batch {
  readonly route: string
  readonly topic: string
  readonly partition: number
  /** Where the sink must stand for this batch to apply. */
  readonly base: number
  /** Where it stands afterwards: last delivered offset + 1. */
  readonly next: number
  /** From `Sink.claim`; an older epoch than the sink's is a writer that lost the partition. */
  readonly epoch: number
  readonly table: TableSchema
  readonly rowCount: number
  /** Kafka offset of each row, ascending, within [base, next). */
  readonly offsets: Float64Array
  /** Aligned with `table.columns`; each has `rowCount` rows (arrays may be longer: only the first rowCount count). */
  readonly columns: readonly Column[]
}
