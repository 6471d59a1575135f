import pg from 'pg'
import type { Batch, Column } from '../../decode/columns.ts'
import type { PoisonRow } from '../sink.ts'
import type { Applying } from '../position-swap.ts'
import { CopyEncoder } from './copy-encoder.ts'
import type { CopyRows } from './copy-encoder.ts'
import { negativeZeros } from './negative-zero.ts'
import type { PostgresConnection } from './postgres-connection.ts'
import type { TableField, TablePlan } from './postgres-table.ts'
import { notUuids } from './uuid-text.ts'

/** Rows [from, to) of a batch. */
export interface RowRange extends Applying {
  readonly to: number
}

/** A table that is ready for a route's rows. */
export interface TableWriter {
  /** Changes when the rows must be written in another way than before. */
  readonly signature: string
  /** Puts the rows into the open transaction, after the statements `before`. Rejects with the server's error. */
  write(connection: PostgresConnection, ranges: readonly RowRange[], before?: string): Promise<void>
  /** Rows that PostgreSQL would bend instead of refusing them. */
  bent(batch: Batch, from: number): readonly PoisonRow[]
}

/** Each record a row: COPY goes straight into the table, so the right to insert is all it takes. */
export class AppendWriter implements TableWriter {
  readonly signature: string
  readonly #statement: string
  readonly #encoder: CopyEncoder
  readonly #fields: readonly TableField[]

  constructor({ name, fields }: TablePlan) {
    this.#fields = fields
    this.#statement = copyStatement(name, quotedNames(fields))
    this.#encoder = new CopyEncoder(fields.map(({ encoding }) => encoding))
    this.signature = JSON.stringify([this.#statement, fields])
  }

  async write(connection: PostgresConnection, ranges: readonly RowRange[], before = ''): Promise<void> {
    await connection.copy(`${before};${this.#statement}`, this.#encoder.rows(rowsOf(ranges)))
  }

  bent(batch: Batch, from: number): readonly PoisonRow[] {
    return bentRows(batch, from, this.#fields)
  }
}

/** `columns` are quoted. */
export const copyStatement = (table: string, columns: readonly string[]): string =>
  `copy ${table} (${columns.join(', ')}) from stdin (format binary)`

export const quotedNames = (fields: readonly TableField[]): string[] =>
  fields.map(({ name }) => pg.escapeIdentifier(name))

export const rowsOf = (ranges: readonly RowRange[]): CopyRows[] =>
  ranges.map(({ batch, from, to }) => ({ columns: batch.columns, from, to }))

/**
 * Looked for only where a column is narrower than the values: a uint64 in a bigint, a text in a varchar(20) or a uuid, -0 in jsonb. And
 * NUL in texts, which the server would refuse, but one row a COPY: of many such rows each would cost a round trip.
 */
export function bentRows(batch: Batch, from: number, fields: readonly TableField[]): PoisonRow[] {
  const found = fields.flatMap((field, index) => {
    const column = batch.columns[index]!
    if (field.encoding.form === 'uint64AsInt64') return tooLarge(column, field, from, batch.rowCount)
    if (field.encoding.form === 'jsonb') return negativeZeros(column, field.name, from, batch.rowCount)
    if (field.encoding.form === 'uuid') return notUuids(column, field.name, from, batch.rowCount)
    if (batch.table.columns[index]!.type !== 'string') return []
    const nuls = withNul(column, field.name, from, batch.rowCount)
    if (field.lengthMax === undefined) return nuls
    return [...tooLong(column, field.name, field.lengthMax, from, batch.rowCount), ...nuls]
  })
  const byRow = new Map(found.map((poison) => [poison.row, poison]))
  return [...byRow.values()].sort((one, other) => one.row - other.row)
}

function tooLarge(column: Column, { name }: TableField, from: number, to: number): PoisonRow[] {
  const { values } = column as Column & { kind: 'fixed' }
  const words = new Uint32Array(values.buffer, values.byteOffset, to * 2)
  const rows: PoisonRow[] = []
  for (let row = from; row < to; row++) {
    if (words[row * 2 + 1]! < 0x8000_0000) continue
    rows.push({ row, reason: `column ${name}: the uint64 is out of range for type bigint`, code: '22003' })
  }
  return rows
}

function withNul(column: Column, name: string, from: number, to: number): PoisonRow[] {
  const { offsets, bytes } = column as Column & { kind: 'variable' }
  const all = Buffer.from(bytes.buffer, bytes.byteOffset, offsets[to])
  const rows: PoisonRow[] = []
  let row = from
  for (let at = all.indexOf(0, offsets[from]); at >= 0; at = all.indexOf(0, offsets[row + 1])) {
    while (offsets[row + 1]! <= at) row++
    rows.push({ row, reason: `column ${name}: a text of PostgreSQL cannot hold the character NUL`, code: '22021' })
  }
  return rows
}

/** PostgreSQL refuses what is too long, but cuts spaces off to make it fit. */
function tooLong(column: Column, name: string, lengthMax: number, from: number, to: number): PoisonRow[] {
  const { offsets, bytes } = column as Column & { kind: 'variable' }
  const rows: PoisonRow[] = []
  for (let row = from; row < to; row++) {
    if (offsets[row + 1]! - offsets[row]! <= lengthMax) continue
    let length = 0
    // All but the bytes that continue a character.
    for (let at = offsets[row]!; at < offsets[row + 1]!; at++) if ((bytes[at]! & 0xc0) !== 0x80) length++
    if (length <= lengthMax) continue
    rows.push({ row, reason: `column ${name}: the text is longer than ${lengthMax} characters`, code: '22001' })
  }
  return rows
}
