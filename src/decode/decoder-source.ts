import type { Enum } from 'protobufjs'
import { DecoderLayout, type Ranged, type SplitSizes, splitSizesDefault } from './decoder-layout.ts'
import type { Framing } from './framing.ts'
import { type RecordLimits, recordLimitsDefault } from './record-limits.ts'
import { rowEndSource } from './row-end-source.ts'
import type { TablePlan } from './table-plan.ts'
import { wireSource } from './wire-source.ts'
import type { WireShapes } from './wire-shape.ts'

/**
 * The source of a compiled decoder, and what it refers to by number. Nothing of a schema's text is in it, no name of a
 * message, field or enum: only numbers (field numbers, columns) and our own identifiers. Whoever can write a schema
 * can therefore not write code. What must have a name goes beside it, as an object in one of these lists.
 */
export interface DecoderSource {
  readonly source: string
  /** Columns that are not compiled, by index in the plan. */
  readonly ranged: ReadonlyMap<number, Ranged>
  /** Columns of enum names. */
  readonly enums: ReadonlyMap<number, Enum>
  /** Enums that refuse numbers they do not know. */
  readonly closed: readonly Enum[]
  /** The headers that have columns. */
  readonly headers: readonly string[]
}

/** Identifiers that the source takes as arguments, in this order. */
export const sourceArguments = ['tools', 'columns', 'ranged', 'texts', 'closed', 'headers'] as const

/**
 * The way it works. All rows of a slab are decoded in one loop. A field's value goes to its column's array when it is met,
 * over an earlier one of the same row; when the record has ended, absent fields become nulls, and times and enums get
 * their form. Bits in `p0`, `p1` ... say which fields were there, `w0`, `w1` ... which arm of a oneof came last. At
 * the first fault it leaves the block `one` and the row is undone.
 *
 * A wide table has several functions, each for some of the fields: see `DecoderLayout.split`.
 *
 * `cN` is a column's array, `mN` its validity; of texts `oN` are the offsets, `bN` and `dN` the bytes, `nN` where the next
 * text begins; of lists `lN` are the offsets, `iN` where the next item goes in the arrays of the items; `vN` is a value that
 * is kept until the row ends; `rN` a column that is not compiled.
 */
export function decoderSource(
  plan: TablePlan,
  shapes: WireShapes,
  limits: RecordLimits = recordLimitsDefault,
  framing: Framing = 'none',
  sizes: SplitSizes = splitSizesDefault,
): DecoderSource {
  const layout = new DecoderLayout(plan, shapes, sizes)
  // The order matters: the layout fills while they are written.
  const wire = wireSource(layout)
  const rowEnd = rowEndSource(layout)
  const begin = beginSource(layout)
  const headers = plan.metadata.flatMap((metadata) => (typeof metadata === 'string' ? [] : [metadata.header]))
  // None of a table of nothing but JSON: no column of it is compiled.
  const shared = layout.split ? [...columnNames(layout), ...layout.kept] : []
  const source = [
    `'use strict'`,
    'const { words, unsigned, readVarint, readUnsigned, skipField, copyText, copyBytes } = tools',
    'const { putTimestamp, putNanoseconds, putDuration, putMilliseconds } = tools',
    ...[...layout.ranged.keys()].map((column) => `const r${column} = ranged[${column}]`),
    ...[...layout.enums.keys()].map((column) => `const t${column} = texts[${column}]`),
    ...layout.closed.map((_, index) => `const k${index} = closed[${index}]`),
    `const places = new Int32Array(${headers.length * 2})`,
    ...(shared.length > 0 ? [`var ${shared.join(', ')}`] : []),
    ...layout.functions,
    'return function run(slab, view, partition, topic, topicView, row, offsets, refuse, tombstone) {',
    'const bytes = slab.bytes, count = slab.count',
    ...begin.columns,
    'for (let record = 0; record < count; record++) {',
    'const size = slab.valueBytes(record)',
    'if (size < 0) { if (tombstone(record)) refuse(record, row); continue }',
    'let at = slab.valueStart(record), tag = 0, length = 0, start = 0, value = 0',
    'const end = at + size',
    ...begin.record,
    'one: {',
    `if (slab.recordBytes(record) > ${limits.recordBytesMax}) break one`,
    ...headersSource(headers.length, limits),
    ...(framing === 'none' ? [] : ['at = tools.messageStart(bytes, at, end)', 'if (at < 0) break one']),
    ...wire,
    ...rowEnd,
    'offsets[row] = offset',
    'row++',
    'continue',
    '}',
    ...begin.undo,
    'refuse(record, row)',
    '}',
    'return row',
    '}',
  ].join('\n')
  const { ranged, enums, closed } = layout
  return { source, ranged, enums, closed, headers }
}

/** Headers are gone through only if a column is filled from them, or if there may be too many. */
function headersSource(columns: number, { headersMax }: RecordLimits): string[] {
  const condition = columns > 0 ? '' : `slab.headersAtMost(record) > ${headersMax} && `
  return [`if (${condition}slab.findHeaders(record, headers, places) > ${headersMax}) break one`]
}

/** Names of the variables of columns. */
function columnNames(layout: DecoderLayout): string[] {
  return layout.compiledColumns().flatMap((column) => {
    const list = layout.isList(column) ? ['l', 'i'] : []
    const own = layout.isVariable(column) ? ['o', 'b', 'd', 'n'] : ['c']
    return [...list, ...own, ...(layout.plan.columns[column]!.nullable ? ['m'] : [])].map((letter) => letter + column)
  })
}

/** What sets variables: those of the columns of a load, those of a record, and those of a row that is undone. */
function beginSource(layout: DecoderLayout): Readonly<Record<'columns' | 'record' | 'undo', readonly string[]>> {
  const declare = layout.split ? '' : 'let '
  const columns = layout.compiledColumns()
  const ofAnyLength = columns.filter((column) => layout.isList(column) || layout.isVariable(column))
  return {
    columns: inParts(layout, columns, (column) => columnLines(layout, column, declare)),
    record: inParts(layout, [...layout.kept], (name) => [`${declare}${name} = 0`]),
    undo: inParts(layout, ofAnyLength, (column) => layout.toRowStart(column)),
  }
}

function inParts<Item>(layout: DecoderLayout, items: readonly Item[], lines: (item: Item) => string[]): string[] {
  const runs = layout.runsOf(items)
  if (runs.length <= 1) return items.flatMap(lines)
  return runs.map((run) => `${layout.addFunction('row', run.flatMap(lines))}(row)`)
}

function columnLines(layout: DecoderLayout, column: number, declare: string): string[] {
  const { nullable } = layout.plan.columns[column]!
  const arrays = layout.arraysOf(column)
  return [
    ...(nullable ? [`${declare}m${column} = columns[${column}].validity`] : []),
    ...(layout.isList(column) ? [`${declare}l${column} = columns[${column}].offsets`] : []),
    ...(layout.isVariable(column)
      ? [
          `${declare}o${column} = ${arrays}.offsets`,
          `${declare}b${column} = ${arrays}.bytes`,
          `${declare}d${column} = ${arrays}.view`,
        ]
      : [`${declare}c${column} = ${arrays}.slots`]),
    ...layout.toRowStart(column).map((line) => declare + line),
  ]
}
