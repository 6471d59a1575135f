import type { ColumnChoice } from './column-choice.ts'
import type { ColumnMemory } from './column-memory.ts'
import type { TableRules } from './columns.ts'
import { createCompiledDecoder } from './decoder-compiler.ts'
import type { Decoder } from './decoder.ts'
import type { Framing } from './framing.ts'
import { recordLimitsDefault } from './record-limits.ts'
import { createReferenceDecoder, type TombstoneRule } from './reference-decoder.ts'
import type { SchemaFiles } from './schema-files.ts'
import { loadMessageType } from './schema-source.ts'
import {
  type EnumForm,
  flattenDepthDefault,
  type ListForm,
  type Metadata,
  planTable,
  type TablePlan,
  type TimestampForm,
} from './table-plan.ts'

/** A route's `decode` section. */
export interface RouteDecode {
  readonly format: 'protobuf'
  /** .proto files, or descriptor sets (`.desc`, `.binpb`, `.pb`). */
  readonly files: readonly string[]
  readonly includes?: readonly string[]
  /** Full name of the message. */
  readonly message: string
  readonly framing?: Framing
  readonly enums?: EnumForm
  readonly timestamps?: TimestampForm
  readonly lists?: ListForm
  readonly flattenDepth?: number
  readonly tombstones?: TombstoneRule | 'delete'
  /** Of a record's key, value and headers together. */
  readonly maxRecordBytes?: number
  readonly maxHeaders?: number
  /** Both give the same; `reference` is the slow one, for when the other is in doubt. Default `compiled`. */
  readonly decoder?: 'compiled' | 'reference'
}

/**
 * The decoder of a route, ready for its first slab. `columns` is the route's choice; without it there are all.
 * The schema is read from the disk, or from where `from` has it; the columns are made of `memory`, which decoders of one
 * thread may share. Rejects with SchemaError: the route cannot work as it is written.
 */
export async function createDecoder(
  decode: RouteDecode,
  table: { readonly name: string } & TableRules,
  metadata: readonly Metadata[] = [],
  columns?: readonly ColumnChoice[],
  from?: SchemaFiles,
  memory?: ColumnMemory,
): Promise<Decoder> {
  const plan = await planRoute(decode, metadata, columns, from)
  const { framing = 'none', tombstones = 'skip', decoder = 'compiled' } = decode
  const create = decoder === 'compiled' ? createCompiledDecoder : createReferenceDecoder
  const { name: tableName, ...tableRules } = table
  const { maxRecordBytes = recordLimitsDefault.recordBytesMax, maxHeaders = recordLimitsDefault.headersMax } = decode
  const limits = { recordBytesMax: maxRecordBytes, headersMax: maxHeaders }
  // Deletes are taken from the slabs beside the rows: to a decoder they are nothing.
  const nulls = tombstones === 'delete' ? 'skip' : tombstones
  return create(plan, { tableName, tableRules, framing, tombstones: nulls, limits, memory })
}

/** The table of a route, as `createDecoder` lays it out; rejects as that does. */
export async function planRoute(
  decode: RouteDecode,
  metadata: readonly Metadata[],
  columns: readonly ColumnChoice[] | undefined,
  from: SchemaFiles | undefined,
): Promise<TablePlan> {
  const type = await loadMessageType(decode, from)
  const { enums = 'name', timestamps = 'micros', lists = 'json', flattenDepth = flattenDepthDefault } = decode
  const forms = { enums, timestamps, lists, flattenDepth, metadata }
  return planTable(type, columns === undefined ? forms : { ...forms, columns })
}
