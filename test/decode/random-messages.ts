import fc from 'fast-check'
import type { Cell } from './decoding.ts'

/** A field's value three ways: as protobufjs encodes it, as its columns hold it, as JSON has it; undefined: absent. */
interface Sample {
  readonly encoded: unknown
  readonly cell: Cell
  readonly json: unknown
}

interface Scalar {
  readonly value: fc.Arbitrary<Sample>
  /** What an absent field of proto3 holds. */
  readonly absent: Sample
}

const plain = (value: Cell & (number | string | boolean)): Sample => ({ encoded: value, cell: value, json: value })
const wide = (value: bigint): Sample => ({ encoded: String(value), cell: value, json: String(value) })
const real = (value: number): Sample => ({ ...plain(value), json: Number.isFinite(value) ? value : String(value) })
const bytes = (value: Uint8Array): Sample => {
  const buffer = Buffer.from(value)
  return { encoded: buffer, cell: buffer.toString('hex'), json: buffer.toString('base64') }
}
const enumNames: Readonly<Record<number, string>> = { 0: 'ZERO', 1: 'ONE', '-5': 'MINUS' }
const kind = (value: number): Sample => ({
  encoded: value,
  cell: enumNames[value] ?? String(value),
  json: enumNames[value] ?? value,
})

const int32 = { value: fc.integer().map(plain), absent: plain(0) }
const uint32 = { value: fc.nat(0xffff_ffff).map(plain), absent: plain(0) }
const int64 = { value: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(wide), absent: wide(0n) }
const uint64 = { value: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map(wide), absent: wide(0n) }

const scalars: Readonly<Record<string, Scalar>> = {
  int32,
  sint32: int32,
  sfixed32: int32,
  uint32,
  fixed32: uint32,
  int64,
  sint64: int64,
  sfixed64: int64,
  uint64,
  fixed64: uint64,
  bool: { value: fc.boolean().map(plain), absent: plain(false) },
  float: { value: fc.float().map(real), absent: real(0) },
  double: { value: fc.double().map(real), absent: real(0) },
  string: { value: fc.string({ unit: 'binary', maxLength: 80, size: 'max' }).map(plain), absent: plain('') },
  bytes: { value: fc.uint8Array({ maxLength: 80, size: 'max' }).map(bytes), absent: bytes(new Uint8Array(0)) },
  E: { value: fc.oneof(fc.constantFrom(0, 1, -5), fc.integer()).map(kind), absent: kind(0) },
}

const scalarNames = Object.keys(scalars)
const keyNames = ['int32', 'uint64', 'sint64', 'fixed32', 'bool', 'string']

const timestamp = fc
  .record({ seconds: fc.integer({ min: -62_135_596_800, max: 253_402_300_799 }), nanos: fc.nat(999_999_999) })
  .map((encoded): Sample => ({
    encoded,
    cell: BigInt(encoded.seconds) * 1_000_000n + BigInt(encoded.nanos) / 1000n,
    json: undefined,
  }))

/** One field of a message, and what a message may hold in it. */
interface Field {
  readonly declaration: (id: number) => string
  readonly name: string
  readonly value: fc.Arbitrary<Filled>
}

/** A field's part of a message and of the row; `encoded` undefined: left out. */
interface Filled {
  readonly encoded: unknown
  readonly cells: Readonly<Record<string, Cell>>
  /** What the columns hold of JSON, parsed: its text is compared by value. */
  readonly jsons: Readonly<Record<string, unknown>>
}

/** A random message type, as .proto source, with messages of it and the rows they should become. */
export interface Messages {
  readonly source: string
  readonly messages: readonly {
    readonly encoded: object
    readonly cells: Filled['cells']
    readonly jsons: Filled['jsons']
  }[]
}

export const messages: fc.Arbitrary<Messages> = fc
  .array(fc.nat(), { minLength: 1, maxLength: 12 })
  .chain((seeds) => fieldsFrom(seeds, '', 0))
  .chain(({ body, types, fields }) =>
    fc.array(filled(fields), { minLength: 1, maxLength: 8 }).map((rows) => ({
      source: `syntax = "proto3"; enum E { ZERO = 0; ONE = 1; MINUS = -5; } message Test { ${body} } ${types}`,
      messages: rows.map(({ encoded, cells, jsons }) => ({ encoded: encoded as object, cells, jsons })),
    })),
  )

interface Fields {
  readonly body: string
  readonly types: string
  readonly fields: readonly Field[]
}

