import duckdb from '@duckdb/node-bindings'
import type { Column, ItemColumn, ListColumn } from '../../decode/columns.ts'

/** Rows of a chunk: DuckDB's STANDARD_VECTOR_SIZE. */
export const chunkRows = duckdb.vector_size()

/**
 * Elements of 16 bytes as four words each, a chunk's strings, intervals or lists before they are copied into a vector: reused,
 * and made longer for the items of lists, of which a chunk may have any number.
 */
let elementWords = new Int32Array(chunkRows * 4)
const noString = new Uint32Array(4)
/** Up to so many bytes a string lives within its `duckdb_string_t`, longer ones behind a pointer. */
const inlinedBytesMax = 12
/** By a string's length, which bytes of its second, third and fourth word are its own; the others must be 0. */
const wordMasks = [0, 4, 8].map((before) =>
  Int32Array.from({ length: inlinedBytesMax + 1 }, (_, length) => {
    const own = Math.min(4, Math.max(0, length - before))
    return own === 4 ? -1 : (1 << (own * 8)) - 1
  }),
) as [Int32Array, Int32Array, Int32Array]
/** The end of a column's bytes, with room behind it for the words that its last strings are read by. */
const tail = new Uint8Array(inlinedBytesMax * 2)
const tailView = new DataView(tail.buffer)

/** A value that DuckDB would bend or cannot hold, and does not refuse by itself. The row is not named: a chunk is looked at as one. */
export class ValueRefusedError extends Error {
  override readonly name = 'ValueRefusedError'
}

/**
 * Copies rows [from, to) of a column into a vector of a fresh chunk with room for them, without a JavaScript value for each: whole runs of bytes go over in one call.
 */
export function fillVector(vector: duckdb.Vector, column: Column, interval: boolean, from: number, to: number): void {
  if (column.kind === 'list') fillLists(vector, column, from, to)
  else if (column.kind === 'variable') fillStrings(vector, column, from, to)
  else if (interval) fillIntervals(vector, column.values as BigInt64Array, from, to)
  else {
    const { buffer, byteOffset, BYTES_PER_ELEMENT: width } = column.values
    duckdb.copy_data_to_vector(vector, 0, buffer as ArrayBuffer, byteOffset + from * width, (to - from) * width)
  }
  if (column.validity) fillValidity(vector, column.validity, from, to)
}

/**
 * Two of the times that a TIMESTAMP_NS can be are DuckDB's infinities: the last one, and the last but one at the other end.
 * https://github.com/duckdb/duckdb/blob/v1.5.0/src/include/duckdb/common/types/timestamp.hpp
 */
export function refuseInfinities({ values, validity }: Column & { kind: 'fixed' }, from: number, to: number): void {
  const words = new Int32Array(values.buffer, values.byteOffset, to * 2)
  for (let row = from; row < to; row++) {
    const high = words[row * 2 + 1]!
    const low = words[row * 2]!
    if (!(high === 0x7fff_ffff && low === -1) && !(high === -0x8000_0000 && low === 1)) continue
    if (validity !== undefined && (validity[row >> 3]! & (1 << (row & 7))) === 0) continue
    throw new ValueRefusedError("a time is what DuckDB's TIMESTAMP_NS keeps for infinity")
  }
}

/** A vector without a value, for a column that the table has and the rows do not. */
export function fillNulls(vector: duckdb.Vector, rows: number): void {
  duckdb.vector_ensure_validity_writable(vector)
  duckdb.copy_data_to_vector_validity(vector, 0, noRowValid.buffer, 0, validityBytes(rows))
}

const noRowValid = new Uint8Array(validityBytes(chunkRows))

/**
 * One call for all the strings: the run of bytes is assigned as one long string to the first element, which copies it into
 * the vector's heap, and every element is then pointed into that copy. The layout of `duckdb_string_t` is part of DuckDB's C
 * API: length, then 12 bytes in place, or 4 bytes of prefix and a pointer.
 * https://github.com/duckdb/duckdb/blob/v1.5.0/src/include/duckdb.h
 */
