import type { Decoder } from './decoder.ts'
import { createReferenceDecoder, type TombstoneRule } from './reference-decoder.ts'
import { loadMessageType } from './schema-source.ts'
import { type EnumForm, type Metadata, planTable } from './table-plan.ts'

/** A route's `decode` section. */
export interface RouteDecode {
  readonly format: 'protobuf'
  /** .proto files, or descriptor sets (`.desc`, `.binpb`, `.pb`). */
  readonly files: readonly string[]
  readonly includes?: readonly string[]
  /** Full name of the message. */
  readonly message: string
  readonly enums?: EnumForm
  readonly flattenDepth?: number
  readonly tombstones?: TombstoneRule
}

/** The decoder of a route, ready for its first slab. Rejects with SchemaError: the route cannot work as it is written. */
export async function createDecoder(
  decode: RouteDecode,
  table: string,
  metadata: readonly Metadata[] = [],
): Promise<Decoder> {
  const type = await loadMessageType(decode)
  const { enums = 'name', flattenDepth, tombstones = 'skip' } = decode
  const plan = planTable(type, { enums, metadata, ...(flattenDepth === undefined ? {} : { flattenDepth }) })
  return createReferenceDecoder(plan, { tableName: table, tombstones })
}
