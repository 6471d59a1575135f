import protobuf from 'protobufjs'
import { SchemaError } from '../../errors.ts'
import { type Message, MessageReader } from '../message-reader.ts'
import { inField, RecordFault } from '../record-fault.ts'
import type { EnumForm } from '../table-plan.ts'
import { enumNames, findType } from '../reflection.ts'
import {
  durationFault,
  fieldOf,
  isNullValue,
  refuse,
  secondsAndNanos,
  type SecondsAndNanos,
  timestampFault,
  wellKnown,
} from '../well-known.ts'
import { depthMax } from '../wire-check.ts'
import { WireShapes } from '../wire-shape.ts'

type Write = (value: unknown) => string

/** A column's text beyond this is refused: no sink takes it, and V8's strings end at 512 Mi characters. */
export const charactersMax = 1 << 26

/**
 * Writes decoded values as JSON text: the canonical protobuf mapping (https://protobuf.dev/programming-guides/json/). What
 * the standard leaves open, so that every decoder gives the same bytes:
 *
 * - No white space. Fields in the order of their declaration, under their JSON names (lowerCamelCase, or `json_name`); an
 *   extension as `[full.name]`. Absent fields and proto3 defaults are left out.
 * - A map's keys are sorted by UTF-16 code units, as JavaScript sorts strings; of equal keys the last one counts.
 * - 64-bit integers as strings; other numbers as JavaScript writes them, float as the double that equals it; -0 as `-0`;
 *   "NaN", "Infinity", "-Infinity".
 * - bytes in standard base64 with padding. Strings escape as JSON.stringify does: quote, backslash and controls.
 * - Enums by name, an unknown number as a number; with `enums: number` all as numbers. NullValue as null.
 * - Timestamp and Duration with 0, 3, 6 or 9 digits, all nanoseconds kept.
 * - Any of a type that is loaded: expanded, with "@type". Of another: `{"@type":url,"value":base64}`, nothing lost.
 * - Refused with a RecordFault: times out of range; NaN and infinities in google.protobuf.Value, and a Value that has no
 *   kind; a FieldMask path that does not survive lowerCamelCase; Any in Any over 100 deep; more than 64 Mi characters.
 */
export class JsonMapping {
  readonly #root: protobuf.Root
  readonly #enums: EnumForm
  readonly #shapes: WireShapes
  readonly #messages = new Map<protobuf.Type, Write>()
  readonly #members = new Map<protobuf.Type, Write>()
  readonly #readers = new Map<protobuf.Type, MessageReader>()
  #anyDepth = 0

  /** `root` is where the types of google.protobuf.Any are looked up. */
  constructor(root: protobuf.Root, enums: EnumForm, shapes: WireShapes) {
    this.#root = root
    this.#enums = enums
    this.#shapes = shapes
  }

  /** Writes the value of a field, with all its elements when it is repeated or a map. */
  column(field: protobuf.Field): Write {
    const write = this.#field(field)
    return (value) => {
      // The text before may have been given up half way.
      this.#anyDepth = 0
      return bounded(write(value))
    }
  }