/** Each number makes a field; numbers, not nested arbitraries, so that a failing case shrinks to few simple fields. */
function fieldsFrom(seeds: readonly number[], prefix: string, depth: number): fc.Arbitrary<Fields> {
  const fields: Field[] = []
  let types = ''
  seeds.forEach((seed, index) => {
    const name = `f${index}`
    const scalar = scalarNames[(seed >> 3) % scalarNames.length]!
    const shape = seed % 8
    if (shape === 0) fields.push(implicitField(name, scalar))
    else if (shape === 1) fields.push(optionalField(name, scalar))
    else if (shape === 2) fields.push(repeatedField(name, scalar))
    else if (shape === 3) fields.push(mapField(name, keyNames[(seed >> 7) % keyNames.length]!, scalar))
    else if (shape === 4) fields.push(timestampField(name))
    else if (shape === 5 && depth < 3) {
      const inner = innerFields(seed, index)
      const type = `M${prefix}${index}`
      types += ` message ${type} { ${declarations(inner)} }`
      fields.push(messageField(name, type, inner))
    } else fields.push(implicitField(name, scalar))
  })
  return fc.constant({ body: declarations(fields), types, fields })
}

function innerFields(seed: number, index: number): Field[] {
  const scalar = (shift: number): string => scalarNames[(seed >> shift) % scalarNames.length]!
  return [implicitField('g', scalar(3)), optionalField('h', scalar(6)), repeatedField(`i${index}`, scalar(9))]
}

/** Numbers with gaps, some beyond one byte of tag. */
function declarations(fields: readonly Field[]): string {
  return fields.map(({ declaration }, index) => declaration(index * 7 + 1)).join(' ')
}

function implicitField(name: string, scalar: string): Field {
  const { value, absent } = scalars[scalar]!
  return {
    name,
    declaration: (id) => `${scalar} ${name} = ${id};`,
    value: fc.option(value, { nil: undefined }).map((sample) => {
      return { encoded: sample?.encoded, cells: { [name]: (sample ?? absent).cell }, jsons: {} }
    }),
  }
}

function optionalField(name: string, scalar: string): Field {
  return {
    name,
    declaration: (id) => `optional ${scalar} ${name} = ${id};`,
    value: fc.option(scalars[scalar]!.value, { nil: undefined }).map((sample) => {
      return { encoded: sample?.encoded, cells: { [name]: sample?.cell ?? null }, jsons: {} }
    }),
  }
}

function repeatedField(name: string, scalar: string): Field {
  return {
    name,
    declaration: (id) => `repeated ${scalar} ${name} = ${id};`,
    value: fc.array(scalars[scalar]!.value, { maxLength: 4 }).map((samples) => {
      return {
        encoded: samples.map(({ encoded }) => encoded),
        cells: {},
        jsons: { [name]: samples.map(({ json }) => json) },
      }
    }),
  }
}

function mapField(name: string, key: string, scalar: string): Field {
  const entry = fc.tuple(scalars[key]!.value, scalars[scalar]!.value)
  return {
    name,
    declaration: (id) => `map<${key}, ${scalar}> ${name} = ${id};`,
    value: fc.uniqueArray(entry, { maxLength: 4, selector: ([{ cell }]) => String(cell) }).map((entries) => ({
      encoded: Object.fromEntries(entries.map(([at, { encoded }]) => [hashed(key, at.cell), encoded])),
      cells: {},
      jsons: { [name]: Object.fromEntries(entries.map(([at, { json }]) => [String(at.cell), json])) },
    })),
  }
}

/** protobufjs takes 64-bit keys as eight characters, one a byte. */
function hashed(key: string, value: Cell): string {
  if (!key.endsWith('64')) return String(value)
  const word = Buffer.alloc(8)
  word.writeBigUInt64LE(BigInt.asUintN(64, value as bigint))
  return word.toString('latin1')
}

function timestampField(name: string): Field {
  return {
    name,
    declaration: (id) => `google.protobuf.Timestamp ${name} = ${id};`,
    value: fc.option(timestamp, { nil: undefined }).map((sample) => {
      return { encoded: sample?.encoded, cells: { [name]: sample?.cell ?? null }, jsons: {} }
    }),
  }
}

function messageField(name: string, type: string, fields: readonly Field[]): Field {
  return {
    name,
    declaration: (id) => `${type} ${name} = ${id};`,
    value: fc.tuple(filled(fields), fc.boolean()).map(([inner, present]) => {
      const named = <Value>(values: Readonly<Record<string, Value>>): Record<string, Value | null> =>
        Object.fromEntries(Object.entries(values).map(([child, value]) => [`${name}_${child}`, present ? value : null]))
      return { encoded: present ? inner.encoded : undefined, cells: named(inner.cells), jsons: named(inner.jsons) }
    }),
  }
}

function filled(fields: readonly Field[]): fc.Arbitrary<Filled> {
  return fc.tuple(...fields.map(({ value }) => value)).map((values) => ({
    encoded: Object.fromEntries(
      values.flatMap(({ encoded }, index): [string, unknown][] =>
        encoded === undefined ? [] : [[fields[index]!.name, encoded]],
      ),
    ),
    cells: Object.fromEntries(values.flatMap(({ cells }) => Object.entries(cells))),
    jsons: Object.fromEntries(values.flatMap(({ jsons }) => Object.entries(jsons))),
  }))
}
