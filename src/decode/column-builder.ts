import type { ColumnMemory } from './column-memory.ts'
import { type Column, type ColumnType, type FixedValues, type ItemColumn, itemTypeOf } from './columns.ts'
import { ValidityBuilder } from './validity-builder.ts'

/**
 * A column that grows row by row. One builder serves many columns in turn: `begin`, rows, `finish`, which hands the arrays
 * over and keeps nothing. They are of the memory that the builder was given. All builders of a table take one value a row;
 * the row's number is the only mark that is needed to undo it, so a good row pays nothing for the chance of a bad one.
 */
export interface ColumnBuilder {
  readonly rowCount: number

  /** Starts a new column. `rowsExpected` is a hint that saves growing. */
  begin(rowsExpected: number): void

  appendNull(): void

  /** Forgets row `row` and all after it, as if they had never been appended. Ignored when there is no such row. */
  rollback(row: number): void

  /** The column, exactly as long as its rows. */
  finish(): Column
}

/** A builder by what its column holds: numbers, 64-bit words, or bytes. */
export type ItemColumnBuilder = NumberColumnBuilder | WideColumnBuilder | VariableColumnBuilder
export type AnyColumnBuilder = ItemColumnBuilder | ListColumnBuilder

/** The builder for a column of `type`. */
export function createColumnBuilder(type: ColumnType, memory: ColumnMemory): AnyColumnBuilder {
  const itemType = itemTypeOf(type)
  if (itemType === undefined) return createItemBuilder(type, memory)
  return new ListColumnBuilder(createItemBuilder(itemType, memory), memory)
}

function createItemBuilder(type: ColumnType, memory: ColumnMemory): ItemColumnBuilder {
  if (type in wideArrays) return new WideColumnBuilder(wideArrays[type as keyof typeof wideArrays], memory)
  if (type in numberArrays) return new NumberColumnBuilder(numberArrays[type as keyof typeof numberArrays], memory)
  return new VariableColumnBuilder(memory)
}

const numberArrays = {
  bool: Uint8Array,
  int32: Int32Array,
  uint32: Uint32Array,
  float32: Float32Array,
  float64: Float64Array,
} as const

const wideArrays = {
  int64: BigInt64Array,
  uint64: BigUint64Array,
  timestamp: BigInt64Array,
  timestampNanos: BigInt64Array,
  duration: BigInt64Array,
} as const

type NumberArray = InstanceType<NumberArrayKind>
type NumberArrayKind = (typeof numberArrays)[keyof typeof numberArrays]

/**
 * Bounds of one column, far above what a load holds (`batch.maxBytes`, `batch.maxRecords`); beyond them a RangeError
 * ends the load, because going on would end the process. Offsets are 32-bit, so 4 GiB would be the end in any case.
 */
const rowsMax = 1 << 26
export const columnBytesMax = 1 << 30

const rowsMin = 16
const bytesMin = 1024

/** bool, int32, uint32, float32, float64. */
export class NumberColumnBuilder implements ColumnBuilder {
  readonly #kind: NumberArrayKind
  readonly #memory: ColumnMemory
  readonly #validity: ValidityBuilder
  #values: NumberArray
  #rowCount = 0

  constructor(kind: NumberArrayKind, memory: ColumnMemory) {
    this.#kind = kind
    this.#memory = memory
    this.#validity = new ValidityBuilder(memory)
    this.#values = new kind(0)
  }

  get rowCount(): number {
    return this.#rowCount
  }

  begin(rowsExpected: number): void {
    this.#values = this.#take(Math.max(rowsMin, rowsExpected))
    this.#rowCount = 0
    this.#validity.begin()
  }

