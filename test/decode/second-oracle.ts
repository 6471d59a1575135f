import assert from 'node:assert/strict'
import {
  createFileRegistry,
  createRegistry,
  type DescEnum,
  type DescField,
  type DescMessage,
  fromBinary,
  type JsonObject,
  type JsonValue,
  type Registry,
  ScalarType,
  toJson,
} from '@bufbuild/protobuf'
import { reflect, type ReflectMessage } from '@bufbuild/protobuf/reflect'
import {
  FeatureSet_FieldPresence,
  file_google_protobuf_any,
  file_google_protobuf_duration,
  file_google_protobuf_empty,
  file_google_protobuf_field_mask,
  file_google_protobuf_struct,
  file_google_protobuf_timestamp,
  file_google_protobuf_wrappers,
} from '@bufbuild/protobuf/wkt'
import type protobuf from 'protobufjs'
import type { PlanOptions } from '../../src/decode/table-plan.ts'
import type { Cell } from './decoding.ts'
import { fileDescriptor, type Syntax } from './file-descriptor.ts'

/** What @bufbuild/protobuf makes of a record: a row, JSON columns as values and not as text; or why it refuses it. */
export type Verdict = { readonly row: Readonly<Record<string, OracleCell>> } | { readonly refused: string }

/** `unknown`: JSON with something in it that cannot be compared, such as a Any of a type that is not loaded. */
export type OracleCell = { readonly cell: Cell } | { readonly json: JsonValue } | 'unknown'

type Forms = Pick<PlanOptions, 'enums' | 'timestamps' | 'lists' | 'flattenDepth'>

export const wellKnownFiles = [
  file_google_protobuf_any,
  file_google_protobuf_duration,
  file_google_protobuf_empty,
  file_google_protobuf_field_mask,
  file_google_protobuf_struct,
  file_google_protobuf_timestamp,
  file_google_protobuf_wrappers,
]

/**
 * Decodes by @bufbuild/protobuf, which passes protobuf's own conformance suite, and lays the message out as the rules at
 * `planTable` say. Written from those rules and the specification alone: it shares nothing with what it judges.
 */
export class SecondOracle {
  readonly #type: DescMessage
  readonly #registry: Registry
  readonly #forms: Required<Forms>
  readonly #spread = new Map<DescMessage, boolean>()

  constructor(type: protobuf.Type, syntax: Syntax, forms: Forms) {
    const files = createFileRegistry(fileDescriptor(type.parent!, syntax), (name) =>
      wellKnownFiles.find((file) => `${file.name}.proto` === name),
    )
    this.#type = files.getMessage(type.fullName.slice(1))!
    this.#registry = createRegistry(files, ...wellKnownFiles)
    this.#forms = { enums: 'name', timestamps: 'micros', lists: 'json', flattenDepth: 3, ...forms }
  }

