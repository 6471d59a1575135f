import type { SlabView } from '../kafka/slab.ts'
import { createColumnBuilder, type VariableColumnBuilder } from './column-builder.ts'
import { type ColumnArrays, createColumnArrays } from './column-arrays.ts'
import type { ColumnMemory } from './column-memory.ts'
import type { Column, TableSchema } from './columns.ts'
import type { BadRecord, Decoded, Decoder, Origin } from './decoder.ts'
import type { SplitSizes } from './decoder-layout.ts'
import { type DecoderSource, decoderSource, sourceArguments } from './decoder-source.ts'
import { EnumTexts } from './enum-texts.ts'
import { JsonMapping } from './json/json-mapping.ts'
import { JsonShapes } from './json/json-shape.ts'
import { JsonWriter } from './json/json-writer.ts'
import { narrowedType } from './narrowed-type.ts'
import { putDuration, putMilliseconds, putNanoseconds, putTimestamp } from './put-times.ts'
import { RangedColumn, type WriteJson } from './ranged-column.ts'
import { RecordFault } from './record-fault.ts'
import { type Framing, type MessageStart, messageStarts } from './framing.ts'
import type { RecordLimits } from './record-limits.ts'
import { type DecoderOptions, withDefaults } from './reference-decoder.ts'
import { ReferenceRows } from './reference-rows.ts'
import { enumNames } from './reflection.ts'
import { fieldAppender } from './row-appender.ts'
import { type TablePlan, tableSchema } from './table-plan.ts'
import { isUtf8Text } from './utf8.ts'
import { copyBytes, copyText, readUnsigned, readVarint, skipField, unsigned, words } from './wire-reader.ts'
import { WireShapes } from './wire-shape.ts'

/**
 * Compiles a plan to a decoder that goes from wire bytes straight to columns: no object, text or BigInt for a record. It
 * gives what the reference decoder gives; a record it refuses is read again by that one, which says why.
 */
export function createCompiledDecoder(plan: TablePlan, options: DecoderOptions, sizes?: SplitSizes): Decoder {
  return new CompiledDecoder(plan, options, sizes)
}

/** The generated function: decodes all records of a slab from row `row` on, and returns the row after the last. */
type Run = (
  slab: SlabView,
  view: DataView,
  partition: number,
  topic: Uint8Array,
  topicView: DataView,
  row: number,
  offsets: Float64Array,
  refuse: (record: number, row: number) => void,
  tombstone: (record: number) => boolean,
) => number

const tools = {
  words,
  unsigned,
  readVarint,
  readUnsigned,
  skipField,
  copyText,
  copyBytes,
  isUtf8Text,
  putTimestamp,
  putNanoseconds,
  putDuration,
  putMilliseconds,
}

class CompiledDecoder implements Decoder {
  readonly table: TableSchema
  readonly #plan: TablePlan
  readonly #tombstonesAreBad: boolean
  /** By column; undefined where it is ranged. */
  readonly #arrays: readonly (ColumnArrays | undefined)[]
  readonly #ranged: readonly (RangedColumn | undefined)[]
  readonly #columns: readonly (ColumnArrays | RangedColumn)[]
  readonly #run: Run
  readonly #limits: RecordLimits
  readonly #framing: Framing
  readonly #memory: ColumnMemory
  /** Made at the first bad record. */
  #explaining: ReferenceRows | undefined

