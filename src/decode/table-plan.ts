import protobuf from 'protobufjs'
import { SchemaError } from '../errors.ts'
import { chooseColumns, type Chosen, type ColumnChoice } from './column-choice.ts'
import { appendRules } from './columns.ts'
import type { ColumnSchema, ColumnType, ItemType, TableRules, TableSchema } from './columns.ts'
import { columnNameOf, hasPresence } from './reflection.ts'
import { fieldOf, isNullValue, wellKnown } from './well-known.ts'

/** What a route says about its rows. */
export interface PlanOptions {
  /** Whether an enum is its value's name or its number. Default `name`. */
  readonly enums?: EnumForm
  /** How many levels of nested messages become columns of their own; deeper ones become JSON. Default 3. */
  readonly flattenDepth?: number
  /** What a Timestamp is kept as. Default `micros`. */
  readonly timestamps?: TimestampForm
  /** Whether lists of plain values are lists in the column too, or JSON as all others. Default `json`. */
  readonly lists?: ListForm
  /** What of the Kafka record is stored beside the message's fields, in that order. Default none. */
  readonly metadata?: readonly Metadata[]
  /** The columns to be made, and no others, see `chooseColumns`. Default all. Metadata need not be named again. */
  readonly columns?: readonly ColumnChoice[]
}

export type EnumForm = 'name' | 'number'

export type TimestampForm = 'micros' | 'nanos'

export type ListForm = 'json' | 'native'

/** A header is named as the producer named it. */
export type Metadata = 'topic' | 'partition' | 'offset' | 'timestamp' | 'key' | { readonly header: string }

export const flattenDepthDefault = 3

/** A table with more is a mistake, or an attack on the sink; it takes nested messages that fan out at each level. */
const columnsMax = 4096

/** How the value of a field becomes the value of a column. */
export type Conversion =
  'scalar' | 'enumName' | 'enumNumber' | 'timestamp' | 'timestampNanos' | 'duration' | 'wrapper' | 'json' | 'list'

/** A field that is one column. */
export interface ValuePart {
  readonly kind: 'value'
  readonly field: protobuf.Field
  /** Index in `TablePlan.columns`. */
  readonly column: number
  readonly conversion: Conversion
}

/** A field whose message is spread over the columns [firstColumn, endColumn), all null when it is absent. */
export interface MessagePart {
  readonly kind: 'message'
  readonly field: protobuf.Field
  readonly firstColumn: number
  readonly endColumn: number
  readonly parts: readonly Part[]
}

export type Part = ValuePart | MessagePart

export interface ColumnPlan extends ColumnSchema {
  /** Names of the fields down to the value; empty for a metadata column. */
  readonly path: readonly string[]
}

export interface TablePlan {
  /** With a choice of columns, the message cut down to them. */
  readonly type: protobuf.Type
  readonly columns: readonly ColumnPlan[]
  /** The root message's fields, in the order they are declared. */
  readonly parts: readonly Part[]
  /** The last columns, one each. */
  readonly metadata: readonly Metadata[]
  readonly enums: EnumForm
}

/**
 * Lays a message type out as a table. The rules, which every decoder follows:
 *
 * Columns come in the order of the fields' declaration, or of the choice, then the metadata, and are named as the fields are in the .proto
 * file; an extension by its full name with `_` for dots.
 *
 * | field | column |
 * | --- | --- |
 * | bool, float, double, string, bytes | bool, float32, float64, string, bytes |
 * | int32, sint32, sfixed32; uint32, fixed32 | int32; uint32 |
 * | int64, sint64, sfixed64; uint64, fixed64 | int64; uint64 |
 * | enum | string: the name declared first for the number, an unknown number as decimal text. With `enums: number`: int32 |
 * | google.protobuf.Timestamp | timestamp; what is below a microsecond is cut off, towards the past. With `timestamps: nanos`: timestampNanos, and a record is bad whose time it cannot hold |
 * | google.protobuf.Duration | duration; what is below a microsecond is cut off, towards zero |
 * | wrappers (google.protobuf.Int64Value ...) | as the scalar they wrap, null when absent |
 * | a nested message | `parent_child` for each of its fields, down to `flattenDepth` levels |
 * | repeated bool, number, enum, string or bytes, with `lists: native` | a list of what a single one would be |
 * | deeper messages; messages that can hold themselves, or have no fields; repeated; map | json, see `JsonMapping` |
 * | Struct, Value, ListValue, Any, FieldMask, Empty | json |
 *
 * A column is null when its field can be absent and is: `optional` and proto2 fields, arms of a oneof, messages, and
 * everything below a message that is absent. A proto3 field without `optional` is never absent: it has its default value.
 * A proto2 `default` is not a value: absent is null. `required` is never null, because a record without it is bad.
 * A repeated or map field has no absence either: it is empty, `[]` or `{}`. Of a message with nothing but such nullable columns,
 * "present and empty" and "absent" are the same row.
 *
 * Throws SchemaError: two columns of one name, no columns, too many, an enum whose default is not 0.
 */
