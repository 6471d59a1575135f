import protobuf from 'protobufjs'
import { type Column, hasValue, type TableSchema } from '../../src/decode/columns.ts'
import type { Decoded, Decoder } from '../../src/decode/decoder.ts'
import { createReferenceDecoder, type TombstoneRule } from '../../src/decode/reference-decoder.ts'
import { planTable, type PlanOptions } from '../../src/decode/table-plan.ts'
import { packSlab, type RecordToPack, SlabView } from '../../src/kafka/slab.ts'

/** A cell as a test writes it: null, a number, a bigint, a boolean, text, bytes in hex, or a list of these. */
export type Cell = null | number | bigint | boolean | string | readonly Cell[]

/** A message type from the body of a .proto file, proto3 unless it names a syntax or an edition. */
export function typeFrom(body: string, name = 'Test'): protobuf.Type {
  const root = new protobuf.Root()
  for (const file of ['timestamp', 'duration', 'wrappers', 'struct', 'any', 'field_mask', 'empty']) {
    const common = protobuf.common as unknown as Record<string, protobuf.INamespace>
    root.addJSON(common[`google/protobuf/${file}.proto`]!.nested!)
  }
  protobuf.parse(/syntax|edition/.test(body) ? body : `syntax = "proto3"; ${body}`, root, { keepCase: true })
  return root.resolveAll().lookupType(name)
}

export function decoderOf(type: protobuf.Type, options: PlanOptions & { tombstones?: TombstoneRule } = {}): Decoder {
  const { tombstones = 'skip' } = options
  return createReferenceDecoder(planTable(type, options), { tableName: 'test', tombstones })
}

/** Records with these values at the offsets 100, 102, 104 ...: a log has holes. */
export function slabOf(values: readonly (Uint8Array | null)[], record: Partial<RecordToPack> = {}): SlabView {
  const headers = new Uint8Array(0)
  const records = values.map((value, index) => {
    return { offset: 100 + index * 2, timestamp: -1, key: null, headers, ...record, value }
  })
  return new SlabView(packSlab(records))
}

export const origin = { topic: 'readings', partition: 7 }

export function decodeValues(decoder: Decoder, values: readonly (Uint8Array | null)[]): Decoded {
  return decoder.decode([slabOf(values)], origin)
}

export function encode(type: protobuf.Type, message: object): Uint8Array {
  return type.encode(type.fromObject(message)).finish()
}

/** The rows as objects, by column name. */
export function rowsOf(decoded: Decoded, table: TableSchema): Record<string, Cell>[] {
  return Array.from({ length: decoded.rowCount }, (_, row) =>
    Object.fromEntries(
      table.columns.map((schema, index) => [schema.name, cell(decoded.columns[index]!, schema.type, row)]),
    ),
  )
}

/** The only row of the only record. */
export function rowOf(decoder: Decoder, value: Uint8Array): Record<string, Cell> {
  const decoded = decodeValues(decoder, [value])
  const row = rowsOf(decoded, decoder.table)[0]
  if (row === undefined) throw new Error(`no row: ${decoded.bad[0]?.reason}`)
  return row
}

function cell(column: Column, type: string, row: number): Cell {
  if (!hasValue(column, row)) return null
  if (column.kind === 'list') {
    const { items, offsets } = column
    const count = offsets[row + 1]! - offsets[row]!
    return Array.from({ length: count }, (_, index) => cell(items, type.slice(0, -2), offsets[row]! + index))
  }
  if (column.kind === 'fixed') return type === 'bool' ? column.values[row] === 1 : column.values[row]!
  const bytes = column.bytes.subarray(column.offsets[row], column.offsets[row + 1])
  const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  return type === 'bytes' ? Buffer.from(bytes).toString('hex') : text.decode(bytes)
}
