import { appendRules } from '../../src/decode/columns.ts'
import type { Batch, Column, ColumnSchema, ItemColumn, TableSchema } from '../../src/decode/columns.ts'

/** Rows of a contract test say where they come from: a row that is there twice shows. No unique key would hide it. */
export const contractTable: TableSchema = {
  name: 'contract',
  columns: [
    { name: 'from_partition', type: 'int32', nullable: false },
    { name: 'from_offset', type: 'int64', nullable: false },
    { name: 'word', type: 'string', nullable: true },
  ],
  rules: appendRules,
}

export interface BatchPlace {
  readonly route?: string
  readonly topic?: string
  readonly partition?: number
  readonly epoch: number
  readonly base: number
  readonly next: number
  /** Offsets that have a row; by default all of [base, next). */
  readonly offsets?: readonly number[]
}

export function contractBatch({
  route = 'r',
  topic = 't',
  partition = 0,
  epoch,
  base,
  next,
  offsets,
}: BatchPlace): Batch {
  const at = offsets ?? Array.from({ length: next - base }, (_, index) => base + index)
  const words = at.map((offset) => (offset % 5 === 0 ? null : `word ${'x'.repeat(offset % 20)} ${offset}`))
  return {
    ...{ route, topic, partition, epoch, base, next },
    table: contractTable,
    rowCount: at.length,
    offsets: Float64Array.from(at),
    columns: [
      fixed(Int32Array.from(at, () => partition)),
      fixed(BigInt64Array.from(at, BigInt)),
      variable(words.map((word) => (word === null ? null : Buffer.from(word)))),
    ],
  }
}

/** A table of one column beside the place, and a batch that holds the values at the offsets 0, 1, 2 ... of partition 0. */
export function valuesBatch(column: ColumnSchema, values: Column, rowCount: number, epoch: number): Batch {
  const at = Array.from({ length: rowCount }, (_, offset) => offset)
  return {
    ...{ route: 'r', topic: 't', partition: 0, epoch, base: 0, next: rowCount },
    table: {
      name: `values_${column.type}`,
      columns: [{ name: 'place', type: 'int64', nullable: false }, column],
      rules: appendRules,
    },
    rowCount,
    offsets: Float64Array.from(at),
    columns: [fixed(BigInt64Array.from(at, BigInt)), values],
  }
}

export const fixed = (
  values: (ItemColumn & { kind: 'fixed' })['values'],
  validity: Uint8Array | undefined = undefined,
): ItemColumn => ({ kind: 'fixed', values, validity })

/** A column of lists: the items of all rows, and how many of them each row has; null has no value. */
export function list(items: ItemColumn, lengths: readonly (number | null)[]): Column {
  const offsets = new Uint32Array(lengths.length + 1)
  const validity = new Uint8Array((lengths.length + 7) >> 3)
  lengths.forEach((length, row) => {
    offsets[row + 1] = offsets[row]! + (length ?? 0)
    if (length !== null) validity[row >> 3]! |= 1 << (row & 7)
  })
  return { kind: 'list', offsets, items, validity: lengths.includes(null) ? validity : undefined }
}

/** A column of strings, bytes or JSON; null has no value. */
export function variable(values: readonly (Uint8Array | null)[]): ItemColumn {
  const offsets = new Uint32Array(values.length + 1)
  const validity = new Uint8Array((values.length + 7) >> 3)
  values.forEach((value, row) => {
    offsets[row + 1] = offsets[row]! + (value?.length ?? 0)
    if (value !== null) validity[row >> 3]! |= 1 << (row & 7)
  })
  const all = values.every((value) => value !== null)
  return {
    kind: 'variable',
    offsets,
    bytes: Buffer.concat(values.filter((value) => value !== null)),
    validity: all ? undefined : validity,
  }
}