export function planTable(type: protobuf.Type, options: PlanOptions = {}): TablePlan {
  const metadata = options.metadata ?? []
  const planner = new Planner(options)
  const chosen = planner.choose(type, metadata)
  const parts = planner.message(chosen.type, [], 0, false)
  for (const each of metadata) planner.addMetadata(each)
  if (planner.columns.length === 0) {
    throw new SchemaError(`message ${type.fullName.slice(1)} has no fields: a table needs a column; add metadata`)
  }
  return { type: chosen.type, columns: planner.columns, parts, metadata, enums: options.enums ?? 'name' }
}

/** The plan's columns as a sink sees them. */
export function tableSchema(plan: TablePlan, name: string, rules: TableRules = appendRules): TableSchema {
  return {
    name,
    columns: plan.columns.map((column) => ({ name: column.name, type: column.type, nullable: column.nullable })),
    rules,
  }
}

/** A header's column is text: null when the record has no such header, or one without a value; of several the last counts. */
function metadataColumn(metadata: Metadata): ColumnSchema {
  if (typeof metadata === 'string') return metadataColumns[metadata]
  return { name: `_header_${metadata.header.replaceAll(/[^\p{L}\p{N}_]/gu, '_')}`, type: 'string', nullable: true }
}

const metadataColumns: Readonly<Record<Extract<Metadata, string>, ColumnSchema>> = {
  topic: { name: '_topic', type: 'string', nullable: false },
  partition: { name: '_partition', type: 'int32', nullable: false },
  offset: { name: '_offset', type: 'int64', nullable: false },
  // Null when the record has none (-1), as those of brokers before 0.10.
  timestamp: { name: '_timestamp', type: 'timestamp', nullable: true },
  key: { name: '_key', type: 'bytes', nullable: true },
}

const scalarColumns: Readonly<Record<string, ItemType>> = {
  bool: 'bool',
  int32: 'int32',
  sint32: 'int32',
  sfixed32: 'int32',
  uint32: 'uint32',
  fixed32: 'uint32',
  int64: 'int64',
  sint64: 'int64',
  sfixed64: 'int64',
  uint64: 'uint64',
  fixed64: 'uint64',
  float: 'float32',
  double: 'float64',
  string: 'string',
  bytes: 'bytes',
}

type Forms = Required<Pick<PlanOptions, 'enums' | 'timestamps' | 'lists'>>

class Planner {
  readonly columns: ColumnPlan[] = []
  readonly #flattenDepth: number
  readonly #forms: Forms
  readonly #columnOfName = new Map<string, ColumnPlan>()
  readonly #holdsItself = new Map<protobuf.Type, boolean>()
  readonly #choices: readonly ColumnChoice[] | undefined
  #chosen: Omit<Chosen, 'type'> = { hidden: new Set(), names: new Map() }

  constructor({ flattenDepth = flattenDepthDefault, columns, ...forms }: PlanOptions) {
    this.#flattenDepth = flattenDepth
    this.#forms = { enums: 'name', timestamps: 'micros', lists: 'json', ...forms }
    this.#choices = columns
  }

  choose(type: protobuf.Type, metadata: readonly Metadata[]): Chosen {
    const names = metadata.map((each) => metadataColumn(each).name)
    const opens = (field: protobuf.Field, depth: number): boolean => this.#spreads(field, depth)
    const all = { type, hidden: new Set<protobuf.Field>(), names: new Map<string, string>() }
    const chosen = this.#choices === undefined ? all : chooseColumns(type, this.#choices, names, opens)
    this.#chosen = chosen
    return chosen
  }

  message(type: protobuf.Type, path: readonly string[], depth: number, nullable: boolean): Part[] {
    const shown = type.fieldsArray.filter((field) => !this.#chosen.hidden.has(field))
    return shown.map((field) => {
      field.resolve()
      const here = [...path, columnNameOf(field)]
      const absent = nullable || (hasPresence(field) && !field.required)
      return this.#spreads(field, depth) ? this.#spread(field, here, depth, absent) : this.#value(field, here, absent)
    })
  }

  addMetadata(metadata: Metadata): void {
    const column = metadataColumn(metadata)
    this.#add({ ...column, name: this.#chosen.names.get(column.name) ?? column.name, path: [] })
  }

  #add(column: ColumnPlan): number {
    const taken = this.#columnOfName.get(column.name)
    if (taken !== undefined) {
      throw new SchemaError(
        `${describe(taken)} and ${describe(column)} would both be the column ${column.name}: rename one, ` +
          'or lower flattenDepth',
      )
    }
    if (this.columns.length === columnsMax) {
      throw new SchemaError(`over ${columnsMax} columns, at ${describe(column)}: lower flattenDepth`)
    }
    this.#columnOfName.set(column.name, column)
    return this.columns.push(column) - 1
  }

