import type { VariableColumnBuilder } from '../column-builder.ts'
import { JsonMapKeys, type Mark } from './json-map-keys.ts'
import { JsonOutput } from './json-output.ts'
import { JsonPlaces } from './json-places.ts'
import type { JsonField, JsonKind, JsonShape } from './json-shape.ts'
import {
  numberBytesMax,
  putBase64,
  putDouble,
  putDurationText,
  putSigned,
  putText,
  putTimestampText,
  putWide,
} from './json-text.ts'
import { durationFault, timestampFault } from '../well-known.ts'
import { readUnsigned, readVarint, skipField, unsigned, words } from '../wire-reader.ts'

/**
 * Writes the JSON text of `JsonMapping` straight from a record's bytes into a column: no object, and no JavaScript string
 * but for numbers with a fraction. The bytes have been taken by `WireCheck`.
 *
 * It writes what producers send. What is rare is left to `JsonMapping`, which every `false` here says, and nothing is
 * written then: messages that come in parts, lists and maps whose elements do not follow one another, two arms of one
 * oneof, numbers that a closed enum does not know, groups, Any and FieldMask; and all that makes a record bad.
 *
 * A message is gone through twice, since its fields come in any order and are written in that of their declaration: first
 * the places of its values are noted, then they are written.
 */
export class JsonWriter {
  #source: Uint8Array = new Uint8Array(0)
  #view = new DataView(this.#source.buffer)
  readonly #out = new JsonOutput()
  readonly #places = new JsonPlaces()
  readonly #keys = new JsonMapKeys()

  /** Appends a row: the value of `field`, of which `source[start .. end)` holds all tags and values. */
  write(field: JsonField, source: Uint8Array, start: number, end: number, column: VariableColumnBuilder): boolean {
    if (this.#source !== source) {
      this.#source = source
      this.#view = new DataView(source.buffer, source.byteOffset, source.byteLength)
    }
    this.#places.clear()
    this.#keys.clear()
    this.#out.begin(column)
    return this.#field(field, start, end) && this.#out.end()
  }

