import type { ColumnType, ItemType } from '../../decode/columns.ts'

/** How a value of ours is written as a field of COPY BINARY. `bytes` goes as it is; `uuid` is a text of 36 characters. */
export type FieldForm =
  | 'bool'
  | 'int32'
  | 'int32AsInt64'
  | 'int32AsFloat64'
  | 'int32AsNumeric'
  | 'uint32AsInt64'
  | 'uint32AsFloat64'
  | 'uint32AsNumeric'
  | 'int64'
  | 'int64AsNumeric'
  | 'uint64AsInt64'
  | 'uint64AsNumeric'
  | 'float32'
  | 'float32AsFloat64'
  | 'float64'
  | 'timestamp'
  | 'duration'
  | 'bytes'
  | 'jsonb'
  | 'uuid'

/** A field's form, or that of the items of an array, with the id of their type. */
export interface FieldEncoding {
  readonly form: FieldForm
  readonly itemOid?: number
}

/** A type as the catalogue of PostgreSQL has it; of a domain, the type below. */
export interface StoredType {
  /** As in a DDL statement, such as `character varying(20)[]`. */
  readonly sql: string
  /** Name in pg_type (`int8`), of an array that of its items. */
  readonly name: string
  readonly array: boolean
  /** Of an array, that of its items. */
  readonly oid: number
  /** An enumeration, whose binary form is its label. */
  readonly labels: boolean
  /** Length, precision and the like, as pg_attribute has them; -1: none. */
  readonly modifier: number
}

/** The type that a new column gets. */
const created: Readonly<Record<Exclude<ColumnType, `${string}[]`>, string>> = {
  bool: 'boolean',
  int32: 'integer',
  uint32: 'bigint',
  int64: 'bigint',
  uint64: 'numeric(20,0)',
  float32: 'real',
  float64: 'double precision',
  string: 'text',
  bytes: 'bytea',
  json: 'jsonb',
  timestamp: 'timestamptz',
  // timestamptz ends at microseconds.
  timestampNanos: 'bigint',
  duration: 'interval',
}

export function createdType(type: ColumnType): string {
  const item = itemOf(type)
  return item === undefined ? created[type as keyof typeof created] : `${created[item]}[]`
}

/** The types that hold every value of ours as it is, and how it is written then. */
const forms: Readonly<Record<keyof typeof created, Readonly<Record<string, FieldForm>>>> = {
  bool: { bool: 'bool' },
  int32: { int4: 'int32', int8: 'int32AsInt64', numeric: 'int32AsNumeric', float8: 'int32AsFloat64' },
  uint32: { int8: 'uint32AsInt64', numeric: 'uint32AsNumeric', float8: 'uint32AsFloat64' },
  int64: { int8: 'int64', numeric: 'int64AsNumeric' },
  // What is too large for it is a bad row.
  uint64: { numeric: 'uint64AsNumeric', int8: 'uint64AsInt64' },
  float32: { float4: 'float32', float8: 'float32AsFloat64' },
  float64: { float8: 'float64' },
  // What is no UUID is a bad row.
  string: { text: 'bytes', varchar: 'bytes', citext: 'bytes', uuid: 'uuid' },
  bytes: { bytea: 'bytes' },
  json: { jsonb: 'jsonb', json: 'bytes', text: 'bytes' },
  timestamp: { timestamptz: 'timestamp', timestamp: 'timestamp' },
  timestampNanos: { int8: 'int64' },
  duration: { interval: 'duration' },
}

/** How values of `type` go into a column; undefined when it would bend some of them, or cannot hold them. */
export function encodingFor(type: ColumnType, stored: StoredType): FieldEncoding | undefined {
  const item = itemOf(type)
  if ((item !== undefined) !== stored.array) return undefined
  const plain = item ?? (type as keyof typeof created)
  const form = plain === 'string' && stored.labels ? 'bytes' : forms[plain][stored.name]
  if (form === undefined || rounds(stored)) return undefined
  // Of arrays no item is looked at beforehand.
  if (item !== undefined && (['uint64AsInt64', 'uuid'].includes(form) || lengthMax(stored) !== undefined))
    return undefined
  return item === undefined ? { form } : { form, itemOid: stored.oid }
}

/** So many characters fit in; undefined: as many as one likes. What is longer is refused, but spaces at its end are cut off. */
export const lengthMax = ({ name, modifier }: StoredType): number | undefined =>
  name === 'varchar' && modifier >= 4 ? modifier - 4 : undefined

/** A precision below ours, which PostgreSQL rounds to without a word. */
function rounds({ name, modifier }: StoredType): boolean {
  if (modifier === -1) return false
  if (name === 'timestamptz' || name === 'timestamp') return modifier !== 6
  // The scale is the lower eleven bits, signed. Ours are whole numbers.
  if (name === 'numeric') return (((modifier - 4) & 0x7ff) ^ 1024) - 1024 < 0
  return name === 'interval'
}

const itemOf = (type: ColumnType): ItemType | undefined =>
  type.endsWith('[]') ? (type.slice(0, -2) as ItemType) : undefined
