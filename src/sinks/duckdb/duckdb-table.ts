import { DuckDBDataChunk } from '@duckdb/node-api'
import type { DuckDBAppender, DuckDBConnection, DuckDBType } from '@duckdb/node-api'
import duckdb from '@duckdb/node-bindings'
import type { Batch, Column, TableSchema } from '../../decode/columns.ts'
import { SinkRefusedError } from '../../errors.ts'
import { duckDbType, duckDbTypes, takes } from './duckdb-types.ts'
import { chunkRows, fillNulls, fillVector, refuseInfinities } from './duckdb-vectors.ts'

interface TableColumn {
  readonly name: string
  readonly sql: string
  readonly nullable: boolean
}

/** A column of the table in its own order: where its values are in a batch, or that there are none. */
interface Source {
  /** Index into `Batch.columns`; -1: every row is null. */
  readonly index: number
  readonly chunk: DuckDBType
  readonly interval: boolean
  /** Has times of nanoseconds, of which not all are times to DuckDB. */
  readonly nanos: boolean
}

/** A table that is ready for a route's rows, and how a batch's columns fit into its own. */
export class DuckDbTable {
  readonly name: string
  readonly #sources: readonly Source[]

  private constructor(name: string, sources: readonly Source[]) {
    this.name = name
    this.#sources = sources
  }

  /** Makes the table when absent and adds what it lacks, if that is allowed. Rejects like `plan`. */
  static async open(connection: DuckDBConnection, schema: TableSchema): Promise<DuckDbTable> {
    for (const statement of await DuckDbTable.plan(connection, schema)) await connection.run(statement)
    const table = new DuckDbTable(schema.name, sourcesOf(await readColumns(connection, schema.name), schema))
    await table.#proveAppendable(connection)
    return table
  }

  /** The statements that the table needs for the schema. Rejects with SinkRefusedError with every mismatch. */
  static async plan(connection: DuckDBConnection, schema: TableSchema): Promise<string[]> {
    const { create, evolve, mode } = schema.rules
    if (mode === 'upsert') {
      const cure = 'set table.mode: append and take the latest rows in a view, or write to postgres'
      throw new SinkRefusedError(`table ${schema.name}: this sink has no upsert mode; ${cure}`)
    }
    const present = await readColumns(connection, schema.name)
    const missing = schema.columns.filter(({ name }) => !present.some((each) => sameName(each.name, name)))
    const mismatches = present.flatMap((column) => mismatch(column, schema))
    if (present.length === 0 && !create) {
      mismatches.push('does not exist, and table.create is false')
    } else if (present.length > 0 && missing.length > 0 && evolve === 'refuse') {
      const names = missing.map(({ name, type }) => `${name} ${duckDbType(type).sql}`).join(', ')
      mismatches.push(`lacks ${names}, and table.evolve is \`refuse\``)
    }
    if (mismatches.length > 0) {
      throw new SinkRefusedError(
        `table ${schema.name}: ${mismatches.join('; ')}; change the table or the route's columns`,
      )
    }
    return changes(schema, present.length > 0, missing)
  }

  /** The appender takes tables only, and knows nothing of computed columns: better said now than on each write. */
  async #proveAppendable(connection: DuckDBConnection): Promise<void> {
    const appender = await connection.createAppender(this.name).catch((cause: unknown) => {
      throw new SinkRefusedError(`${this.name} cannot be appended to; a route writes to a table, not to a view`, {
        cause,
      })
    })
    const { columnCount } = appender
    appender.closeSync()
    if (columnCount === this.#sources.length) return
    throw new SinkRefusedError(
      `table ${this.name} has generated columns, beside which DuckDB cannot append; drop them and compute them in a view`,
    )
  }

  /** Appends rows [from, to) of each batch, in the transaction that is open. Throws DuckDB's error. */
  async append(
    connection: DuckDBConnection,
    parts: readonly { batch: Batch; from: number; to: number }[],
  ): Promise<void> {
    const appender = await connection.createAppender(this.name)
    try {
      const chunk = DuckDBDataChunk.create(this.#sources.map((source) => source.chunk))
      const handle = (chunk as unknown as { chunk: duckdb.DataChunk }).chunk
      for (const { batch, from, to } of parts) {
        for (let row = from; row < to; row += chunkRows) {
          const end = Math.min(to, row + chunkRows)
          chunk.reset()
          chunk.rowCount = end - row
          this.#sources.forEach(({ index, interval, nanos }, place) => {
            const vector = duckdb.data_chunk_get_vector(handle, place)
            if (index < 0) return fillNulls(vector, end - row)
            const column = batch.columns[index]!
            if (nanos) refuseInfinities(column as Column & { kind: 'fixed' }, row, end)
            fillVector(vector, column, interval, row, end)
          })
          appender.appendDataChunk(chunk)
        }
      }
      appender.flushSync()
    } catch (error) {
      // Closing flushes what is left, which fails again and would hide why.
      tryToClose(appender)
      throw error
    }
    appender.closeSync()
  }
}

function tryToClose(appender: DuckDBAppender): void {
  try {
    appender.clear()
    appender.closeSync()
  } catch {
    // The error that made us close is the one that counts.
  }
}

/** An SQL identifier, whatever the name holds. */
export const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`

async function readColumns(connection: DuckDBConnection, table: string): Promise<TableColumn[]> {
  const reader = await connection.runAndReadAll(
    `select column_name, data_type, is_nullable from information_schema.columns
     where table_schema = current_schema() and lower(table_name) = lower($1) order by ordinal_position`,
    [table],
  )
  return reader.getRows().map(([name, sql, nullable]) => ({
    name: name as string,
    sql: sql as string,
    nullable: nullable === 'YES',
  }))
}

function mismatch({ name, sql, nullable }: TableColumn, schema: TableSchema): string[] {
  const wanted = schema.columns.find((each) => sameName(each.name, name))
  if (wanted === undefined)
    return nullable ? [] : [`column ${name} must have a value and the message has no such field`]
  if (!takes(sql, wanted.type)) return [`column ${name} is ${sql} and ${duckDbType(wanted.type).sql} is needed`]
  return wanted.nullable && !nullable ? [`column ${name} must have a value and the field may have none`] : []
}

function changes(schema: TableSchema, exists: boolean, missing: TableSchema['columns']): string[] {
  // Every column may be null: one that is added later must be, and the appender is as fast.
  const definitions = missing.map(({ name, type }) => `${quoted(name)} ${duckDbType(type).sql}`)
  const table = quoted(schema.name)
  if (!exists) return [`create table ${table} (${definitions.join(', ')})`]
  return definitions.map((definition) => `alter table ${table} add column ${definition}`)
}

function sourcesOf(columns: readonly TableColumn[], schema: TableSchema): Source[] {
  return columns.map(({ name, sql }) => {
    const index = schema.columns.findIndex((each) => sameName(each.name, name))
    const type = schema.columns[index]?.type
    if (type !== undefined)
      return { index, chunk: duckDbType(type).chunk, interval: type === 'duration', nanos: type === 'timestampNanos' }
    const known = Object.values(duckDbTypes).find((each) => each.sql === sql)
    // A chunk of nulls is cast to whatever the column is.
    return { index: -1, chunk: known?.chunk ?? duckDbTypes.string.chunk, interval: false, nanos: false }
  })
}

/** DuckDB's names are case-insensitive, quoted or not. */
const sameName = (one: string, other: string): boolean => one.toLowerCase() === other.toLowerCase()