  #field(field: protobuf.Field): Write {
    field.resolve()
    const single = this.#single(field)
    if (field instanceof protobuf.MapField) return mapWriter(single, keyReader(field))
    return field.repeated ? listWriter(single) : single
  }

  #single(field: protobuf.Field): Write {
    const { resolvedType } = field
    if (resolvedType instanceof protobuf.Type) return this.#message(resolvedType)
    if (resolvedType instanceof protobuf.Enum) return isNullValue(field) ? () => 'null' : this.#enum(resolvedType)
    return scalarWriters[field.type] ?? String
  }

  #enum(type: protobuf.Enum): Write {
    if (this.#enums === 'number') return String
    const names = new Map([...enumNames(type)].map(([number, name]) => [number, JSON.stringify(name)]))
    return (value) => names.get(value as number) ?? String(value)
  }

  /** Types may hold themselves: one that is still being made is reached through the map, when it is first used. */
  #message(type: protobuf.Type): Write {
    const known = this.#messages.get(type)
    if (known !== undefined) return known
    this.#messages.set(type, (value) => this.#messages.get(type)!(value))
    const write = this.#wellKnown(type) ?? this.#object(type)
    this.#messages.set(type, write)
    return write
  }

  #wellKnown(type: protobuf.Type): Write | undefined {
    switch (wellKnown(type)) {
      case undefined:
        return undefined
      case 'timestamp':
        return timeWriter(type, timestampText)
      case 'duration':
        return timeWriter(type, durationText)
      case 'wrapper':
      case 'struct':
      case 'list':
        return this.#only(type)
      case 'value':
        return this.#value(type)
      case 'any':
        return this.#any(type)
      case 'fieldMask':
        return fieldMaskWriter(type)
      case 'empty':
        return () => '{}'
    }
  }

  #object(type: protobuf.Type): Write {
    const members = this.#membersOf(type)
    return (value) => `{${members(value)}}`
  }

  /** What stands between the braces of a message. */
  #membersOf(type: protobuf.Type): Write {
    const known = this.#members.get(type)
    if (known !== undefined) return known
    refuseEqualNames(type)
    const members = type.fieldsArray.map((field) => this.#member(field))
    const write: Write = (value) => {
      let text = ''
      for (const member of members) text = joined(text, member(value))
      return text
    }
    this.#members.set(type, write)
    return write
  }

  /** `"name":value`, or nothing for a field that is absent. */
  #member(field: protobuf.Field): Write {
    const { name } = field.resolve()
    const key = `${JSON.stringify(jsonNameOf(field))}:`
    const write = this.#field(field)
    const isEmpty = field.map ? isEmptyMap : field.repeated ? isEmptyList : undefined
    return (message) => {
      if (!Object.hasOwn(message as object, name)) return ''
      const value = (message as Message)[name]
      if (isEmpty?.(value)) return ''
      return key + inField(name, () => write(value))
    }
  }

  /** Wrappers, Struct and ListValue are written as their only field is. */
  #only(type: protobuf.Type): Write {
    const field = fieldOf(type, 1)
    const write = this.#field(field)
    return (message) => write((message as Message)[field.name])
  }

  #value(type: protobuf.Type): Write {
    const arms = type.fieldsArray.map((field) => ({ name: field.name, write: this.#field(field) }))
    const { name: numberName } = fieldOf(type, 2)
    return (message) => {
      const arm = arms.find(({ name }) => Object.hasOwn(message as object, name))
      if (arm === undefined) throw new RecordFault('NOT_JSON', 'a google.protobuf.Value of no kind')
      const value = (message as Message)[arm.name]
      if (arm.name === numberName && !Number.isFinite(value)) {
        throw new RecordFault('NOT_JSON', `${String(value)} in a google.protobuf.Value`)
      }
      return arm.write(value)
    }
  }

  #any(type: protobuf.Type): Write {
    const { name: urlName } = fieldOf(type, 1)
    const { name: contentName } = fieldOf(type, 2)
    return (message) => {
      const url = (message as Message)[urlName] as string
      const content = (message as Message)[contentName] as Uint8Array
      const inner = this.#anyMembers(url, content)
      return `{${url === '' ? inner : joined(`"@type":${JSON.stringify(url)}`, inner)}}`
    }
  }

  #anyMembers(url: string, content: Uint8Array): string {
    const type = findType(this.#root, url.slice(url.lastIndexOf('/') + 1))
    if (type === undefined) return content.length === 0 && url === '' ? '' : `"value":${base64Text(content)}`
    if (++this.#anyDepth > depthMax) {
      throw new RecordFault('TOO_DEEP', `google.protobuf.Any nests deeper than ${depthMax}`)
    }
    const message = inField('value', () => this.#reader(type).read(content, 0, content.length))
    const isPlain = wellKnown(type) === undefined
    const text = isPlain ? this.#membersOf(type)(message) : `"value":${this.#message(type)(message)}`
    this.#anyDepth--
    return text
  }

  #reader(type: protobuf.Type): MessageReader {
    let reader = this.#readers.get(type)
    if (reader === undefined) this.#readers.set(type, (reader = new MessageReader(type, this.#shapes)))
    return reader
  }
}

const scalarWriters: Readonly<Record<string, Write>> = {
  string: JSON.stringify,
  bytes: (value) => base64Text(value as Uint8Array),
  float: (value) => numberText(value as number),
  double: (value) => numberText(value as number),
  int64: longText,
  sint64: longText,
  sfixed64: longText,
  uint64: longText,
  fixed64: longText,
}

