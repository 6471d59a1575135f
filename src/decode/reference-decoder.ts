import assert from 'node:assert/strict'
import protobuf from 'protobufjs'
import type { SlabView } from '../kafka/slab.ts'
import { type AnyColumnBuilder, createColumnBuilder } from './column-builder.ts'
import type { TableSchema } from './columns.ts'
import type { BadRecord, Decoded, Decoder, Origin } from './decoder.ts'
import { framingHint } from './framing-hint.ts'
import { MessageReader } from './message-reader.ts'
import { type AppendMetadata, metadataAppenders } from './metadata-columns.ts'
import { RecordFault } from './record-fault.ts'
import { type AppendMessage, messageAppender } from './row-appender.ts'
import { type TablePlan, tableSchema } from './table-plan.ts'
import { WireShapes } from './wire-shape.ts'

/** What becomes of a record without a value: Kafka's way of saying that its key is deleted. */
export type TombstoneRule = 'skip' | 'deadLetter'

export interface ReferenceDecoderOptions {
  readonly tableName: string
  readonly tombstones?: TombstoneRule
}

/**
 * The plain decoder: protobufjs makes an object of each record, whose fields are appended to the columns. It is what any
 * faster decoder is measured against, in rows and in values.
 */
export function createReferenceDecoder(plan: TablePlan, options: ReferenceDecoderOptions): Decoder {
  return new ReferenceDecoder(plan, options)
}

class ReferenceDecoder implements Decoder {
  readonly table: TableSchema
  readonly #tombstones: TombstoneRule
  readonly #builders: readonly AnyColumnBuilder[]
  readonly #reader: MessageReader
  readonly #appendMessage: AppendMessage
  readonly #appendMetadata: readonly AppendMetadata[]

  constructor(plan: TablePlan, { tableName, tombstones = 'skip' }: ReferenceDecoderOptions) {
    // Without it protobufjs gives 64-bit integers as doubles, rounded.
    assert(protobuf.util.Long, 'protobufjs has found no package `long`')
    const shapes = new WireShapes()
    this.table = tableSchema(plan, tableName)
    this.#tombstones = tombstones
    this.#builders = plan.columns.map(({ type }) => createColumnBuilder(type))
    this.#reader = new MessageReader(plan.type, shapes)
    this.#appendMessage = messageAppender(plan, this.#builders, shapes)
    this.#appendMetadata = metadataAppenders(plan, this.#builders)
  }

  decode(slabs: readonly SlabView[], origin: Origin): Decoded {
    const recordCount = slabs.reduce((sum, { count }) => sum + count, 0)
    for (const builder of this.#builders) builder.begin(recordCount)
    const offsets = new Float64Array(recordCount)
    const bad: BadRecord[] = []
    let rowCount = 0
    let tombstones = 0
    let next = -1
    for (const [slabIndex, slab] of slabs.entries()) {
      for (let record = 0; record < slab.count; record++) {
        const offset = slab.offset(record)
        next = offset + 1
        if (slab.valueBytes(record) < 0 && this.#tombstones === 'skip') {
          tombstones++
          continue
        }
        const fault = this.#row(slab, record, origin)
        if (fault === undefined) offsets[rowCount++] = offset
        else {
          for (const builder of this.#builders) builder.rollback(rowCount)
          bad.push({ slab: slabIndex, record, offset, code: fault.code, reason: describe(fault, slab.value(record)) })
        }
      }
    }
    return {
      recordCount,
      rowCount,
      offsets: offsets.subarray(0, rowCount),
      columns: this.#builders.map((builder) => builder.finish()),
      bad,
      skipped: tombstones,
      skippedByReason: { tombstone: tombstones },
      next,
    }
  }

  /** Appends one record to every column; after a fault some have it and must be rolled back. */
  #row(slab: SlabView, record: number, origin: Origin): RecordFault | undefined {
    try {
      const length = slab.valueBytes(record)
      if (length < 0) return new RecordFault('TOMBSTONE', 'the record has no value (a tombstone)')
      const start = slab.valueStart(record)
      this.#appendMessage(this.#reader.read(slab.bytes, start, start + length))
      for (const append of this.#appendMetadata) append(slab, record, origin)
      return undefined
    } catch (error) {
      if (error instanceof RecordFault) return error
      throw error
    }
  }
}

function describe(fault: RecordFault, value: Uint8Array | null): string {
  const hint = value === null ? undefined : framingHint(value)
  return hint === undefined ? fault.reason : `${fault.reason}; ${hint}`
}
