import { columnBytesMax } from './column-builder.ts'
import type { Column, ColumnType, FixedValues } from './columns.ts'

/**
 * The arrays of a column that a compiled decoder writes in place, a row at a time: row r has the r-th element. Rows not yet
 * written are zeros with a value, so an absent field with a default costs nothing.
 */
export type ColumnArrays = FixedArrays | VariableArrays

/** The arrays for a column of `type`. */
export function createColumnArrays(type: ColumnType, nullable: boolean): ColumnArrays {
  if (type in fixedKinds) return new FixedArrays(fixedKinds[type as keyof typeof fixedKinds], nullable)
  return new VariableArrays(nullable)
}

const fixedKinds = {
  bool: Uint8Array,
  int32: Int32Array,
  uint32: Uint32Array,
  float32: Float32Array,
  float64: Float64Array,
  int64: BigInt64Array,
  timestamp: BigInt64Array,
  timestampNanos: BigInt64Array,
  duration: BigInt64Array,
  uint64: BigUint64Array,
} as const

type FixedKind = (typeof fixedKinds)[keyof typeof fixedKinds]

export class FixedArrays {
  readonly #kind: FixedKind
  readonly #nullable: boolean
  /** What is written to: the values, or of 64-bit integers their words, the low one first. */
  slots: Exclude<FixedValues, BigInt64Array | BigUint64Array> = new Uint8Array(0)
  validity = new Uint8Array(0)
  #values: FixedValues = this.slots

  constructor(kind: FixedKind, nullable: boolean) {
    this.#kind = kind
    this.#nullable = nullable
  }

  begin(rowCount: number): void {
    const values = new this.#kind(rowCount)
    const wide = values instanceof BigInt64Array || values instanceof BigUint64Array
    this.#values = values
    this.slots = wide ? new Int32Array(values.buffer) : values
    this.validity = allValid(this.#nullable ? rowCount : 0)
  }

  /** Makes row `row` as it was before it was written. */
  undo(row: number): void {
    if (this.slots.length > this.#values.length) this.slots.fill(0, row * 2, row * 2 + 2)
    else this.slots[row] = 0
    restore(this.validity, row)
  }

  finish(rowCount: number): Column {
    const values = this.#values.subarray(0, rowCount)
    const validity = validityOf(this.validity, rowCount)
    this.begin(0)
    return { kind: 'fixed', values, validity }
  }
}

export class VariableArrays {
  readonly #nullable: boolean
  offsets = new Uint32Array(1)
  bytes = new Uint8Array(0)
  view = new DataView(this.bytes.buffer)
  validity = new Uint8Array(0)
  /** What the last column took: the next one of the same table is likely to take as much. */
  #bytesExpected = bytesMin

  constructor(nullable: boolean) {
    this.#nullable = nullable
  }

  begin(rowCount: number): void {
    this.offsets = new Uint32Array(rowCount + 1)
    this.#setBytes(rowCount === 0 ? 0 : this.#bytesExpected)
    this.validity = allValid(this.#nullable ? rowCount : 0)
  }

  /** Makes room for `more` bytes after the first `used`. */
  grow(used: number, more: number): void {
    const needed = used + more
    if (needed <= this.bytes.length) return
    if (needed > columnBytesMax) {
      throw new RangeError(`a column of ${needed} bytes exceeds ${columnBytesMax}: lower batch.maxBytes`)
    }
    const kept = this.bytes
    this.#setBytes(Math.min(columnBytesMax, Math.max(needed, kept.length * 2)))
    this.bytes.set(kept.subarray(0, used))
  }

  undo(row: number): void {
    restore(this.validity, row)
  }

  finish(rowCount: number): Column {
    const offsets = this.offsets.subarray(0, rowCount + 1)
    const byteCount = offsets[rowCount]!
    const bytes = this.bytes.subarray(0, byteCount)
    const validity = validityOf(this.validity, rowCount)
    this.#bytesExpected = Math.max(bytesMin, Math.ceil(byteCount * 1.125))
    this.begin(0)
    return { kind: 'variable', offsets, bytes, validity }
  }

  #setBytes(byteCount: number): void {
    // Not filled with zeros: every byte below the last offset is written.
    this.bytes = new Uint8Array(Buffer.allocUnsafeSlow(byteCount).buffer)
    this.view = new DataView(this.bytes.buffer)
  }
}

const bytesMin = 1024

function allValid(rowCount: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array((rowCount + 7) >> 3).fill(0xff)
}

function restore(validity: Uint8Array, row: number): void {
  if (row >> 3 < validity.length) validity[row >> 3]! |= 1 << (row & 7)
}

/** Undefined when every row has a value. */
function validityOf(validity: Uint8Array, rowCount: number): Uint8Array | undefined {
  const bits = validity.subarray(0, (rowCount + 7) >> 3)
  for (let at = 0; at < bits.length; at++) if (bits[at] !== 0xff) return bits
  return undefined
}