function numberText(value: number): string {
  if (!Number.isFinite(value)) return `"${value}"`
  return Object.is(value, -0) ? '-0' : String(value)
}

function longText(value: unknown): string {
  return `"${String(value)}"`
}

/** An absent one is protobufjs' empty array, not a Uint8Array. */
function base64Text(value: Uint8Array): string {
  if (value.length === 0) return '""'
  return `"${Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64')}"`
}

function listWriter(write: Write): Write {
  return (value) => {
    let text = ''
    for (const each of value as readonly unknown[]) text = joined(text, write(each))
    return `[${text}]`
  }
}

function mapWriter(write: Write, readKey: (key: string) => string): Write {
  return (value) => {
    // A Map, because `__proto__` is a key like any other.
    const entries = new Map(Object.keys(value as object).map((key) => [readKey(key), (value as Message)[key]]))
    let text = ''
    for (const key of [...entries.keys()].sort()) {
      text = joined(text, `${JSON.stringify(key)}:${write(entries.get(key))}`)
    }
    return `{${text}}`
  }
}

/** protobufjs keeps 64-bit keys as eight characters, one a byte. */
function keyReader(field: protobuf.MapField): (key: string) => string {
  if (!/64$/.test(field.keyType)) return (key) => key
  const unsigned = field.keyType === 'uint64' || field.keyType === 'fixed64'
  return (key) => {
    let value = 0n
    for (let at = 7; at >= 0; at--) value = (value << 8n) | BigInt(key.charCodeAt(at))
    return String(unsigned ? value : BigInt.asIntN(64, value))
  }
}

function isEmptyList(value: unknown): boolean {
  return (value as readonly unknown[]).length === 0
}

function isEmptyMap(value: unknown): boolean {
  return Object.keys(value as object).length === 0
}

/** `text` and `more` with a comma where both are something. Bounded here, where text grows. */
function joined(text: string, more: string): string {
  if (text === '') return more
  return more === '' ? text : bounded(`${text},${more}`)
}

function bounded(text: string): string {
  if (text.length <= charactersMax) return text
  throw new RecordFault('TOO_LARGE', `its JSON text is longer than ${charactersMax} characters`)
}

/** `lowerCamelCase`, or what `json_name` says; of an extension `[full.name]`. */
export function jsonNameOf(field: protobuf.Field): string {
  return field.name.startsWith('.') ? `[${field.name.slice(1)}]` : (field.jsonName ?? field.name)
}

/** protoc refuses these too: the text would hold one name twice, and a reader keeps only one of them. */
function refuseEqualNames(type: protobuf.Type): void {
  const seen = new Map<string, string>()
  for (const field of type.fieldsArray) {
    const name = jsonNameOf(field.resolve())
    const other = seen.get(name)
    if (other !== undefined) {
      throw new SchemaError(
        `${type.fullName.slice(1)}: ${other} and ${field.name} are both "${name}" in JSON: rename one`,
      )
    }
    seen.set(name, field.name)
  }
}

function timeWriter(type: protobuf.Type, text: (time: SecondsAndNanos) => string): Write {
  const read = secondsAndNanos(type)
  return (message) => `"${text(read(message as Message))}"`
}

function timestampText(time: SecondsAndNanos): string {
  refuse(timestampFault(time))
  return `${new Date(time.seconds * 1000).toISOString().slice(0, -5)}${fractionText(time.nanos)}Z`
}

function durationText(time: SecondsAndNanos): string {
  refuse(durationFault(time))
  const sign = time.seconds < 0 || time.nanos < 0 ? '-' : ''
  return `${sign}${Math.abs(time.seconds)}${fractionText(Math.abs(time.nanos))}s`
}

/** 0, 3, 6 or 9 digits. */
function fractionText(nanos: number): string {
  if (nanos === 0) return ''
  return `.${String(nanos)
    .padStart(9, '0')
    .replace(/(000){1,2}$/, '')}`
}

function fieldMaskWriter(type: protobuf.Type): Write {
  const { name: pathsName } = fieldOf(type, 1)
  return (message) =>
    JSON.stringify(((message as Message)[pathsName] as readonly string[]).map(camelCasePath).join(','))
}

function camelCasePath(path: string): string {
  const camel = path.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())
  if (camel.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`) === path) return camel
  throw new RecordFault('NOT_JSON', 'a FieldMask path that lowerCamelCase cannot express')
}
