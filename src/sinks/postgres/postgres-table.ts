import pg from 'pg'
import type { ColumnSchema, TableSchema } from '../../decode/columns.ts'
import { SinkRefusedError } from '../../errors.ts'
import type { PostgresConnection } from './postgres-connection.ts'
import { createdType, encodingFor, lengthMax } from './postgres-types.ts'
import type { FieldEncoding, StoredType } from './postgres-types.ts'

const nameBytesMax = 63

/** A column as the catalogue has it. */
interface StoredColumn {
  readonly name: string
  readonly type: StoredType
  readonly mustHaveValue: boolean
  readonly fillsItself: boolean
  readonly computed: boolean
  readonly mayInsert: boolean
}

interface StoredTable {
  readonly kind: string
  readonly shown: string
  readonly columns: readonly StoredColumn[]
  readonly mayUpdate: boolean
  readonly maySelect: boolean
  readonly mayDelete: boolean
  /** The columns of each unique index that can decide a conflict. */
  readonly uniques: readonly (readonly string[])[]
}

/** A column of the table that a route fills. */
export interface TableField {
  readonly name: string
  readonly encoding: FieldEncoding
  /** For a staging table. */
  readonly sql: string
  /** Characters that fit in; undefined: any number. */
  readonly lengthMax: number | undefined
  /** In the order of the schema's columns. */
  readonly nullable: boolean
}

/** What a route's rows meet in the database: the table as it is, and the statements that would make it fit. */
export interface TablePlan {
  /** Quoted, with its schema if the route names one. */
  readonly name: string
  /** One for each column of the schema; those of columns to be added as they will be. */
  readonly fields: readonly TableField[]
  readonly changes: readonly string[]
}

/**
 * Looks at the table, changes nothing. Rejects with a SinkRefusedError that names every mismatch: whatever would bend a
 * value, or could only fail later.
 */
export async function planTable(connection: PostgresConnection, schema: TableSchema): Promise<TablePlan> {
  const name = quotedTable(schema.name)
  const stored = await readTable(connection, name)
  const mismatches = [...nameFaults(schema)]
  if (stored === undefined) {
    if (!schema.rules.create) mismatches.push('does not exist, and table.create is false')
    refuse(schema, mismatches, createStatement(name, schema))
    const fields = schema.columns.map((column) => newField(column))
    return { name, fields, changes: [createStatement(name, schema)] }
  }
  const missing = schema.columns.filter((column) => !stored.columns.some((each) => each.name === column.name))
  const additions = missing.map(
    ({ name: column, type }) =>
      `alter table ${name} add column if not exists ${pg.escapeIdentifier(column)} ${createdType(type)}`,
  )
  mismatches.push(...tableFaults(stored, schema), ...columnFaults(stored, schema))
  if (missing.length > 0 && schema.rules.evolve === 'refuse') {
    mismatches.push(`lacks ${missing.map((each) => each.name).join(', ')}, and table.evolve is \`refuse\``)
  }
  refuse(schema, mismatches, schema.rules.evolve === 'refuse' ? additions.join('; ') : '')
  const fields = schema.columns.map((column) => {
    const found = stored.columns.find((each) => each.name === column.name)
    return found === undefined ? newField(column) : fieldOf(found, column)
  })
  return { name, fields, changes: additions }
}

/** `readings`, or `telemetry.readings` with its schema. */
export const quotedTable = (name: string): string => {
  const dot = name.indexOf('.')
  const parts = dot < 0 ? [name] : [name.slice(0, dot), name.slice(dot + 1)]
  return parts.map((part) => pg.escapeIdentifier(part)).join('.')
}

function refuse({ name }: TableSchema, mismatches: readonly string[], statement: string): void {
  if (mismatches.length === 0) return
  const cure = statement === '' ? 'change the table or the route' : `run \`${statement}\`, or change the route`
  throw new SinkRefusedError(`table ${name}: ${mismatches.join('; ')}; ${cure}`)
}

function nameFaults({ name, columns }: TableSchema): string[] {
  const parts = [name.slice(name.indexOf('.') + 1), ...columns.map((column) => column.name)]
  return parts
    .filter((part) => Buffer.byteLength(part) > nameBytesMax)
    .map((part) => `${part} is longer than the ${nameBytesMax} bytes of a name in PostgreSQL: rename it in \`columns\``)
}

function createStatement(name: string, { columns, rules }: TableSchema): string {
  // Every column may be null, but for keys: one that is added later must be, and a field that goes leaves nulls.
  const definitions = columns.map((column) => `  ${pg.escapeIdentifier(column.name)} ${createdType(column.type)}`)
  const keys = rules.keys.map((key) => pg.escapeIdentifier(key)).join(', ')
  if (rules.mode === 'upsert') definitions.push(`  primary key (${keys})`)
  return `create table if not exists ${name} (\n${definitions.join(',\n')})`
}

const newField = ({ name, type, nullable }: ColumnSchema): TableField => ({
  name,
  // Read again once the column is there: only then the ids of its types are known.
  encoding: { form: 'bytes' },
  sql: createdType(type),
  lengthMax: undefined,
  nullable,
})