  constructor(plan: TablePlan, options: DecoderOptions, sizes: SplitSizes | undefined) {
    const { tableName, tableRules, tombstones, limits, framing, memory } = withDefaults(options)
    const shapes = new WireShapes()
    const compiled = decoderSource(plan, shapes, limits, framing, sizes)
    this.#limits = limits
    this.#framing = framing
    this.#memory = memory
    this.table = tableSchema(plan, tableName, tableRules)
    this.#plan = plan
    this.#tombstonesAreBad = tombstones === 'deadLetter'
    this.#ranged = rangedColumns(plan, compiled, shapes, memory)
    this.#arrays = plan.columns.map(({ type, nullable }, column) =>
      this.#ranged[column] === undefined ? createColumnArrays(type, nullable, memory) : undefined,
    )
    this.#columns = plan.columns.map((_, column) => (this.#ranged[column] ?? this.#arrays[column])!)
    this.#run = bind(compiled, this.#arrays, this.#ranged, messageStarts[framing])
  }

  decode(slabs: readonly SlabView[], origin: Origin): Decoded {
    const recordCount = slabs.reduce((sum, { count }) => sum + count, 0)
    this.#memory.begin()
    for (const column of this.#columns) column.begin(recordCount)
    const topic = new Uint8Array(Buffer.from(origin.topic))
    const topicView = new DataView(topic.buffer)
    const offsets = new Float64Array(this.#memory.take(recordCount * 8))
    const bad: BadRecord[] = []
    let explaining: ReferenceRows | undefined
    let rowCount = 0
    let skipped = 0
    let next = -1
    for (const [slabIndex, slab] of slabs.entries()) {
      const refuse = (record: number, row: number): void => {
        for (const column of this.#columns) column.undo(row)
        explaining ??= this.#beginExplaining()
        bad.push(this.#explain(explaining, slab, slabIndex, record, origin))
      }
      const tombstone = (): boolean => {
        if (!this.#tombstonesAreBad) skipped++
        return this.#tombstonesAreBad
      }
      const view = new DataView(slab.buffer)
      rowCount = this.#run(slab, view, origin.partition, topic, topicView, rowCount, offsets, refuse, tombstone)
      if (slab.count > 0) next = slab.offset(slab.count - 1) + 1
    }
    return {
      recordCount,
      rowCount,
      offsets: offsets.subarray(0, rowCount),
      columns: this.#finish(rowCount),
      bad,
      skipped,
      skippedByReason: { tombstone: skipped },
      next,
      release: this.#memory.handOver(),
    }
  }

  #finish(rowCount: number): Column[] {
    return this.#columns.map((column) => column.finish(rowCount))
  }

  #beginExplaining(): ReferenceRows {
    const rows = (this.#explaining ??= new ReferenceRows(this.#plan, this.#limits, this.#framing))
    rows.begin(1)
    return rows
  }

  #explain(rows: ReferenceRows, slab: SlabView, slabIndex: number, record: number, origin: Origin): BadRecord {
    const fault = rows.append(slab, record, origin) ?? disagreement()
    rows.rollback(0)
    const reason = rows.describe(fault, slab.value(record))
    return { slab: slabIndex, record, offset: slab.offset(record), code: fault.code, reason }
  }
}

/** Never seen; but a record must not be lost to a fault of ours. */
function disagreement(): RecordFault {
  return new RecordFault(
    'MALFORMED',
    'the compiled decoder refuses what the reference decoder takes: report it, and set decode.decoder: reference to go on',
  )
}

function rangedColumns(
  plan: TablePlan,
  compiled: DecoderSource,
  shapes: WireShapes,
  memory: ColumnMemory,
): (RangedColumn | undefined)[] {
  const json = new JsonMapping(plan.type.root, plan.enums, shapes)
  const jsonShapes = new JsonShapes(plan.enums)
  const writer = new JsonWriter()
  return plan.columns.map((schema, column) => {
    const ranged = compiled.ranged.get(column)
    if (ranged === undefined) return undefined
    const { part, depth } = ranged
    const builder = createColumnBuilder(schema.type, memory)
    const type = narrowedType(ranged.type, [part.field])
    const append = fieldAppender(part, builder, json)
    if (part.conversion !== 'json') return new RangedColumn(type, depth, builder, append, shapes)
    const field = jsonShapes.column(part.field)
    const writeJson: WriteJson = (source, start, end) =>
      writer.write(field, source, start, end, builder as VariableColumnBuilder)
    return new RangedColumn(type, depth, builder, append, shapes, writeJson)
  })
}

function bind(
  compiled: DecoderSource,
  arrays: readonly (ColumnArrays | undefined)[],
  ranged: readonly (RangedColumn | undefined)[],
  messageStart: MessageStart,
): Run {
  const texts = arrays.map((_, column) => {
    const type = compiled.enums.get(column)
    return type === undefined ? undefined : new EnumTexts(type)
  })
  const closed = compiled.closed.map((type) => new Set(enumNames(type).keys()))
  // The source is ours alone, see `DecoderSource`.
  // eslint-disable-next-line @typescript-eslint/no-implied-eval
  const make = new Function(...sourceArguments, compiled.source) as (...given: unknown[]) => Run
  const headers = compiled.headers.map((name) => new Uint8Array(Buffer.from(name)))
  return make({ ...tools, messageStart }, arrays, ranged, texts, closed, headers)
}
