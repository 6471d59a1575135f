import assert from 'node:assert/strict'
import test from 'node:test'
import protobuf from 'protobufjs'
import { createCompiledDecoder } from '../../src/decode/decoder-compiler.ts'
import { decoderSource } from '../../src/decode/decoder-source.ts'
import { createReferenceDecoder } from '../../src/decode/reference-decoder.ts'
import { planTable, type PlanOptions } from '../../src/decode/table-plan.ts'
import { WireShapes } from '../../src/decode/wire-shape.ts'
import { type Cell, decodeValues, encode, origin, rowOf, rowsOf, slabOf, typeFrom } from './decoding.ts'

const compiledFrom = (type: protobuf.Type, options: PlanOptions = {}) =>
  createCompiledDecoder(planTable(type, options), { tableName: 'test' })

const hostile = [
  '`${process.exit()}`',
  "'); process.exit(); ('",
  '__defineGetter__',
  'a\nb */ //',
  '\u2028',
  '日本',
  'constructor',
]

test('no name of a schema is in the source', () => {
  const source = (names: readonly string[]): string => {
    const plan = planTable(typeOf(names), { metadata: ['topic', 'key'], flattenDepth: 3 })
    return decoderSource(plan, new WireShapes()).source
  }
  const plain = source(hostile.map((_, index) => `plain${index}`))
  assert.equal(source(hostile), plain)
  assert.match(plain, /^[\x20-\x7e\n]+$/)
})

test('fields of hostile names are decoded like others', () => {
  const type = typeOf(hostile)
  const decoder = compiledFrom(type)
  // Written by hand, because protobufjs would not take all of these names for keys.
  const value = Buffer.from(hostile.map((_, index) => [index * 8 + 8, 100 + index]).flat())
  const decoded = decodeValues(decoder, [value, value])
  assert.deepEqual(decoded.bad, [])
  for (const column of decoded.columns.slice(0, hostile.length)) assert.equal(column.kind, 'fixed')
  assert.deepEqual(
    decoded.columns.slice(0, hostile.length).map((column) => column.kind === 'fixed' && column.values[1]),
    hostile.map((_, index) => 100 + index),
  )
})

/** A message with these names for its fields, those of the message in it, and the values of an enum. */
function typeOf(names: readonly string[]): protobuf.Type {
  const root = new protobuf.Root()
  const kinds = new protobuf.Enum('E', Object.fromEntries(names.map((name, index) => [`${name}_`, index])))
  const inner = new protobuf.Type('Inner')
  const type = new protobuf.Type('Test')
  names.forEach((name, index) => {
    type.add(new protobuf.Field(name, index + 1, 'int32'))
    inner.add(new protobuf.Field(name, index + 1, 'E'))
  })
  type.add(new protobuf.Field('inner', 100, 'Inner'))
  root.add(kinds).add(inner).add(type).resolveAll()
  return type
}

test('a message in a oneof that another arm replaced begins anew', () => {
  const type = typeFrom(`message M { optional int32 x = 1; optional string y = 2; repeated int32 z = 3; }
    message Test { oneof which { M m = 1; int32 n = 2; } }`)
  const decoder = compiledFrom(type)
  const full = encode(type, { m: { x: 5, y: 'text', z: [1] } })
  const bare = encode(type, { m: {} })
  const other = encode(type, { n: 7 })
  const row = (...parts: Uint8Array[]): Record<string, Cell> => rowOf(decoder, Buffer.concat(parts))
  assert.deepEqual(row(full, other, bare), { m_x: null, m_y: null, m_z: '[]', n: null })
  assert.deepEqual(row(full, bare), { m_x: 5, m_y: 'text', m_z: '[1]', n: null })
  assert.deepEqual(row(full, other), { m_x: null, m_y: null, m_z: null, n: 7 })
})

test('a bad record leaves nothing in the columns, wherever it breaks off', () => {
  const type = typeFrom(`enum E { ZERO = 0; ONE = 1; } message M { optional string a = 1; fixed64 b = 2; }
    message Test { string s = 1; int64 i = 2; E e = 3; M m = 4; repeated string r = 5; google.protobuf.Timestamp t = 6;
    optional bool o = 7; map<string, double> p = 8; bytes y = 9; google.protobuf.StringValue w = 10; }`)
  const decoder = compiledFrom(type)
  const full = encode(type, {
    s: 'a string',
    i: -1,
    e: 1,
    m: { a: 'inner', b: 1 },
    r: ['x', 'y'],
    t: { seconds: 1, nanos: 1000 },
    o: true,
    p: { k: 1 },
    y: Buffer.from('bytes'),
    w: { value: 'wrapped' },
  })
  const empty = new Uint8Array(0)
  // Each prefix breaks off somewhere; between them stand records of which every column is absent.
  const values = Array.from(full).flatMap((_, length) => [
    Buffer.concat([full.subarray(0, length + 1), Buffer.alloc(11, 0xff)]),
    empty,
  ])
  const decoded = decodeValues(decoder, [...values, full])
  assert.equal(decoded.rowCount, full.length + 1)
  const rows = rowsOf(decoded, decoder.table)
  const absent = rowOf(decoder, empty)
  for (const row of rows.slice(0, -1)) assert.deepEqual(row, absent)
  assert.deepEqual(rows.at(-1), rowOf(decoder, full))
})

