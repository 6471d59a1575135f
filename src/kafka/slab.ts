/**
 * The layout of a slab: many records of one partition packed in one ArrayBuffer, little-endian, so that they cross a thread
 * by transfer and no record becomes a JavaScript object. This file and `native/slab.h` are the only places that know it.
 *
 * ```
 * byte 0   u32 magic 0x3142534d ("MSB1")     u32 record count n
 * byte 8   u32 total bytes of the slab       u32 reserved (0)
 * byte 16  i64 offset      [n]               Kafka offsets, ascending
 *          i64 timestamp   [n]               milliseconds since 1970, -1 when the record has none
 *          u32 start       [n]               where the record's bytes begin, from byte 0 of the slab
 *          i32 keyBytes    [n]               -1: null
 *          i32 valueBytes  [n]               -1: null
 *          u32 headerBytes [n]               0: none
 *          bytes                             of each record in turn: key, value, headers
 * ```
 * Headers: for each one, u32 length of the name, the name in UTF-8, i32 length of the value (-1: null), the value.
 */
const magic = 0x3142534d
const prefixBytes = 16
const columnBytesPerRecord = 8 + 8 + 4 + 4 + 4 + 4

/** A record as the binding's `consume(n)` hands it over; packed by {@link packSlab}. */
export interface RecordToPack {
  readonly offset: number
  readonly timestamp: number
  readonly key: Uint8Array | null
  readonly value: Uint8Array | null
  /** Encoded by {@link encodeHeaders}; empty when there are none. */
  readonly headers: Uint8Array
}

export interface Header {
  readonly name: string
  readonly value: Uint8Array | null
}

interface SlabColumns {
  /** The 64-bit columns as pairs of 32-bit words: the offsets, then from `timestampWords` on the timestamps. */
  readonly words: Int32Array
  readonly timestampWords: number
  readonly starts: Uint32Array
  readonly keyBytes: Int32Array
  readonly valueBytes: Int32Array
  readonly headerBytes: Uint32Array
}

/** Where the columns of `count` records lie in a slab. */
function columnsOf(buffer: ArrayBuffer, count: number): SlabColumns {
  const narrow = prefixBytes + count * 16
  return {
    words: new Int32Array(buffer, prefixBytes, count * 4),
    timestampWords: count * 2,
    starts: new Uint32Array(buffer, narrow, count),
    keyBytes: new Int32Array(buffer, narrow + count * 4, count),
    valueBytes: new Int32Array(buffer, narrow + count * 8, count),
    headerBytes: new Uint32Array(buffer, narrow + count * 12, count),
  }
}

/** Reads a slab in place. Indexes are 0 .. count - 1, not checked: callers loop over `count`. */
export class SlabView {
  readonly buffer: ArrayBuffer
  readonly bytes: Uint8Array
  readonly count: number
  /** 64-bit columns as pairs of 32-bit words: low, high. A BigInt for each would be garbage on the hot path. */
  readonly #words: Int32Array
  readonly #timestampWords: number
  readonly #starts: Uint32Array
  readonly #keyBytes: Int32Array
  readonly #valueBytes: Int32Array
  readonly #headerBytes: Uint32Array

  /** Throws a RangeError when `buffer` is no slab. */
  constructor(buffer: ArrayBuffer) {
    const prefix = new Uint32Array(buffer, 0, 4)
    const count = prefix[1] ?? 0
    if (
      prefix[0] !== magic ||
      prefix[2] !== buffer.byteLength ||
      prefixBytes + count * columnBytesPerRecord > buffer.byteLength
    ) {
      throw new RangeError('not a slab: its prefix does not fit its size')
    }
    this.buffer = buffer
    this.bytes = new Uint8Array(buffer)
    this.count = count
    const columns = columnsOf(buffer, count)
    this.#words = columns.words
    this.#timestampWords = columns.timestampWords
    this.#starts = columns.starts
    this.#keyBytes = columns.keyBytes
    this.#valueBytes = columns.valueBytes
    this.#headerBytes = columns.headerBytes
  }

  offset(index: number): number {
    return this.#wide(index * 2)
  }

  /** Milliseconds since 1970; -1 when the record has none. */
  timestamp(index: number): number {
    return this.#wide(this.#timestampWords + index * 2)
  }

  /** Byte position of the value in `bytes`. */
  valueStart(index: number): number {
    return this.#starts[index]! + Math.max(0, this.#keyBytes[index]!)
  }

  /** Length of the value; -1 when it is null (a tombstone). */
  valueBytes(index: number): number {
    return this.#valueBytes[index]!
  }

  /** Length of the key; -1 when it is null. The key begins at `keyStart`. */
  keyBytes(index: number): number {
    return this.#keyBytes[index]!
  }