  #spread(field: protobuf.Field, path: readonly string[], depth: number, nullable: boolean): MessagePart {
    const firstColumn = this.columns.length
    const parts = this.message(field.resolvedType as protobuf.Type, path, depth + 1, nullable)
    return { kind: 'message', field, firstColumn, endColumn: this.columns.length, parts }
  }

  #value(field: protobuf.Field, path: readonly string[], nullable: boolean): ValuePart {
    refuseStrangeDefault(field)
    const conversion = conversionOf(field, this.#forms)
    const type = columnTypeOf(field, conversion, this.#forms)
    const column = this.#add({ name: this.#nameOf(path), type, nullable, path })
    return { kind: 'value', field, column, conversion }
  }

  /** A message's new name is that of all its columns. */
  #nameOf(path: readonly string[]): string {
    for (let length = path.length; length > 0; length--) {
      const name = this.#chosen.names.get(path.slice(0, length).join('.'))
      if (name !== undefined) return [name, ...path.slice(length)].join('_')
    }
    return path.join('_')
  }

  #spreads(field: protobuf.Field, depth: number): boolean {
    const type = field.resolvedType
    if (field.repeated || field.map || !(type instanceof protobuf.Type) || depth >= this.#flattenDepth) return false
    return wellKnown(type) === undefined && type.fieldsArray.length > 0 && !this.#recursive(type)
  }

  #recursive(type: protobuf.Type): boolean {
    let known = this.#holdsItself.get(type)
    if (known === undefined) this.#holdsItself.set(type, (known = holdsItself(type)))
    return known
  }
}

function conversionOf(field: protobuf.Field, { enums, timestamps, lists }: Forms): Conversion {
  const { resolvedType } = field
  if (field.map) return 'json'
  if (field.repeated) {
    // A list of NullValue is a list of JSON's null, which no other type says.
    const isPlain = !(resolvedType instanceof protobuf.Type) && !isNullValue(field)
    return lists === 'native' && isPlain ? 'list' : 'json'
  }
  if (resolvedType instanceof protobuf.Enum) return enums === 'name' ? 'enumName' : 'enumNumber'
  if (resolvedType === null) return 'scalar'
  const known = wellKnown(resolvedType)
  if (known === 'timestamp' && timestamps === 'nanos') return 'timestampNanos'
  return known === 'timestamp' || known === 'duration' || known === 'wrapper' ? known : 'json'
}

function columnTypeOf(field: protobuf.Field, conversion: Conversion, forms: Forms): ColumnType {
  switch (conversion) {
    case 'json':
    case 'timestamp':
    case 'timestampNanos':
    case 'duration':
      return conversion
    case 'enumName':
      return 'string'
    case 'enumNumber':
      return 'int32'
    case 'list':
      return `${itemTypeOf(field, forms)}[]`
    case 'scalar':
      return scalarTypeOf(field)
    case 'wrapper':
      return scalarTypeOf(fieldOf(field.resolvedType as protobuf.Type, 1))
  }
}

function itemTypeOf(field: protobuf.Field, { enums }: Forms): ItemType {
  if (!(field.resolvedType instanceof protobuf.Enum)) return scalarTypeOf(field)
  return enums === 'name' ? 'string' : 'int32'
}

function scalarTypeOf(field: protobuf.Field): ItemType {
  const { type } = field
  const column = scalarColumns[type]
  if (column === undefined) throw new SchemaError(`${field.fullName.slice(1)}: unknown scalar type ${type}`)
  return column
}

/** True when a message of `type` can hold another of `type`, at any depth: its columns would never end. */
function holdsItself(type: protobuf.Type): boolean {
  const seen = new Set<protobuf.Type>()
  const open = [type]
  for (let at = open.pop(); at !== undefined; at = open.pop()) {
    for (const { resolvedType } of at.fieldsArray.map((field) => field.resolve())) {
      if (resolvedType === type) return true
      if (!(resolvedType instanceof protobuf.Type) || seen.has(resolvedType)) continue
      seen.add(resolvedType)
      open.push(resolvedType)
    }
  }
  return false
}

/**
 * protobufjs gives an absent enum its first value, the standard gives it 0. They are the same wherever protoc accepts the
 * file; where it would not, we do not either.
 */
function refuseStrangeDefault(field: protobuf.Field): void {
  if (!(field.resolvedType instanceof protobuf.Enum) || hasPresence(field) || field.repeated || field.map) return
  if (field.typeDefault === 0) return
  throw new SchemaError(`${field.fullName.slice(1)}: the first value of enum ${field.resolvedType.name} must be 0`)
}

function describe({ name, path }: ColumnPlan): string {
  return path.length === 0 ? `the metadata column ${name}` : `field ${path.join('.')}`
}