const fieldOf = ({ name, type }: StoredColumn, column: ColumnSchema): TableField => ({
  name,
  encoding: encodingFor(column.type, type)!,
  sql: type.sql,
  lengthMax: lengthMax(type),
  nullable: column.nullable,
})

function tableFaults(stored: StoredTable, { rules, name }: TableSchema): string[] {
  const faults: string[] = []
  if (!['r', 'p', 'f'].includes(stored.kind)) faults.push(`${stored.shown} is no table, and a route writes to tables`)
  if (rules.mode === 'append') return faults
  const rights = [
    ...(stored.maySelect ? [] : ['select']),
    ...(stored.mayUpdate ? [] : ['update']),
    ...(stored.mayDelete || !rules.deletes ? [] : ['delete']),
  ]
  if (rights.length > 0) {
    faults.push(
      `table.mode: upsert needs the right to ${rights.join(' and ')}: \`grant ${rights.join(', ')} on ${name}\``,
    )
  }
  const wanted = [...rules.keys].sort().join()
  if (!stored.uniques.some((names) => [...names].sort().join() === wanted)) {
    const keys = rules.keys.map((key) => pg.escapeIdentifier(key)).join(', ')
    faults.push(`has no unique index on table.keys: \`create unique index on ${quotedTable(name)} (${keys})\``)
  }
  return faults
}

function columnFaults(stored: StoredTable, schema: TableSchema): string[] {
  return stored.columns.flatMap((column) => {
    const wanted = schema.columns.find(({ name }) => name === column.name)
    const named = `column ${column.name}`
    if (wanted === undefined) {
      const lacks = column.mustHaveValue && !column.fillsItself && !column.computed
      return lacks ? [`${named} must have a value and the message has no such field: give it a default`] : []
    }
    if (column.computed) return [`${named} is computed by PostgreSQL: leave the field out in \`columns\``]
    const faults: string[] = []
    if (encodingFor(wanted.type, column.type) === undefined) {
      faults.push(`${named} is ${column.type.sql}, and values of type ${wanted.type} need ${createdType(wanted.type)}`)
    }
    // Of a key, a row without it is a bad row: there is no other way to have keys.
    if (wanted.nullable && column.mustHaveValue && !schema.rules.keys.includes(wanted.name)) {
      faults.push(`${named} must have a value and the field may have none: drop its NOT NULL`)
    }
    if (!column.mayInsert) faults.push(`${named} may not be written: \`grant insert on ${schema.name}\``)
    return faults
  })
}

const catalogue = (name: string): string => `
select c.relkind as kind, c.oid::regclass::text as shown, a.attname as name,
  format_type(a.atttypid, a.atttypmod) as sql, item.typname as type, item.oid::text as oid, item.typtype as type_kind,
  (base.typcategory = 'A' and base.typelem <> 0)::text as is_array,
  (case when type.typtype = 'd' then type.typtypmod else a.atttypmod end)::text as modifier,
  (a.attnotnull or type.typnotnull)::text as not_null,
  (a.atthasdef or a.attidentity <> '' or type.typdefault is not null)::text as has_default,
  (a.attgenerated <> '')::text as computed,
  has_column_privilege(c.oid, a.attnum, 'insert')::text as may_insert,
  has_table_privilege(c.oid, 'select')::text as may_select,
  has_table_privilege(c.oid, 'update')::text as may_update,
  has_table_privilege(c.oid, 'delete')::text as may_delete,
  (select coalesce(json_agg((select json_agg(k.attname) from pg_attribute k where k.attrelid = c.oid and k.attnum = any (i.indkey))), '[]')
   from pg_index i where i.indrelid = c.oid and i.indisunique and i.indisvalid and i.indimmediate
     and i.indpred is null and i.indexprs is null)::text as uniques
from pg_class c
  join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
  join pg_type type on type.oid = a.atttypid
  join pg_type base on base.oid = case when type.typtype = 'd' then type.typbasetype else type.oid end
  join pg_type item on item.oid = case when base.typcategory = 'A' and base.typelem <> 0 then base.typelem else base.oid end
where c.oid = to_regclass(${pg.escapeLiteral(name)})
order by a.attnum`

async function readTable(connection: PostgresConnection, name: string): Promise<StoredTable | undefined> {
  const rows = await connection.query(catalogue(name))
  const [first] = rows
  if (first === undefined) return undefined
  return {
    kind: first['kind']!,
    shown: first['shown']!,
    maySelect: first['may_select'] === 'true',
    mayUpdate: first['may_update'] === 'true',
    mayDelete: first['may_delete'] === 'true',
    uniques: JSON.parse(first['uniques']!) as string[][],
    columns: rows.map((row) => ({
      name: row['name']!,
      type: {
        sql: row['sql']!,
        name: row['type']!,
        array: row['is_array'] === 'true',
        oid: Number(row['oid']),
        labels: row['type_kind'] === 'e',
        modifier: Number(row['modifier']),
      },
      mustHaveValue: row['not_null'] === 'true',
      fillsItself: row['has_default'] === 'true',
      computed: row['computed'] === 'true',
      mayInsert: row['may_insert'] === 'true',
    })),
  }
}
