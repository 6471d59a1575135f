import { hasValue } from '../decode/columns.ts'
import type { Batch, Column, ItemColumn } from '../decode/columns.ts'

/** The same range without some rows, as a copy: what is left after poison rows were dead-lettered. */
export function withoutRows(batch: Batch, rows: readonly number[]): Batch {
  const gone = new Set(rows)
  const kept: number[] = []
  for (let row = 0; row < batch.rowCount; row++) if (!gone.has(row)) kept.push(row)
  return {
    ...batch,
    rowCount: kept.length,
    offsets: Float64Array.from(kept, (row) => batch.offsets[row]!),
    columns: batch.columns.map((column) => keepRows(column, kept)),
  }
}

function keepRows(column: Column, kept: readonly number[]): Column {
  if (column.kind !== 'list') return keepItems(column, kept)
  const offsets = new Uint32Array(kept.length + 1)
  const items: number[] = []
  kept.forEach((row, index) => {
    for (let item = column.offsets[row]!; item < column.offsets[row + 1]!; item++) items.push(item)
    offsets[index + 1] = items.length
  })
  return {
    kind: 'list',
    offsets,
    items: keepItems(column.items, items),
    validity: column.validity && keepBits(column, kept),
  }
}

function keepItems(column: ItemColumn, kept: readonly number[]): ItemColumn {
  const validity = column.validity && keepBits(column, kept)
  if (column.kind === 'fixed') {
    const values = column.values.slice(0, kept.length)
    // Each array type is indexed by its own element type; the pair is the same one on both sides.
    kept.forEach((row, index) => ((values as Float64Array)[index] = (column.values as Float64Array)[row]!))
    return { kind: 'fixed', values, validity }
  }
  const offsets = new Uint32Array(kept.length + 1)
  const parts = kept.map((row, index) => {
    const part = column.bytes.subarray(column.offsets[row], column.offsets[row + 1])
    offsets[index + 1] = offsets[index]! + part.length
    return part
  })
  return { kind: 'variable', offsets, bytes: Buffer.concat(parts), validity }
}

function keepBits(column: Column, kept: readonly number[]): Uint8Array {
  const bits = new Uint8Array((kept.length + 7) >> 3)
  kept.forEach((row, index) => {
    if (hasValue(column, row)) bits[index >> 3]! |= 1 << (index & 7)
  })
  return bits
}
