import type { Type } from 'protobufjs'
import type { AnyColumnBuilder } from './column-builder.ts'
import type { Column } from './columns.ts'
import { MessageReader } from './message-reader.ts'
import { RecordFault } from './record-fault.ts'
import type { AppendMessage } from './row-appender.ts'
import type { WireShapes } from './wire-shape.ts'

/** Appends the JSON of the field whose tags and values are `source[start .. end)`; false when it leaves that to others. */
export type WriteJson = (source: Uint8Array, start: number, end: number) => boolean

/**
 * A column that is not compiled: lists, maps, messages that become JSON. The compiled decoder only notes where its field's
 * bytes are; they are then written by a `JsonWriter`, or, what that leaves, read as the reference decoder reads a record, as if
 * the message had no other field.
 */
export class RangedColumn {
  readonly #builder: AnyColumnBuilder
  readonly #append: AppendMessage
  readonly #reader: MessageReader
  readonly #writeJson: WriteJson | undefined
  /** How deep the message is nested that the field is in. */
  readonly #depth: number
  /** Where the field stands, tags and values: start and end of each run, in turn. An array kept, as one a row is garbage. */
  #ranges = new Uint32Array(16)
  /** How many elements of `#ranges` count. */
  #used = 0
  #scratch = new Uint8Array(1024)
  #start = 0
  #end = 0

  /** `type` has the column's field and no other. `writeJson` appends what it can, `append` the rest. */
  constructor(
    type: Type,
    depth: number,
    builder: AnyColumnBuilder,
    append: AppendMessage,
    shapes: WireShapes,
    writeJson?: WriteJson,
  ) {
    this.#writeJson = writeJson
    this.#reader = new MessageReader(type, shapes)
    this.#depth = depth
    this.#builder = builder
    this.#append = append
  }

  begin(rowCount: number): void {
    this.#used = 0
    this.#builder.begin(rowCount)
  }

  add(start: number, end: number): void {
    if (this.#used > 0 && this.#ranges[this.#used - 1] === start) {
      this.#ranges[this.#used - 1] = end
      return
    }
    if (this.#used === this.#ranges.length) {
      const grown = new Uint32Array(this.#used * 2)
      grown.set(this.#ranges)
      this.#ranges = grown
    }
    this.#ranges[this.#used++] = start
    this.#ranges[this.#used++] = end
  }

  /** Forgets what was added: another arm of its oneof came later. False when those bytes are bad all the same. */
  discard(bytes: Uint8Array): boolean {
    if (this.#used === 0) return true
    const source = this.#bringTogether(bytes)
    return this.#reader.check(source, this.#start, this.#end, this.#depth) === undefined
  }

  /** Appends what was added as one row. False when it is bad. */
  append(bytes: Uint8Array): boolean {
    const source = this.#bringTogether(bytes)
    if (this.#reader.check(source, this.#start, this.#end, this.#depth) !== undefined) return false
    if (this.#writeJson?.(source, this.#start, this.#end) === true) return true
    try {
      this.#append(this.#reader.readChecked(source, this.#start, this.#end))
      return true
    } catch (error) {
      if (error instanceof RecordFault) return false
      throw error
    }
  }

  appendNull(): void {
    this.#builder.appendNull()
  }

  undo(row: number): void {
    this.#used = 0
    this.#builder.rollback(row)
  }

  finish(): Column {
    return this.#builder.finish()
  }

  /** Takes the runs; returns where their bytes lie in one, from `#start` to `#end`. */
  #bringTogether(bytes: Uint8Array): Uint8Array {
    const used = this.#used
    this.#start = used === 2 ? this.#ranges[0]! : 0
    this.#end = used === 2 ? this.#ranges[1]! : this.#gather(bytes)
    this.#used = 0
    // Asked last: gathering may exchange it.
    return used === 2 ? bytes : this.#scratch
  }

  /** Brings the runs together in `#scratch`; returns how many bytes they are. */
  #gather(bytes: Uint8Array): number {
    const ranges = this.#ranges
    let length = 0
    for (let index = 0; index < this.#used; index += 2) length += ranges[index + 1]! - ranges[index]!
    if (length > this.#scratch.length) this.#scratch = new Uint8Array(Math.max(length, this.#scratch.length * 2))
    let to = 0
    for (let index = 0; index < this.#used; index += 2) {
      this.#scratch.set(bytes.subarray(ranges[index], ranges[index + 1]), to)
      to += ranges[index + 1]! - ranges[index]!
    }
    return length
  }
}
