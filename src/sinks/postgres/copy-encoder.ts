import type { Column } from '../../decode/columns.ts'
import { copySource, sourceArguments } from './copy-source.ts'
import type { FieldEncoding } from './postgres-types.ts'
import { putUuid } from './uuid-text.ts'

/** Where encoded rows are put; large, and used again and again. */
export interface CopyBuffer {
  readonly bytes: Uint8Array
  readonly view: DataView
}

/** The bytes of one COPY, to be taken in pieces. */
export interface CopyBytes {
  /**
   * Fills the buffer from `at` on and gives where that ends, which is `at` when nothing is left. A row that does not even
   * fit by itself makes it undefined: `bytesNeeded` says how large a buffer it takes.
   */
  next(buffer: CopyBuffer, at: number): number | undefined
  readonly bytesNeeded: number
}

/** Rows [from, to) of some columns, one for each field. */
export interface CopyRows {
  readonly columns: readonly Column[]
  readonly from: number
  readonly to: number
}

/** What the generated function reads of a column. */
interface Operand {
  readonly validity: Uint8Array | undefined
  readonly values?: ArrayLike<number>
  readonly offsets?: Uint32Array
  readonly bytes?: Uint8Array
  readonly lists?: Uint32Array
}

interface State {
  /** The row that comes next. */
  row: number
  /** Bytes that it may need at the most, when it did not fit. */
  need: number
}

type Fill = (
  columns: readonly Operand[],
  out: Uint8Array,
  view: DataView,
  at: number,
  row: number,
  end: number,
) => number

// https://www.postgresql.org/docs/current/sql-copy.html#SQL-COPY-FILE-FORMATS-BINARY
const head = Buffer.from('PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0', 'latin1')
const tail = Buffer.from([0xff, 0xff])

/** Writes columns as COPY BINARY, by a function compiled for the fields of one table. */
export class CopyEncoder {
  readonly #fields: readonly FieldEncoding[]
  readonly #state: State = { row: 0, need: 0 }
  readonly #fill: Fill

  constructor(fields: readonly FieldEncoding[]) {
    this.#fields = fields
    // The source is ours alone, see `copySource`.
    // eslint-disable-next-line @typescript-eslint/no-implied-eval
    const make = new Function(...sourceArguments, copySource(fields)) as (tools: object, state: State) => Fill
    this.#fill = make({ putNumeric, putSignedNumeric, putUuid }, this.#state)
  }

  /** One COPY of these rows. One at a time is under way. */
  rows(parts: readonly CopyRows[]): CopyBytes {
    return new EncodedRows(this.#fields, parts, this.#fill, this.#state)
  }
}

/** Head, rows and tail of a COPY. */
class EncodedRows implements CopyBytes {
  readonly #fields: readonly FieldEncoding[]
  readonly #parts: readonly CopyRows[]
  readonly #fill: Fill
  readonly #state: State
  #part = -1
  #operands: readonly Operand[] = []
  #row = 0
  #ended = false

  constructor(fields: readonly FieldEncoding[], parts: readonly CopyRows[], fill: Fill, state: State) {
    this.#fields = fields
    this.#parts = parts
    this.#fill = fill
    this.#state = state
  }

  next({ bytes, view }: CopyBuffer, at: number): number | undefined {
    if (this.#ended) return at
    let end = at
    if (this.#part < 0) {
      bytes.set(head, end)
      end += head.length
      this.#begin(0)
    }
    for (; this.#part < this.#parts.length; this.#begin(this.#part + 1)) {
      const { to } = this.#parts[this.#part]!
      end = this.#fill(this.#operands, bytes, view, end, this.#row, to)
      this.#row = this.#state.row
      if (this.#row < to) return end > at ? end : undefined
    }
    if (end + tail.length > bytes.length) return end
    bytes.set(tail, end)
    this.#ended = true
    return end + tail.length
  }

  get bytesNeeded(): number {
    return this.#state.need
  }

  #begin(part: number): void {
    this.#part = part
    const rows = this.#parts[part]
    if (rows === undefined) return
    this.#row = rows.from
    this.#operands = rows.columns.map((column, index) => operand(column, this.#fields[index]!))
  }
}

function operand(column: Column, { form }: FieldEncoding): Operand {
  const { validity } = column
  if (column.kind === 'list') return { ...operand(column.items, { form }), validity, lists: column.offsets }
  if (column.kind === 'variable') return { validity, offsets: column.offsets, bytes: column.bytes }
  const { values } = column
  // Halves instead of a BigInt for each value. Node runs on machines with the low half first, but for s390x.
  const halves = values instanceof BigInt64Array || values instanceof BigUint64Array
  return { validity, values: halves ? new Uint32Array(values.buffer, values.byteOffset, values.length * 2) : values }
}

/** The `sign` of numeric's binary form. */
const negative = 0x4000

/** A whole number of 64 bits without a sign as numeric: five digits to the base of 10,000, of which PostgreSQL drops leading zeros. */
function putNumeric(view: DataView, at: number, high: number, low: number, sign: number): number {
  let a = high >>> 16
  let b = high & 0xffff
  let c = low >>> 16
  let d = low & 0xffff
  view.setInt32(at, 18)
  view.setInt16(at + 4, 5)
  view.setInt16(at + 6, 4)
  view.setInt16(at + 8, sign)
  view.setInt16(at + 10, 0)
  for (let digit = at + 20; digit >= at + 12; digit -= 2) {
    // Long division by 10,000, 16 bits a step.
    let rest = a
    a = (rest / 10_000) | 0
    rest = ((rest - a * 10_000) << 16) | b
    b = (rest / 10_000) | 0
    rest = ((rest - b * 10_000) << 16) | c
    c = (rest / 10_000) | 0
    rest = ((rest - c * 10_000) << 16) | d
    d = (rest / 10_000) | 0
    view.setInt16(digit, rest - d * 10_000)
  }
  return at + 22
}

function putSignedNumeric(view: DataView, at: number, high: number, low: number): number {
  if (high >= 0) return putNumeric(view, at, high, low, 0)
  const negatedLow = -low >>> 0
  return putNumeric(view, at, (~high + (negatedLow === 0 ? 1 : 0)) >>> 0, negatedLow, negative)
}
