import { columnBytesMax, grownOffsets, offsetsFor, rowsAfter } from './column-builder.ts'
import type { ColumnMemory } from './column-memory.ts'
import { type ColumnType, type FixedValues, type ItemColumn, itemTypeOf, type ListColumn } from './columns.ts'

/**
 * The arrays of a column that a compiled decoder writes in place, a row at a time: row r has the r-th element. Rows not yet
 * written are zeros with a value, so an absent field with a default costs nothing. They are of the decoder's memory, and
 * may be longer than the rows need.
 */
export type ColumnArrays = ItemArrays | ListArrays
export type ItemArrays = FixedArrays | VariableArrays

/** The arrays for a column of `type`. */
export function createColumnArrays(type: ColumnType, nullable: boolean, memory: ColumnMemory): ColumnArrays {
  const itemType = itemTypeOf(type)
  if (itemType === undefined) return createItemArrays(type, nullable, memory)
  return new ListArrays(createItemArrays(itemType, false, memory), nullable, memory)
}

function createItemArrays(type: ColumnType, nullable: boolean, memory: ColumnMemory): ItemArrays {
  if (type in fixedKinds) return new FixedArrays(fixedKinds[type as keyof typeof fixedKinds], nullable, memory)
  return new VariableArrays(nullable, memory)
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

const noBuffer = new ArrayBuffer(0)

export class FixedArrays {
  readonly #kind: FixedKind
  readonly #nullable: boolean
  readonly #memory: ColumnMemory
  /** What is written to: the values, or of 64-bit integers their words, the low one first. */
  slots: Exclude<FixedValues, BigInt64Array | BigUint64Array> = new Uint8Array(noBuffer)
  validity = new Uint8Array(noBuffer)
  #values: FixedValues = this.slots

  constructor(kind: FixedKind, nullable: boolean, memory: ColumnMemory) {
    this.#kind = kind
    this.#nullable = nullable
    this.#memory = memory
  }

  begin(rowCount: number): void {
    this.#set(this.#memory.take(rowCount * this.#kind.BYTES_PER_ELEMENT))
    this.#values.fill((this.#wide ? 0n : 0) as never, 0, rowCount)
    this.validity = allValid(this.#nullable ? rowCount : 0, this.#memory)
  }

  /** Makes room for rows beyond those that were begun. */
  growRows(): void {
    const outgrown = this.#values
    this.#set(this.#memory.take(rowsAfter(outgrown.length) * this.#kind.BYTES_PER_ELEMENT))
    this.#values.set(outgrown as never)
    this.#memory.give(outgrown.buffer as ArrayBuffer)
  }

  /** Makes row `row` as it was before it was written. */
  undo(row: number): void {
    this.#values[row] = this.#wide ? 0n : 0
    restore(this.validity, row)
  }

  finish(rowCount: number): ItemColumn {
    const values = this.#values.subarray(0, rowCount)
    const validity = validityOf(this.validity, rowCount)
    this.#set(noBuffer)
    this.validity = new Uint8Array(noBuffer)
    return { kind: 'fixed', values, validity }
  }

  get #wide(): boolean {
    return this.slots !== this.#values
  }

  #set(buffer: ArrayBuffer): void {
    const values = new this.#kind(buffer)
    this.#values = values
    this.slots = values instanceof BigInt64Array || values instanceof BigUint64Array ? new Int32Array(buffer) : values
  }
}

export class VariableArrays {
  readonly #nullable: boolean
  readonly #memory: ColumnMemory
  offsets = new Uint32Array(noBuffer)
  bytes = new Uint8Array(noBuffer)
  view = new DataView(noBuffer)
  validity = new Uint8Array(noBuffer)
  /** What the last column took: the next one of the same table is likely to take as much. */
  #bytesExpected = bytesMin

  constructor(nullable: boolean, memory: ColumnMemory) {
    this.#nullable = nullable
    this.#memory = memory
  }

  begin(rowCount: number): void {
    this.offsets = offsetsFor(rowCount, this.#memory)
    this.#setBytes(this.#memory.take(this.#bytesExpected))
    this.validity = allValid(this.#nullable ? rowCount : 0, this.#memory)
  }

  /** Makes room for rows beyond those that were begun. */
  growRows(): void {
    this.offsets = grownOffsets(this.offsets, this.#memory)
  }

  /** Makes room for `more` bytes after the first `used`. */
  grow(used: number, more: number): void {
    const needed = used + more
    if (needed <= this.bytes.length) return
    if (needed > columnBytesMax) {
      throw new RangeError(`a column of ${needed} bytes exceeds ${columnBytesMax}: lower batch.maxBytes`)
    }
    const outgrown = this.bytes
    this.#setBytes(this.#memory.take(Math.min(columnBytesMax, Math.max(needed, outgrown.length * 2))))
    this.bytes.set(outgrown.subarray(0, used))
    this.#memory.give(outgrown.buffer)
  }

  undo(row: number): void {
    restore(this.validity, row)
  }

  finish(rowCount: number): ItemColumn {
    const offsets = this.offsets.subarray(0, rowCount + 1)
    const byteCount = offsets[rowCount]!
    const bytes = this.bytes.subarray(0, byteCount)
    const validity = validityOf(this.validity, rowCount)
    this.#bytesExpected = Math.max(bytesMin, Math.ceil(byteCount * 1.125))
    this.offsets = new Uint32Array(noBuffer)
    this.#setBytes(noBuffer)
    this.validity = new Uint8Array(noBuffer)
    return { kind: 'variable', offsets, bytes, validity }
  }

  #setBytes(buffer: ArrayBuffer): void {
    this.bytes = new Uint8Array(buffer)
    this.view = new DataView(buffer)
  }
}

/** Lists: the items of row r are `offsets[r] .. offsets[r + 1]`, as rows of `items`. */
export class ListArrays {
  readonly items: ItemArrays
  readonly #nullable: boolean
  readonly #memory: ColumnMemory
  offsets = new Uint32Array(noBuffer)
  validity = new Uint8Array(noBuffer)
  /** As many as the last column had. */
  #itemsExpected = 0

  constructor(items: ItemArrays, nullable: boolean, memory: ColumnMemory) {
    this.items = items
    this.#nullable = nullable
    this.#memory = memory
  }

  begin(rowCount: number): void {
    this.items.begin(this.#itemsExpected)
    this.offsets = offsetsFor(rowCount, this.#memory)
    this.validity = allValid(this.#nullable ? rowCount : 0, this.#memory)
  }

  undo(row: number): void {
    restore(this.validity, row)
  }

  finish(rowCount: number): ListColumn {
    const offsets = this.offsets.subarray(0, rowCount + 1)
    const itemCount = offsets[rowCount]!
    const validity = validityOf(this.validity, rowCount)
    this.#itemsExpected = Math.ceil(itemCount * 1.125)
    this.offsets = new Uint32Array(noBuffer)
    this.validity = new Uint8Array(noBuffer)
    return { kind: 'list', offsets, items: this.items.finish(itemCount), validity }
  }
}

const bytesMin = 1024

function allValid(rowCount: number, memory: ColumnMemory): Uint8Array<ArrayBuffer> {
  if (rowCount === 0) return new Uint8Array(noBuffer)
  const byteCount = (rowCount + 7) >> 3
  return new Uint8Array(memory.take(byteCount), 0, byteCount).fill(0xff)
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
