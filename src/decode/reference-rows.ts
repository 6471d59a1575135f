import assert from 'node:assert/strict'
import protobuf from 'protobufjs'
import type { SlabView } from '../kafka/slab.ts'
import { type AnyColumnBuilder, createColumnBuilder } from './column-builder.ts'
import { ColumnMemory } from './column-memory.ts'
import type { Column } from './columns.ts'
import type { Origin } from './decoder.ts'
import { type Framing, framingFault, messageStarts } from './framing.ts'
import { framingHint } from './framing-hint.ts'
import { MessageReader } from './message-reader.ts'
import { type AppendMetadata, metadataAppenders } from './metadata-columns.ts'
import { RecordFault } from './record-fault.ts'
import { limitFault, type RecordLimits } from './record-limits.ts'
import { type AppendMessage, messageAppender } from './row-appender.ts'
import type { TablePlan } from './table-plan.ts'
import { WireShapes } from './wire-shape.ts'

/** Appends records to columns one by one, by way of protobufjs' objects. Says best what is wrong with one. */
export class ReferenceRows {
  readonly #builders: readonly AnyColumnBuilder[]
  readonly #reader: MessageReader
  readonly #appendMessage: AppendMessage
  readonly #appendMetadata: readonly AppendMetadata[]
  readonly #limits: RecordLimits
  readonly #framing: Framing
  readonly #memory: ColumnMemory

  constructor(plan: TablePlan, limits: RecordLimits, framing: Framing, memory = new ColumnMemory()) {
    // Without it protobufjs gives 64-bit integers as doubles, rounded.
    assert(protobuf.util.Long, 'protobufjs has found no package `long`')
    const shapes = new WireShapes()
    this.#builders = plan.columns.map(({ type }) => createColumnBuilder(type, memory))
    this.#reader = new MessageReader(plan.type, shapes)
    this.#appendMessage = messageAppender(plan, this.#builders, shapes)
    this.#appendMetadata = metadataAppenders(plan, this.#builders)
    this.#limits = limits
    this.#framing = framing
    this.#memory = memory
  }

  begin(rowsExpected: number): void {
    this.#memory.begin()
    for (const builder of this.#builders) builder.begin(rowsExpected)
  }

  /** Appends one record to every column. After a fault some have it: `rollback` to the row it would have been. */
  append(slab: SlabView, record: number, origin: Origin): RecordFault | undefined {
    const length = slab.valueBytes(record)
    if (length < 0) return new RecordFault('TOMBSTONE', 'the record has no value (a tombstone)')
    const tooLarge = limitFault(slab, record, this.#limits)
    if (tooLarge !== undefined) return tooLarge
    const { bytes } = slab
    const start = slab.valueStart(record)
    const end = start + length
    const at = messageStarts[this.#framing](bytes, start, end)
    if (at < 0) return framingFault(this.#framing)
    const malformed = this.#reader.check(bytes, at, end)
    // The place in the value, as it is in the topic.
    if (malformed !== undefined) return malformed.movedBy(at - start)
    try {
      this.#appendMessage(this.#reader.readChecked(bytes, at, end))
      for (const append of this.#appendMetadata) append(slab, record, origin)
      return undefined
    } catch (error) {
      if (error instanceof RecordFault) return error
      throw error
    }
  }

  rollback(row: number): void {
    for (const builder of this.#builders) builder.rollback(row)
  }

  finish(): Column[] {
    return this.#builders.map((builder) => builder.finish())
  }

  /** The fault in one line, and what the bytes may be instead. */
  describe(fault: RecordFault, value: Uint8Array | null): string {
    const hint = value === null || this.#framing !== 'none' ? undefined : framingHint(value)
    return hint === undefined ? fault.reason : `${fault.reason}; ${hint}`
  }
}