test('text outgrows what was expected of its column, in one load and in the next', () => {
  const type = typeFrom('message Test { string s = 1; bytes b = 2; }')
  const decoder = compiledFrom(type)
  for (const length of [3, 5_000, 3, 70_000]) {
    const s = 'é'.repeat(length)
    const value = encode(type, { s, b: Buffer.from(s) })
    const rows = rowsOf(decodeValues(decoder, [value, new Uint8Array(0), value]), decoder.table)
    assert.deepEqual(
      rows.map((row) => row['s']),
      [s, '', s],
    )
    assert.equal(rows[2]!['b'], Buffer.from(s).toString('hex'))
  }
})

test('a field in several places of its record is read whole, however long its parts are together', () => {
  const type = typeFrom('syntax = "proto3"; message Test { repeated string names = 1; int32 number = 2; }')
  const names = ['a'.repeat(900), 'b'.repeat(3000)]
  const parts = [{ names: [names[0]] }, { number: 7 }, { names: [names[1]] }]
  const value = Buffer.concat(parts.map((part) => encode(type, part)))
  const decoder = compiledFrom(type)
  for (let load = 0; load < 2; load++) {
    const decoded = decodeValues(decoder, [value])
    assert.deepEqual(decoded.bad, [])
    assert.deepEqual(rowsOf(decoded, decoder.table), [{ names: JSON.stringify(names), number: 7 }])
  }
})

test('unknown numbers of an enum are text, or absent where the enum is closed', () => {
  const body =
    'enum E { ZERO = 0; ONE = 1; FAR = 70000; LOW = -1; } message Test { optional E e = 1; optional E f = 2; }'
  const rowFor = (syntax: string, number: number): Record<string, Cell> => {
    const decoder = compiledFrom(typeFrom(`syntax = "${syntax}"; ${body}`))
    const write = protobuf.Writer.create().uint32(8).int32(1).uint32(8).int32(number).finish()
    return rowOf(decoder, write)
  }
  assert.deepEqual(rowFor('proto3', 70_000), { e: 'FAR', f: null })
  assert.deepEqual(rowFor('proto3', -1), { e: 'LOW', f: null })
  assert.deepEqual(rowFor('proto3', -2_147_483_648), { e: '-2147483648', f: null })
  // The standard: it is an unknown field then, and what came before stays.
  assert.deepEqual(rowFor('proto2', 9), { e: 'ONE', f: null })
})

test('slabs are decoded one after the other, and each call begins anew', () => {
  const type = typeFrom('message Test { string s = 1; optional int32 i = 2; }')
  const decoder = compiledFrom(type, { metadata: ['partition', 'offset', 'topic', 'key'] })
  const values = [1, 2, 3].map((i) => encode(type, { s: `text ${i}`, ...(i === 2 ? {} : { i }) }))
  const slabs = [slabOf(values.slice(0, 2), { key: Buffer.from('k') }), slabOf([]), slabOf([null, ...values.slice(2)])]
  for (let call = 0; call < 2; call++) {
    const decoded = decoder.decode(slabs, origin)
    const { columns: _, release, ...rest } = decoded
    assert.deepEqual(rest, {
      recordCount: 4,
      rowCount: 3,
      offsets: Float64Array.of(100, 102, 102),
      bad: [],
      skipped: 1,
      skippedByReason: { tombstone: 1 },
      next: 103,
    })
    assert.deepEqual(rowsOf(decoded, decoder.table), [
      { s: 'text 1', i: 1, _partition: 7, _offset: 100n, _topic: 'readings', _key: '6b' },
      { s: 'text 2', i: null, _partition: 7, _offset: 102n, _topic: 'readings', _key: '6b' },
      { s: 'text 3', i: 3, _partition: 7, _offset: 102n, _topic: 'readings', _key: null },
    ])
    release()
  }
})

test('an unknown group in a message without fields is skipped, as it is in any other', () => {
  const type = typeFrom('message None {} message Test { None none = 1; repeated google.protobuf.Empty list = 2; }')
  const group = [0x43, 0x08, 1, 0x44]
  const value = Uint8Array.from([0x0a, 4, ...group, 0x12, 4, ...group, ...group])
  const plan = planTable(type)
  for (const create of [createCompiledDecoder, createReferenceDecoder]) {
    assert.deepEqual(rowOf(create(plan, { tableName: 'test' }), value), { none: '{}', list: '[{}]' })
  }
})
