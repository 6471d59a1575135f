/**
 * The columns that a decoder fills and a sink reads: Arrow's in-memory layout without Arrow, so that a sink can copy whole
 * arrays. https://arrow.apache.org/docs/format/Columnar.html
 */

/** What a column or an item of a list holds. The comment gives the typed array in `Column.values`, or the bytes' meaning. */
export type ItemType =
  | 'bool' // Uint8Array, 0 or 1
  | 'int32' // Int32Array
  | 'uint32' // Uint32Array
  | 'int64' // BigInt64Array
  | 'uint64' // BigUint64Array
  | 'float32' // Float32Array
  | 'float64' // Float64Array
  | 'string' // variable: UTF-8
  | 'bytes' // variable

/** A column whose rows are lists, of items that are never null. */
export type ListType = `${ItemType}[]`

export type ColumnType =
  | ItemType
  | ListType
  | 'timestamp' // BigInt64Array, microseconds since 1970-01-01T00:00:00Z
  | 'timestampNanos' // BigInt64Array, nanoseconds since 1970-01-01T00:00:00Z: the years 1677 to 2262
  | 'duration' // BigInt64Array, microseconds
  | 'json' // variable: one JSON text (RFC 8259) in UTF-8

/** One column of a table: the name it has in the sink, its type, and whether a row may have none. */
export interface ColumnSchema {
  readonly name: string
  readonly type: ColumnType
  readonly nullable: boolean
}

/** What a route wants of its table beside columns: the rest of its `table` section. */
export interface TableRules {
  /** Whether an absent table is created. */
  readonly create: boolean
  /** What becomes of a field that the table has no column for: it is added, or the route is refused. */
  readonly evolve: 'add' | 'refuse'
  /** Each record a row, or each key a row that holds its latest record. */
  readonly mode: 'append' | 'upsert'
  /** Columns that name a row, with mode upsert; empty otherwise. */
  readonly keys: readonly string[]
  /** Whether a record without a value deletes the row of its key. */
  readonly deletes: boolean
}

/** The table that a route writes to. Only additive changes are ever made to it. */
export interface TableSchema {
  readonly name: string
  readonly columns: readonly ColumnSchema[]
  readonly rules: TableRules
}

/** What holds for a route that says nothing of its table but the name. */
export const appendRules: TableRules = { create: true, evolve: 'add', mode: 'append', keys: [], deletes: false }

/** Fixed-width values, by column type. */
export type FixedValues =
  Uint8Array | Int32Array | Uint32Array | BigInt64Array | BigUint64Array | Float32Array | Float64Array

/**
 * `validity` is a bitmap, least significant bit first, 1 = the row has a value; absent when every row has one. A row
 * without a value has an unspecified fixed value or an empty range of bytes or items.
 */
export type Column = ItemColumn | ListColumn

export type ItemColumn =
  | { readonly kind: 'fixed'; readonly values: FixedValues; readonly validity: Uint8Array | undefined }
  | {
      readonly kind: 'variable'
      /** Row r is `bytes[offsets[r] .. offsets[r + 1])`; one element more than there are rows. */
      readonly offsets: Uint32Array
      readonly bytes: Uint8Array
      readonly validity: Uint8Array | undefined
    }

/** A column of a `ListType`. An empty list is a value; null is a list in a message that is absent. */
export interface ListColumn {
  readonly kind: 'list'
  /** Row r is the items `offsets[r] .. offsets[r + 1]`; one element more than there are rows. */
  readonly offsets: Uint32Array
  /** The items of all rows, one after the other, as rows of a column of their own; its validity is undefined. */
  readonly items: ItemColumn
  readonly validity: Uint8Array | undefined
}

/** The type of a list's items; undefined for a column that is no list. */
export function itemTypeOf(type: ColumnType): ItemType | undefined {
  return isListType(type) ? (type.slice(0, -2) as ItemType) : undefined
}

function isListType(type: ColumnType): type is ListType {
  return type.endsWith('[]')
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
  /** Records without a value, where `table.rules.deletes` asks for them: each deletes the row of its key. */
  readonly deletes?: Deletes
}

/** Keys whose rows go, each at an offset of its own, ascending. */
export interface Deletes {
  readonly offsets: Float64Array
  /** The bytes of the records' keys, as a column of bytes. */
  readonly keys: ItemColumn & { readonly kind: 'variable' }
}
