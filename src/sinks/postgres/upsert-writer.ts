import pg from 'pg'
import type { Batch, TableSchema } from '../../decode/columns.ts'
import { SinkRefusedError } from '../../errors.ts'
import type { PoisonRow } from '../sink.ts'
import { CopyEncoder } from './copy-encoder.ts'
import type { PostgresConnection } from './postgres-connection.ts'
import type { TableField, TablePlan } from './postgres-table.ts'
import { deleted, offsetColumn, partitionColumn, stage, StagedDeletes, topicColumn } from './staged-deletes.ts'
import { bentRows, copyStatement, quotedNames, rowsOf } from './table-writer.ts'
import type { RowRange, TableWriter } from './table-writer.ts'

const originColumns: readonly string[] = [partitionColumn, topicColumn]

/**
 * Each key a row that holds its latest record: rows are copied to a staging table, and from there into the table in one
 * statement. In the order of the keys, or two writers would wait for each other.
 */
export class UpsertWriter implements TableWriter {
  readonly signature: string
  readonly #fields: readonly TableField[]
  readonly #encoder: CopyEncoder
  readonly #copy: string
  readonly #merge: string
  readonly #deletes: StagedDeletes | undefined

  constructor({ name, fields }: TablePlan, schema: TableSchema) {
    refuseUnordered(schema)
    this.#fields = fields
    this.#encoder = new CopyEncoder(fields.map(({ encoding }) => encoding))
    this.#copy = `${stageStatement(fields)}; ${copyStatement(stage, quotedNames(fields))}`
    this.#deletes = schema.rules.deletes ? new StagedDeletes(fields, schema) : undefined
    this.#merge = mergeStatement(name, fields, schema)
    this.signature = JSON.stringify([this.#merge, fields])
  }

  async write(connection: PostgresConnection, ranges: readonly RowRange[], before = ''): Promise<void> {
    await connection.copy(`${before};${this.#copy}`, this.#encoder.rows(rowsOf(ranges)))
    await this.#deletes?.write(connection, ranges)
    await connection.query(`${this.#merge}; drop table ${stage}`)
  }

  bent(batch: Batch, from: number): readonly PoisonRow[] {
    return bentRows(batch, from, this.#fields)
  }
}

function refuseUnordered({ name, columns, rules }: TableSchema): void {
  const names = columns.map((column) => column.name)
  const faults = rules.keys
    .filter((key) => !names.includes(key))
    .map((key) => `table.keys has ${key}, which is no column`)
  if (!names.includes(offsetColumn)) {
    faults.push(
      `table.mode: upsert needs the column ${offsetColumn}: list \`offset\` in \`metadata\`, and do not rename it`,
    )
  }
  if (faults.length > 0) throw new SinkRefusedError(`table ${name}: ${faults.join('; ')}`)
}

const quoted = (names: readonly string[]): string => names.map((name) => pg.escapeIdentifier(name)).join(', ')

const stageStatement = (fields: readonly TableField[]): string =>
  `create temp table millrace_stage (${fields.map(({ name, sql }) => `${pg.escapeIdentifier(name)} ${sql}`).join(', ')}, ${deleted} boolean) on commit drop`

function mergeStatement(table: string, fields: readonly TableField[], { rules }: TableSchema): string {
  const names = fields.map(({ name }) => name)
  const keys = quoted(rules.keys)
  const others = names.filter((name) => !rules.keys.includes(name)).map((name) => pg.escapeIdentifier(name))
  const newer = (than: string) => newerThan(than, names)
  const upsert = `insert into ${table} as stored (${quoted(names)})
    select ${quoted(names)} from latest where ${deleted} is null order by ${keys}
    on conflict (${keys}) do update set ${others.map((name) => `${name} = excluded.${name}`).join(', ')}
    where ${newer('excluded')}`
  const same = rules.keys.map((key) => `stored.${pg.escapeIdentifier(key)} = latest.${pg.escapeIdentifier(key)}`)
  const gone = `gone as (delete from ${table} as stored using latest where latest.${deleted} and ${same.join(' and ')} and (${newer('latest')}))`
  // Of a key only its latest record counts, whichever kind it is: so the two statements never meet in a row.
  return `with latest as materialized (
      select distinct on (${keys}) * from ${stage} order by ${keys}, ${pg.escapeIdentifier(offsetColumn)} desc
    )${rules.deletes ? `, ${gone}` : ''} ${upsert}`
}

/** Offsets of another partition say nothing: a key that moved is taken as it comes. */
function newerThan(record: string, names: readonly string[]): string {
  const offset = pg.escapeIdentifier(offsetColumn)
  const moved = originColumns
    .filter((name) => names.includes(name))
    .map((name) => pg.escapeIdentifier(name))
    .map((name) => ` or stored.${name} is distinct from ${record}.${name}`)
  return `stored.${offset} is null or stored.${offset} < ${record}.${offset}${moved.join('')}`
}