  keyStart(index: number): number {
    return this.#starts[index]!
  }

  /** A view, not a copy. */
  key(index: number): Uint8Array | null {
    const length = this.#keyBytes[index]!
    return length < 0 ? null : this.bytes.subarray(this.#starts[index], this.#starts[index]! + length)
  }

  /** A view, not a copy. */
  value(index: number): Uint8Array | null {
    const length = this.#valueBytes[index]!
    const start = this.valueStart(index)
    return length < 0 ? null : this.bytes.subarray(start, start + length)
  }

  /** Key, value and encoded headers together. */
  recordBytes(index: number): number {
    return Math.max(0, this.#keyBytes[index]!) + Math.max(0, this.#valueBytes[index]!) + this.#headerBytes[index]!
  }

  /** Copies key, value and encoded headers, which lie in this order, to `into` from `at` on; returns the place after them. */
  copyRecord(index: number, into: Uint8Array, at: number): number {
    const start = this.#starts[index]!
    const length = this.recordBytes(index)
    // A view of its own would cost more than a few bytes.
    if (length > 64) into.set(this.bytes.subarray(start, start + length), at)
    else for (let byte = 0; byte < length; byte++) into[at + byte] = this.bytes[start + byte]!
    return at + length
  }

  /** The encoded headers: a view, not a copy; empty when there are none. Read them with {@link decodeHeaders}. */
  headers(index: number): Uint8Array {
    const start = this.#headersStart(index)
    return this.bytes.subarray(start, start + this.#headerBytes[index]!)
  }

  /** Length of the encoded headers. */
  headerBytes(index: number): number {
    return this.#headerBytes[index]!
  }

  /** An upper bound of how many headers there are, without reading them. */
  headersAtMost(index: number): number {
    return this.#headerBytes[index]! >> 3
  }

  /**
   * Finds headers without making an object of each. Writes to `places`, for each of `names` in turn, where the value of the
   * last header of that name begins in `bytes`, and its length: -1 when it is null or there is none. Returns how many
   * headers the record has.
   */
  findHeaders(index: number, names: readonly Uint8Array[], places: Int32Array): number {
    for (let name = 0; name < names.length; name++) places[name * 2 + 1] = -1
    let at = this.#headersStart(index)
    const end = at + this.#headerBytes[index]!
    let count = 0
    for (; at < end; count++) {
      const nameBytes = this.#word(at)
      const nameStart = at + 4
      const valueBytes = this.#word(nameStart + nameBytes)
      at = nameStart + nameBytes + 4
      for (let name = 0; name < names.length; name++) {
        if (!this.#holds(nameStart, nameBytes, names[name]!)) continue
        places[name * 2] = at
        places[name * 2 + 1] = valueBytes
      }
      at += Math.max(0, valueBytes)
    }
    return count
  }

  #headersStart(index: number): number {
    return this.valueStart(index) + Math.max(0, this.#valueBytes[index]!)
  }

  #word(at: number): number {
    const { bytes } = this
    return bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)
  }

  #holds(at: number, length: number, wanted: Uint8Array): boolean {
    if (length !== wanted.length) return false
    for (let index = 0; index < length; index++) if (this.bytes[at + index] !== wanted[index]) return false
    return true
  }

  #wide(word: number): number {
    return this.#words[word + 1]! * 0x1_0000_0000 + (this.#words[word]! >>> 0)
  }
}

/** Packs records of one partition, in the order given, into a slab of exactly their size. */
export function packSlab(records: readonly RecordToPack[]): ArrayBuffer {
  const size = (sum: number, { key, value, headers }: RecordToPack) =>
    sum + (key?.length ?? 0) + (value?.length ?? 0) + headers.length
  const slab = new SlabWriter(records.length, records.reduce(size, 0))
  for (const { offset, timestamp, key, value, headers } of records) {
    slab.begin(offset, timestamp, key?.length ?? -1, value?.length ?? -1, headers.length)
    for (const part of [key, value, headers]) if (part !== null) slab.put(part)
  }
  return slab.buffer
}

/** A record of another slab, and encoded headers that come after its own. */
export interface RecordToCopy {
  readonly slab: SlabView
  readonly index: number
  readonly moreHeaders: readonly Uint8Array[]
}

/** As packSlab, of copies of records. */
export function packCopies(records: readonly RecordToCopy[]): ArrayBuffer {
  const size = (sum: number, { slab, index, moreHeaders }: RecordToCopy) =>
    sum + slab.recordBytes(index) + lengthOf(moreHeaders)
  const into = new SlabWriter(records.length, records.reduce(size, 0))
  for (const { slab, index, moreHeaders } of records) {
    const [keyBytes, valueBytes] = [slab.keyBytes(index), slab.valueBytes(index)]
    const headerBytes = slab.headerBytes(index) + lengthOf(moreHeaders)
    into.begin(slab.offset(index), slab.timestamp(index), keyBytes, valueBytes, headerBytes)
    into.copy(slab, index)
    for (const headers of moreHeaders) into.put(headers)
  }
  return into.buffer
}