function fillStrings(vector: duckdb.Vector, column: ItemColumn & { kind: 'variable' }, from: number, to: number): void {
  const { offsets, bytes } = column
  const start = offsets[from]!
  // What is no UTF-8 is refused without a word: the element stays as it was, and a pointer from it would be a wild one.
  duckdb.copy_data_to_vector(vector, 0, noString.buffer, 0, 16)
  duckdb.vector_assign_string_element_len(vector, 0, bytes.subarray(start, offsets[to]))
  // Of a run that short every string is in place, and there is no pointer to read.
  const [assigned, , low = 0, high = 0] = new Uint32Array(duckdb.vector_get_data(vector, 16).slice().buffer)
  if (assigned !== offsets[to]! - start) throw new ValueRefusedError('a string is not valid UTF-8')
  // Three words of each string are read, whatever its length: the last ones from a copy, because the bytes end there.
  const wholeTo = bytes.length - inlinedBytesMax
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const tailFrom = Math.max(0, wholeTo)
  tail.set(bytes.subarray(tailFrom, bytes.length))
  const [first, second, third] = wordMasks
  const words = wordsFor(to - from)
  let word = 0
  let at = start
  for (let row = from + 1; row <= to; row++) {
    const next = offsets[row]!
    const length = next - at
    const source = at <= wholeTo ? view : tailView
    const place = at <= wholeTo ? at : at - tailFrom
    words[word] = length
    if (length <= inlinedBytesMax) {
      words[word + 1] = source.getInt32(place, true) & first[length]!
      words[word + 2] = source.getInt32(place + 4, true) & second[length]!
      words[word + 3] = source.getInt32(place + 8, true) & third[length]!
    } else {
      const address = low + (at - start)
      words[word + 1] = source.getInt32(place, true)
      words[word + 2] = address
      words[word + 3] = address < 0x1_0000_0000 ? high : high + 1
    }
    word += 4
    at = next
  }
  duckdb.copy_data_to_vector(vector, 0, words.buffer, 0, (to - from) * 16)
}

/** An element is months, days and microseconds: two words of zeros here, and a 64-bit integer. */
function fillIntervals(vector: duckdb.Vector, { buffer, byteOffset }: BigInt64Array, from: number, to: number): void {
  const words = wordsFor(to - from)
  const halves = new Int32Array(buffer, byteOffset + from * 8, (to - from) * 2)
  for (let half = 0; half < halves.length; half += 2) {
    words[half * 2] = 0
    words[half * 2 + 1] = 0
    words[half * 2 + 2] = halves[half]!
    words[half * 2 + 3] = halves[half + 1]!
  }
  duckdb.copy_data_to_vector(vector, 0, words.buffer, 0, (to - from) * 16)
}

/** An element is where a list begins in the child vector, which has the items of all, and how many it has: two 64-bit integers. */
function fillLists(vector: duckdb.Vector, { offsets, items }: ListColumn, from: number, to: number): void {
  const start = offsets[from]!
  const end = offsets[to]!
  duckdb.list_vector_reserve(vector, end - start)
  duckdb.list_vector_set_size(vector, end - start)
  if (end > start) fillVector(duckdb.list_vector_get_child(vector), items, false, start, end)
  const words = wordsFor(to - from)
  for (let row = from, word = 0; row < to; row++, word += 4) {
    words[word] = offsets[row]! - start
    words[word + 1] = 0
    words[word + 2] = offsets[row + 1]! - offsets[row]!
    words[word + 3] = 0
  }
  duckdb.copy_data_to_vector(vector, 0, words.buffer, 0, (to - from) * 16)
}

function wordsFor(elements: number): Int32Array<ArrayBuffer> {
  if (elementWords.length < elements * 4) elementWords = new Int32Array(elements * 8)
  return elementWords
}

/** DuckDB's validity mask has the bit order of ours; where the rows do not begin on a byte the bits are moved. */
function fillValidity(vector: duckdb.Vector, validity: Uint8Array, from: number, to: number): void {
  const mask = new Uint8Array(validityBytes(to - from))
  const shift = from & 7
  const first = from >> 3
  for (let index = 0; index < (to - from + 7) >> 3; index++) {
    const low = validity[first + index]! >> shift
    mask[index] = shift === 0 ? low : low | ((validity[first + index + 1] ?? 0) << (8 - shift))
  }
  duckdb.vector_ensure_validity_writable(vector)
  duckdb.copy_data_to_vector_validity(vector, 0, mask.buffer, 0, mask.length)
}

/** The mask is made of 64-bit words. */
function validityBytes(rows: number): number {
  return ((rows + 63) >> 6) * 8
}