  append(value: number): void {
    if (this.#rowCount === this.#values.length) this.#grow()
    this.#values[this.#rowCount++] = value
  }

  appendNull(): void {
    this.append(0)
    this.#validity.clear(this.#rowCount - 1, this.#values.length)
  }

  rollback(row: number): void {
    if (row >= this.#rowCount) return
    this.#validity.rollback(row, this.#rowCount)
    this.#rowCount = row
  }

  finish(): ItemColumn {
    const values = this.#values.subarray(0, this.#rowCount) as FixedValues
    const validity = this.#validity.finish(this.#rowCount)
    this.#values = new this.#kind(0)
    this.#rowCount = 0
    return { kind: 'fixed', values, validity }
  }

  #grow(): void {
    const outgrown = this.#values
    this.#values = this.#take(rowsAfter(outgrown.length))
    this.#values.set(outgrown)
    this.#memory.give(outgrown.buffer)
  }

  #take(rows: number): NumberArray {
    return new this.#kind(this.#memory.take(rows * this.#kind.BYTES_PER_ELEMENT))
  }
}

/** int64, uint64, timestamp, timestampNanos, duration: set by 32-bit words, because a BigInt for each value would be garbage. */
export class WideColumnBuilder implements ColumnBuilder {
  readonly #kind: typeof BigInt64Array | typeof BigUint64Array
  readonly #memory: ColumnMemory
  readonly #validity: ValidityBuilder
  /** Low word first: we run on little-endian machines only, as slabs do. */
  #words = new Int32Array(0)
  #rowCount = 0

  constructor(kind: typeof BigInt64Array | typeof BigUint64Array, memory: ColumnMemory) {
    this.#kind = kind
    this.#memory = memory
    this.#validity = new ValidityBuilder(memory)
  }

  get rowCount(): number {
    return this.#rowCount
  }

  begin(rowsExpected: number): void {
    this.#words = new Int32Array(this.#memory.take(Math.max(rowsMin, rowsExpected) * 8))
    this.#rowCount = 0
    this.#validity.begin()
  }

  /** The two halves of the two's complement; each may be given signed or unsigned. */
  appendWords(low: number, high: number): void {
    const at = this.#rowCount * 2
    if (at === this.#words.length) this.#grow()
    this.#words[at] = low
    this.#words[at + 1] = high
    this.#rowCount++
  }

  /** A whole number within 2^53 of zero. */
  appendNumber(value: number): void {
    this.appendWords(value % 0x1_0000_0000, Math.floor(value / 0x1_0000_0000))
  }

  /** `seconds` and `micros` as microseconds. Within 2^53 by number, beyond (the year 2255) by BigInt. */
  appendMicroseconds(seconds: number, micros: number): void {
    if (Math.abs(seconds) < numberSecondsMax) return this.appendNumber(seconds * 1_000_000 + micros)
    const wide = BigInt(seconds) * 1_000_000n + BigInt(micros)
    this.appendWords(Number(BigInt.asIntN(32, wide)), Number(BigInt.asIntN(32, wide >> 32n)))
  }

  /** `seconds` and `nanos` as nanoseconds. False, and nothing is appended, when 64 bits cannot hold them. */
  appendNanoseconds(seconds: number, nanos: number): boolean {
    const wide = BigInt(seconds) * 1_000_000_000n + BigInt(nanos)
    if (BigInt.asIntN(64, wide) !== wide) return false
    this.appendWords(Number(BigInt.asIntN(32, wide)), Number(BigInt.asIntN(32, wide >> 32n)))
    return true
  }

  appendNull(): void {
    this.appendWords(0, 0)
    this.#validity.clear(this.#rowCount - 1, this.#words.length / 2)
  }

  rollback(row: number): void {
    if (row >= this.#rowCount) return
    this.#validity.rollback(row, this.#rowCount)
    this.#rowCount = row
  }

  finish(): ItemColumn {
    const values = new this.#kind(this.#words.buffer, 0, this.#rowCount) as FixedValues
    const validity = this.#validity.finish(this.#rowCount)
    this.#words = new Int32Array(0)
    this.#rowCount = 0
    return { kind: 'fixed', values, validity }
  }

  #grow(): void {
    const outgrown = this.#words
    this.#words = new Int32Array(this.#memory.take(rowsAfter(outgrown.length / 2) * 8))
    this.#words.set(outgrown)
    this.#memory.give(outgrown.buffer)
  }
}

/** So many seconds are exact as microseconds in a double. */
const numberSecondsMax = 9_000_000_000

/**
 * Up to this a loop over the characters or bytes beats the call into native code, which costs some 70 ns for text and 50
 * for bytes whatever the length (measured, Node 20: they meet at 24 and 18).
 */
const loopLengthMax = 20

/** string, bytes, json. */
export class VariableColumnBuilder implements ColumnBuilder {
  readonly #memory: ColumnMemory
  readonly #validity: ValidityBuilder
  #offsets = new Uint32Array(1)
  #bytes = Buffer.alloc(0)
  #view = new DataView(this.#bytes.buffer)
  #byteCount = 0
  #rowCount = 0
  /** What the last column took: the next one of the same table is likely to take as much. */
  #bytesExpected = bytesMin