function lengthOf(parts: readonly Uint8Array[]): number {
  let length = 0
  for (const part of parts) length += part.length
  return length
}

/** Fills a slab record by record: `begin` with its columns, then its bytes. */
class SlabWriter {
  readonly buffer: ArrayBuffer
  readonly #bytes: Uint8Array
  readonly #columns: SlabColumns
  #count = 0
  #at: number

  constructor(count: number, bytes: number) {
    this.#at = prefixBytes + count * columnBytesPerRecord
    const size = this.#at + bytes
    this.buffer = new ArrayBuffer(size)
    this.#bytes = new Uint8Array(this.buffer)
    new Uint32Array(this.buffer, 0, 4).set([magic, count, size, 0])
    this.#columns = columnsOf(this.buffer, count)
  }

  begin(offset: number, timestamp: number, keyBytes: number, valueBytes: number, headerBytes: number): void {
    const index = this.#count++
    const columns = this.#columns
    writeWide(columns.words, index * 2, offset)
    writeWide(columns.words, columns.timestampWords + index * 2, timestamp)
    columns.starts[index] = this.#at
    columns.keyBytes[index] = keyBytes
    columns.valueBytes[index] = valueBytes
    columns.headerBytes[index] = headerBytes
  }

  put(part: Uint8Array): void {
    this.#bytes.set(part, this.#at)
    this.#at += part.length
  }

  copy(slab: SlabView, index: number): void {
    this.#at = slab.copyRecord(index, this.#bytes, this.#at)
  }
}

/** The last `count` records of slabs of one partition, or all where there are fewer, as one slab. */
export function joinSlabs(slabs: readonly SlabView[], count: number): ArrayBuffer {
  return packSlab(slabs.flatMap(recordsOf).slice(-count))
}

/** The first `count` records of a slab and the rest, as slabs of their own. For the rare cut: each record is copied. */
export function splitSlab(buffer: ArrayBuffer, count: number): [ArrayBuffer, ArrayBuffer] {
  return [sliceSlab(buffer, 0, count), sliceSlab(buffer, count)]
}

/** The records from `start` to `end`, as a slab of their own. */
export function sliceSlab(buffer: ArrayBuffer, start: number, end?: number): ArrayBuffer {
  return packSlab(recordsOf(new SlabView(buffer)).slice(start, end))
}

function recordsOf(slab: SlabView): RecordToPack[] {
  return Array.from({ length: slab.count }, (_, index) => ({
    offset: slab.offset(index),
    timestamp: slab.timestamp(index),
    key: slab.key(index),
    value: slab.value(index),
    headers: slab.headers(index),
  }))
}

const noHeaders = new Uint8Array(0)

/** The slab's encoding of headers, in their order; names may repeat, as Kafka allows. */
export function encodeHeaders(headers: readonly Header[]): Uint8Array {
  if (headers.length === 0) return noHeaders
  const names = headers.map(({ name }) => Buffer.from(name))
  const size = headers.reduce((sum, { value }, index) => sum + 8 + names[index]!.length + (value?.length ?? 0), 0)
  const encoded = Buffer.allocUnsafe(size)
  let at = 0
  headers.forEach(({ value }, index) => {
    const name = names[index]!
    at = encoded.writeUInt32LE(name.length, at)
    at += name.copy(encoded, at)
    at = encoded.writeInt32LE(value?.length ?? -1, at)
    if (value === null) return
    encoded.set(value, at)
    at += value.length
  })
  return encoded
}

/** The headers of one record, in their order. Values are views of `encoded`. */
export function decodeHeaders(encoded: Uint8Array): Header[] {
  const view = Buffer.from(encoded.buffer, encoded.byteOffset, encoded.byteLength)
  const headers: Header[] = []
  for (let at = 0; at < view.length;) {
    const nameBytes = view.readUInt32LE(at)
    const name = view.toString('utf8', at + 4, at + 4 + nameBytes)
    at += 4 + nameBytes
    const valueBytes = view.readInt32LE(at)
    at += 4
    headers.push({ name, value: valueBytes < 0 ? null : view.subarray(at, at + valueBytes) })
    at += Math.max(0, valueBytes)
  }
  return headers
}

function writeWide(words: Int32Array, word: number, value: number): void {
  words[word] = value % 0x1_0000_0000
  words[word + 1] = Math.floor(value / 0x1_0000_0000)
}