  judge(bytes: Uint8Array): Verdict {
    try {
      const message = fromBinary(this.#type, bytes)
      const reflected = reflect(this.#type, message)
      const comparable = madeComparable(reflected)
      const json = this.#json(message)
      const row: Record<string, OracleCell> = {}
      this.#fill(row, this.#type, reflected, comparable ? json : undefined, '', 0)
      return { row }
    } catch (error) {
      return { refused: (error as Error).message }
    }
  }

  /** Undefined when it holds a Any of an unknown type. */
  #json(message: Parameters<typeof toJson>[1]): JsonObject | undefined {
    try {
      const enumAsInteger = this.#forms.enums === 'number'
      return toJson(this.#type, message, { registry: this.#registry, enumAsInteger }) as JsonObject
    } catch (error) {
      if (/is not in the type registry/.test((error as Error).message)) return undefined
      throw error
    }
  }

  #fill(
    row: Record<string, OracleCell>,
    type: DescMessage,
    message: ReflectMessage | undefined,
    json: JsonObject | undefined,
    prefix: string,
    depth: number,
  ): void {
    for (const field of type.fields) {
      const name = prefix + field.name
      const present = message?.isSet(field) ?? false
      if (field.fieldKind === 'message' && this.#spreads(field.message, depth)) {
        const inner = present ? message!.get(field) : undefined
        this.#fill(row, field.message, inner, json?.[field.jsonName] as JsonObject | undefined, `${name}_`, depth + 1)
      } else row[name] = message === undefined ? { cell: null } : this.#cell(message, field, present, json)
    }
  }

  #cell(message: ReflectMessage, field: DescField, present: boolean, json: JsonObject | undefined): OracleCell {
    if (field.fieldKind === 'list' && field.listKind !== 'message' && this.#forms.lists === 'native') {
      if (field.enum?.typeName !== 'google.protobuf.NullValue') {
        return { cell: [...message.get(field)].map((item) => this.#plain(field, item)) }
      }
    }
    if (field.fieldKind === 'list' || field.fieldKind === 'map') {
      if (json === undefined) return 'unknown'
      return { json: json[field.jsonName] ?? (field.fieldKind === 'map' ? {} : []) }
    }
    if (!present && field.presence !== FeatureSet_FieldPresence.IMPLICIT) return { cell: null }
    if (field.fieldKind !== 'message') return { cell: this.#plain(field, message.get(field)) }
    const inner = message.get(field)
    const number = (name: string): bigint => BigInt(inner.get(inner.desc.field[name]!) as bigint)
    const known = field.message.typeName.replace(/^google\.protobuf\./, '')
    if (known === 'Timestamp') return { cell: this.#timestamp(number('seconds'), number('nanos')) }
    // BigInt division cuts towards zero, as the rule for durations says.
    if (known === 'Duration') return { cell: number('seconds') * 1_000_000n + number('nanos') / 1000n }
    if (known !== field.message.typeName && known.endsWith('Value') && inner.desc.field['value'] !== undefined) {
      const value = inner.desc.field['value']
      return { cell: this.#plain(value, inner.get(value)) }
    }
    return json === undefined ? 'unknown' : { json: json[field.jsonName]! }
  }

  #timestamp(seconds: bigint, nanos: bigint): bigint {
    const nanoseconds = seconds * 1_000_000_000n + nanos
    if (this.#forms.timestamps === 'micros') return (nanoseconds - (((nanoseconds % 1000n) + 1000n) % 1000n)) / 1000n
    assert.equal(BigInt.asIntN(64, nanoseconds), nanoseconds, 'beyond 64 bits of nanoseconds')
    return nanoseconds
  }

  #plain(field: DescField, value: unknown): Cell {
    if (field.enum !== undefined) {
      if (field.enum.typeName === 'google.protobuf.NullValue') assert.fail('no random message has one alone')
      return this.#forms.enums === 'number'
        ? (value as number)
        : (field.enum.values.find((each) => each.number === value)?.name ?? String(value))
    }
    if (field.scalar === ScalarType.BYTES) return Buffer.from(value as Uint8Array).toString('hex')
    return value as Cell
  }

  #spreads(type: DescMessage, depth: number): boolean {
    if (depth >= this.#forms.flattenDepth || type.fields.length === 0) return false
    if (type.file.name.startsWith('google/protobuf/')) return false
    if (!this.#spread.has(type)) this.#spread.set(type, !reaches(type, type, new Set()))
    return this.#spread.get(type)!
  }
}

/**
 * Makes what @bufbuild/protobuf does beside the specification as that has it. Numbers that a closed enum does not declare are
 * unknown fields, but stay in lists that come packed, and in maps: they are taken out of lists. False when it holds what
 * has no JSON to compare by: such a map, since what an entry replaced is gone, or a Any with a value and no type.
 */
function madeComparable(message: ReflectMessage): boolean {
  if (message.desc.typeName === 'google.protobuf.Any') {
    const { typeUrl, value } = message.message as unknown as { typeUrl: string; value: Uint8Array }
    if (typeUrl === '' && value.length > 0) return false
  }
  return message.fields.filter((field) => message.isSet(field)).every((field) => isComparable(message, field))
}

function isComparable(message: ReflectMessage, field: DescField): boolean {
  if (field.fieldKind === 'message') return madeComparable(message.get(field))
  if (field.fieldKind === 'map') {
    const values = [...message.get(field).values()]
    if (field.mapKind === 'message') return values.every((inner) => madeComparable(inner as ReflectMessage))
    return field.mapKind !== 'enum' || field.enum.open || values.every((number) => declares(field.enum, number))
  }
  if (field.fieldKind !== 'list') return true
  const list = message.get(field)
  if (field.listKind === 'message') return [...list].every((inner) => madeComparable(inner as ReflectMessage))
  if (field.listKind === 'enum' && !field.enum.open) {
    const declared = [...list].filter((number) => declares(field.enum, number))
    list.clear()
    for (const number of declared) list.add(number)
  }
  return true
}

const declares = ({ value }: DescEnum, number: unknown): boolean => value[number as number] !== undefined

/** Whether a message of type `from` can hold one of type `to`. */
function reaches(from: DescMessage, to: DescMessage, seen: Set<DescMessage>): boolean {
  return from.fields.some(({ message }) => {
    if (message === undefined || seen.has(message)) return false
    seen.add(message)
    return message === to || reaches(message, to, seen)
  })
}