  constructor(memory: ColumnMemory) {
    this.#memory = memory
    this.#validity = new ValidityBuilder(memory)
  }

  get rowCount(): number {
    return this.#rowCount
  }

  begin(rowsExpected: number): void {
    this.#offsets = offsetsFor(Math.max(rowsMin, rowsExpected), this.#memory)
    this.#setBytes(this.#memory.take(this.#bytesExpected))
    this.#byteCount = 0
    this.#rowCount = 0
    this.#validity.begin()
  }

  /** `text` is well-formed: it holds no lone surrogate, which UTF-8 cannot say. */
  appendString(text: string): void {
    const { length } = text
    this.makeRoom(this.#byteCount, length * 3)
    const bytes = this.#bytes
    let at = this.#byteCount
    let index = 0
    if (length <= loopLengthMax) {
      for (; index < length; index++) {
        const unit = text.charCodeAt(index)
        if (unit >= 0x80) break
        bytes[at++] = unit
      }
    }
    if (index < length) at = this.#byteCount + bytes.write(text, this.#byteCount, 'utf8')
    this.#endRow(at)
  }

  /** Copies `source[start .. end)`. */
  appendBytes(source: Uint8Array, start: number, end: number): void {
    const length = end - start
    this.makeRoom(this.#byteCount, length)
    const bytes = this.#bytes
    let at = this.#byteCount
    if (length <= loopLengthMax) for (let from = start; from < end; from++) bytes[at++] = source[from]!
    else bytes.set(source.subarray(start, end), at)
    this.#endRow(this.#byteCount + length)
  }

  /** What holds the values, for one that is written in place from `byteCount` on. */
  get bytes(): Uint8Array {
    return this.#bytes
  }

  get view(): DataView {
    return this.#view
  }

  get byteCount(): number {
    return this.#byteCount
  }

  /** Makes room for `more` bytes after the first `used`, which may exchange `bytes`. */
  makeRoom(used: number, more: number): void {
    if (used + more > this.#bytes.length) this.#growBytes(used, more)
  }

  /** Appends what was written in place up to `end`. */
  appendWritten(end: number): void {
    this.#endRow(end)
  }

  appendNull(): void {
    this.#endRow(this.#byteCount)
    this.#validity.clear(this.#rowCount - 1, this.#offsets.length - 1)
  }

  rollback(row: number): void {
    if (row >= this.#rowCount) return
    this.#validity.rollback(row, this.#rowCount)
    this.#byteCount = this.#offsets[row]!
    this.#rowCount = row
  }

  finish(): ItemColumn {
    const offsets = this.#offsets.subarray(0, this.#rowCount + 1)
    // A plain Uint8Array: a Buffer's `slice` means something else, and a sink must not trip over it.
    const bytes = new Uint8Array(this.#bytes.buffer, 0, this.#byteCount)
    const validity = this.#validity.finish(this.#rowCount)
    this.#bytesExpected = Math.max(bytesMin, Math.ceil(this.#byteCount * 1.125))
    this.#offsets = new Uint32Array(1)
    this.#setBytes(new ArrayBuffer(0))
    this.#byteCount = 0
    this.#rowCount = 0
    return { kind: 'variable', offsets, bytes, validity }
  }

  #endRow(at: number): void {
    if (this.#rowCount + 1 === this.#offsets.length) this.#offsets = grownOffsets(this.#offsets, this.#memory)
    this.#byteCount = at
    this.#offsets[++this.#rowCount] = at
  }

  #setBytes(buffer: ArrayBuffer): void {
    this.#bytes = Buffer.from(buffer)
    this.#view = new DataView(buffer)
  }

  #growBytes(used: number, more: number): void {
    const needed = used + more
    if (needed > columnBytesMax) {
      throw new RangeError(`a column of ${needed} bytes exceeds ${columnBytesMax}: lower batch.maxBytes`)
    }
    const outgrown = this.#bytes
    this.#setBytes(this.#memory.take(Math.min(columnBytesMax, Math.max(needed, outgrown.length * 2))))
    outgrown.copy(this.#bytes, 0, 0, used)
    this.#memory.give(outgrown.buffer)
  }
}

/** Lists: the items of a row are appended to `items`, then the row is ended. */
export class ListColumnBuilder implements ColumnBuilder {
  readonly items: ItemColumnBuilder
  readonly #memory: ColumnMemory
  readonly #validity: ValidityBuilder
  #offsets = new Uint32Array(1)
  #rowCount = 0

  constructor(items: ItemColumnBuilder, memory: ColumnMemory) {
    this.items = items
    this.#memory = memory
    this.#validity = new ValidityBuilder(memory)
  }

  get rowCount(): number {
    return this.#rowCount
  }

  begin(rowsExpected: number): void {
    this.items.begin(rowsExpected)
    this.#offsets = offsetsFor(Math.max(rowsMin, rowsExpected), this.#memory)
    this.#rowCount = 0
    this.#validity.begin()
  }

  /** What was appended to `items` since the last row is a row. */
  endRow(): void {
    if (this.#rowCount + 1 === this.#offsets.length) this.#offsets = grownOffsets(this.#offsets, this.#memory)
    this.#offsets[++this.#rowCount] = this.items.rowCount
  }

  appendNull(): void {
    this.endRow()
    this.#validity.clear(this.#rowCount - 1, this.#offsets.length - 1)
  }

  /** Forgets the items of a row that was not ended too. */
  rollback(row: number): void {
    this.items.rollback(this.#offsets[Math.min(row, this.#rowCount)]!)
    if (row >= this.#rowCount) return
    this.#validity.rollback(row, this.#rowCount)
    this.#rowCount = row
  }

  finish(): Column {
    const offsets = this.#offsets.subarray(0, this.#rowCount + 1)
    const validity = this.#validity.finish(this.#rowCount)
    this.#offsets = new Uint32Array(1)
    this.#rowCount = 0
    return { kind: 'list', offsets, items: this.items.finish(), validity }
  }
}

/** For so many rows, the first of which begins at 0. */
export function offsetsFor(rows: number, memory: ColumnMemory): Uint32Array<ArrayBuffer> {
  const offsets = new Uint32Array(memory.take((rows + 1) * 4))
  offsets[0] = 0
  return offsets
}

/** A longer copy; what was outgrown goes back. */
export function grownOffsets(outgrown: Uint32Array<ArrayBuffer>, memory: ColumnMemory): Uint32Array<ArrayBuffer> {
  const grown = new Uint32Array(memory.take((rowsAfter(outgrown.length - 1) + 1) * 4))
  grown.set(outgrown)
  memory.give(outgrown.buffer)
  return grown
}

/** How many rows there is to be room for after so many. */
export function rowsAfter(rows: number): number {
  if (rows >= rowsMax) throw new RangeError(`a column of over ${rowsMax} rows: lower batch.maxRecords`)
  return Math.min(rowsMax, Math.max(rowsMin, rows * 2))
}
