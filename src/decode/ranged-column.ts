import type { Type } from 'protobufjs'
import type { AnyColumnBuilder } from './column-builder.ts'
import type { Column } from './columns.ts'
import { MessageReader } from './message-reader.ts'
import { RecordFault } from './record-fault.ts'
import type { AppendMessage } from './row-appender.ts'
import type { WireShapes } from './wire-shape.ts'

/**
 * A column that is not compiled: lists, maps, messages that become JSON. The compiled decoder only notes where its field's
 * bytes are; they are then read as the reference decoder reads a record, as if the message had no other field.
 */
export class RangedColumn {
  readonly #builder: AnyColumnBuilder
  readonly #append: AppendMessage
  readonly #reader: MessageReader
  /** How deep the message is nested that the field is in. */
  readonly #depth: number
  /** Where the field stands, tags and values: start and end of each run, in turn. An array kept, as one a row is garbage. */
  #ranges = new Uint32Array(16)
  /** How many elements of `#ranges` count. */
  #used = 0
  #scratch = new Uint8Array(1024)

  /** `type` has the column's field and no other. */
  constructor(type: Type, depth: number, builder: AnyColumnBuilder, append: AppendMessage, shapes: WireShapes) {
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
    return this.#attempt(() => void this.#read(bytes))
  }

  /** Appends what was added as one row. False when it is bad. */
  append(bytes: Uint8Array): boolean {
    return this.#attempt(() => this.#append(this.#read(bytes)))
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

  #read(bytes: Uint8Array): ReturnType<MessageReader['read']> {
    const start = this.#ranges[0]!
    const end = this.#ranges[1]!
    const used = this.#used
    try {
      if (used === 0) return this.#reader.read(bytes, 0, 0, this.#depth)
      if (used === 2) return this.#reader.read(bytes, start, end, this.#depth)
      // Gathered first: that may exchange the array.
      const length = this.#gather(bytes)
      return this.#reader.read(this.#scratch, 0, length, this.#depth)
    } finally {
      this.#used = 0
    }
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

  #attempt(act: () => void): boolean {
    try {
      act()
      return true
    } catch (error) {
      if (error instanceof RecordFault) return false
      throw error
    }
  }
}