  #field(field: JsonField, start: number, end: number): boolean {
    if (field.form === 'list') return this.#list(field, start, end)
    if (field.form === 'map') return this.#map(field, start, end)
    return this.#value(field, this.#readUnsigned(start)) === end
  }

  /** Reads a tag or a length at `at` into `unsigned`, and returns where it ends. */
  #readUnsigned(at: number): number {
    const first = this.#source[at]!
    if (first >= 128) return readUnsigned(this.#source, at, this.#source.length)
    unsigned[0] = first
    return at + 1
  }

  /** The elements that stand in `[start, end)`, each with its tag, and nothing else. */
  #list(field: JsonField, start: number, end: number): boolean {
    if (!this.#out.room(2)) return false
    this.#out.put(openBracket)
    let isFirst = true
    for (let at = start; at < end;) {
      at = this.#readUnsigned(at)
      const isPacked = isRun(field, unsigned[0]!)
      if (isPacked) at = this.#readUnsigned(at)
      const runEnd = isPacked ? at + unsigned[0]! : at + 1
      while (at < runEnd) {
        if (!isFirst) this.#out.put(comma)
        isFirst = false
        at = this.#value(field, at)
        // The value has left room for what follows it.
        if (at < 0) return false
      }
    }
    this.#out.put(closeBracket)
    return true
  }

  /**
   * Writes the value at `at`, and leaves room for two bytes more. Returns where it ends in the source, or -1.
   */
  #value(field: JsonField, at: number): number {
    switch (field.kind) {
      case 'string':
      case 'bytes':
        return this.#ofLength(field.kind, at)
      case 'message': {
        const from = this.#readUnsigned(at)
        const end = from + unsigned[0]!
        return this.#message(field.shape!, from, end) && this.#out.room(2) ? end : -1
      }
      case 'enum':
      case 'null':
        at = this.#readVarint(at)
        return this.#enum(field, words[0]!) ? at : -1
      default:
        if (!this.#out.room(numberBytesMax)) return -1
        return this.#number(field.kind, at)
    }
  }

  #ofLength(kind: JsonKind, at: number): number {
    const from = this.#readUnsigned(at)
    const length = unsigned[0]!
    if (!this.#out.room(kind === 'string' ? length * 6 + 4 : length * 2 + 6)) return -1
    this.#out.to =
      kind === 'string'
        ? putText(this.#source, this.#view, from, length, this.#out.bytes, this.#out.view, this.#out.to)
        : putBase64(this.#source, from, length, this.#out.bytes, this.#out.to)
    return from + length
  }

  #readVarint(at: number): number {
    const first = this.#source[at]!
    if (first >= 128) return readVarint(this.#source, at, this.#source.length)
    words[0] = first
    words[1] = 0
    return at + 1
  }

  #enum({ kind, known, enumTexts }: JsonField, number: number): boolean {
    if (known !== undefined && !known.has(number)) return false
    if (!this.#out.room(enumTexts === undefined ? numberBytesMax : enumTexts.bytesMax + 2)) return false
    if (kind === 'null') return this.#out.putAll(nullText)
    this.#out.to =
      enumTexts === undefined
        ? putSigned(number, this.#out.bytes, this.#out.to)
        : enumTexts.write(number, this.#out.bytes, this.#out.to)
    return true
  }

  /** There is room for it. */
  #number(kind: JsonKind, at: number): number {
    const view = this.#view
    switch (kind) {
      case 'int32':
        at = this.#readVarint(at)
        return this.#putWord(words[0]!, at)
      case 'uint32':
        at = this.#readVarint(at)
        return this.#putWord(words[0]! >>> 0, at)
      case 'sint32':
        at = this.#readVarint(at)
        return this.#putWord((words[0]! >>> 1) ^ -(words[0]! & 1), at)
      case 'fixed32':
        return this.#putWord(view.getUint32(at, true), at + 4)
      case 'sfixed32':
        return this.#putWord(view.getInt32(at, true), at + 4)
      case 'float':
        this.#out.to = putDouble(view.getFloat32(at, true), this.#out.bytes, this.#out.to)
        return at + 4
      case 'double':
        this.#out.to = putDouble(view.getFloat64(at, true), this.#out.bytes, this.#out.to)
        return at + 8
      case 'fixed64':
      case 'sfixed64':
        this.#wide(view.getInt32(at, true), view.getInt32(at + 4, true), kind === 'sfixed64')
        return at + 8
      case 'int64':
      case 'uint64':
        at = this.#readVarint(at)
        this.#wide(words[0]!, words[1]!, kind === 'int64')
        return at
      case 'sint64': {
        at = this.#readVarint(at)
        const sign = -(words[0]! & 1)
        this.#wide(((words[0]! >>> 1) | (words[1]! << 31)) ^ sign, (words[1]! >>> 1) ^ sign, true)
        return at
      }
      default:
        at = this.#readVarint(at)
        this.#out.putAll((words[0]! | words[1]!) === 0 ? falseText : trueText)
        return at
    }
  }

  /** Of the value that ends at `end` in the source. */
  #putWord(value: number, end: number): number {
    this.#out.to = putSigned(value, this.#out.bytes, this.#out.to)
    return end
  }

  #wide(low: number, high: number, isSigned: boolean): void {
    this.#out.put(quote)
    this.#out.to = putWide(low, high, isSigned, this.#out.bytes, this.#out.to)
    this.#out.put(quote)
  }

  /** The value of a field that is absent, where it has to be written all the same. */
  #absent(field: JsonField): boolean {
    switch (field.kind) {
      case 'message':
        return this.#message(field.shape!, 0, 0)
      case 'enum':
      case 'null':
        return this.#enum(field, 0)
      case 'string':
      case 'bytes':
        return this.#out.putAll(emptyText)
      default:
        return this.#zero(field.kind)
    }
  }

  #zero(kind: JsonKind): boolean {
    if (kind === 'bool') return this.#out.putAll(falseText)
    return this.#out.putAll(kind.endsWith('64') ? zeroInQuotes : zeroText)
  }

  #message(shape: JsonShape, start: number, end: number): boolean {
    // A group has no length: `end` means nothing there.
    if (shape.form === 'other') return false
    const base = this.#places.enter(shape, this.#source, start, end)
    if (base < 0 || !this.#putMessage(shape, base)) return false
    this.#places.leave(base)
    return true
  }

  #putMessage(shape: JsonShape, base: number): boolean {
    switch (shape.form) {
      case 'object':
        return this.#object(shape, base)
      case 'only':
        return this.#only(shape.fields[0]!, base)
      case 'value':
        return this.#arm(shape, base)
      case 'timestamp':
      case 'duration':
        return this.#time(shape, base)
      default:
        return this.#out.putAll(emptyObject)
    }
  }

  #object(shape: JsonShape, base: number): boolean {
    if (!this.#out.room(2)) return false
    this.#out.put(openBrace)
    let isFirst = true
    for (const field of shape.fields) {
      const place = this.#places.of(field, base)
      if (place === 0) {
        if (field.required) return false
        continue
      }
      if (field.implicit && this.#isDefault(field, place)) continue
      const before = this.#out.to
      if (!this.#out.room(field.key.length + 3)) return false
      if (!isFirst) this.#out.put(comma)
      this.#out.putAll(field.key)
      const valueFrom = this.#out.to
      if (!this.#placed(field, base)) return false
      // A list of nothing but empty runs.
      if (field.form === 'list' && this.#out.to - valueFrom === 2) this.#out.to = before
      else isFirst = false
    }
    if (!this.#out.room(2)) return false
    this.#out.put(closeBrace)
    return true
  }

  /** A field's value, where its places say. */
  #placed(field: JsonField, base: number): boolean {
    const place = this.#places.of(field, base)
    if (field.form === 'single') return this.#value(field, place) >= 0
    return this.#field(field, place - 1, this.#places.endOf(field, base))
  }

  /** Whether nothing but zeros stands there: the default of every type, empty texts among them; minus zero is none. */
  #isDefault({ kind }: JsonField, at: number): boolean {
    switch (kind) {
      case 'float':
      case 'fixed32':
      case 'sfixed32':
        return this.#view.getInt32(at, true) === 0
      case 'double':
      case 'fixed64':
      case 'sfixed64':
        return this.#view.getInt32(at, true) === 0 && this.#view.getInt32(at + 4, true) === 0
      default:
        this.#readVarint(at)
        return words[0] === 0 && words[1] === 0
    }
  }

  #only(field: JsonField, base: number): boolean {
    if (this.#places.of(field, base) !== 0) return this.#placed(field, base)
    return field.form === 'single' ? this.#absent(field) : this.#field(field, 0, 0)
  }

  /** Of a google.protobuf.Value. */
  #arm(shape: JsonShape, base: number): boolean {
    for (const field of shape.fields) {
      const place = this.#places.of(field, base)
      if (place === 0) continue
      if (field.kind === 'double' && !Number.isFinite(this.#view.getFloat64(place, true))) return false
      return this.#value(field, place) >= 0
    }
    return false
  }

  #time(shape: JsonShape, base: number): boolean {
    const seconds = this.#wholeAt(this.#places.of(shape.field(1)!, base))
    const nanos = this.#wholeAt(this.#places.of(shape.field(2)!, base))
    if (!this.#out.room(numberBytesMax)) return false
    const time = { seconds, nanos }
    if (shape.form === 'timestamp') {
      if (timestampFault(time) !== undefined) return false
      this.#out.to = putTimestampText(time, this.#out.bytes, this.#out.to)
    } else {
      if (durationFault(time) !== undefined) return false
      this.#out.to = putDurationText(time, this.#out.bytes, this.#out.to)
    }
    return true
  }

  /** The integer that stands there; rounded beyond 2^53, which no time reaches. */
  #wholeAt(place: number): number {
    if (place === 0) return 0
    this.#readVarint(place)
    return words[1]! * 0x1_0000_0000 + (words[0]! >>> 0)
  }

  /** The entries that stand in `[start, end)`, each with its tag, and nothing else. */
  #map(field: JsonField, start: number, end: number): boolean {
    if (!this.#out.room(2)) return false
    this.#out.put(openBrace)
    const mark = this.#keys.mark()
    for (let at = start; at < end;) {
      at = this.#readUnsigned(this.#readUnsigned(at))
      const entryEnd = at + unsigned[0]!
      if (!this.#noteEntry(field.entryKey, at, entryEnd)) return false
      at = entryEnd
    }
    const done = this.#putEntries(field, mark)
    this.#keys.leave(mark)
    if (!done || !this.#out.room(2)) return false
    this.#out.put(closeBrace)
    return true
  }

  #noteEntry(keyKind: JsonKind, start: number, end: number): boolean {
    let keyAt = 0
    let valueAt = 0
    for (let at = start; at < end;) {
      at = this.#readUnsigned(at)
      const tag = unsigned[0]!
      if (tag >>> 3 === 1 && keyAt === 0) keyAt = at
      else if (tag >>> 3 === 2 && valueAt === 0) valueAt = at
      else return false
      at = skipField(this.#source, tag, at, end, 0)
    }
    if (keyKind === 'string') {
      const from = keyAt === 0 ? 0 : this.#readUnsigned(keyAt)
      this.#keys.add(this.#source, from, keyAt === 0 ? 0 : from + unsigned[0]!, valueAt)
      return true
    }
    if (!this.#out.room(numberBytesMax)) return false
    // As a value, which is taken back; a wide one has quotes.
    const from = this.#out.to
    if (keyAt === 0) this.#zero(keyKind)
    else this.#number(keyKind, keyAt)
    const quotes = this.#out.bytes[from] === quote ? 1 : 0
    this.#keys.add(this.#out.bytes, from + quotes, this.#out.to - quotes, valueAt)
    this.#out.to = from
    return true
  }

  #putEntries(field: JsonField, mark: Mark): boolean {
    const keys = this.#keys
    const { first, end, step } = keys.inOrder(mark)
    for (let entry = first; entry < end; entry += step) {
      const from = keys.textStart(entry)
      const length = keys.textEnd(entry) - from
      if (!this.#out.room(length * 6 + 4)) return false
      if (entry > first) this.#out.put(comma)
      this.#out.to = putText(keys.texts, keys.view, from, length, this.#out.bytes, this.#out.view, this.#out.to)
      this.#out.put(colon)
      const value = keys.value(entry)
      if (value === 0 ? !this.#absent(field) : this.#value(field, value) < 0) return false
    }
    return true
  }
}

/** Whether the tag is that of a run of values, packed. */
function isRun({ kind }: JsonField, tag: number): boolean {
  return (tag & 7) === 2 && kind !== 'message' && kind !== 'string' && kind !== 'bytes'
}

const openBrace = 0x7b
const closeBrace = 0x7d
const openBracket = 0x5b
const closeBracket = 0x5d
const comma = 0x2c
const colon = 0x3a
const quote = 0x22

const nullText = textOf('null')
const trueText = textOf('true')
const falseText = textOf('false')
const emptyText = textOf('""')
const emptyObject = textOf('{}')
const zeroText = textOf('0')
const zeroInQuotes = textOf('"0"')

function textOf(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text))
}
