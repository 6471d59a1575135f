import assert from 'node:assert/strict'
import test from 'node:test'
import type { ColumnChoice } from '../../src/decode/column-choice.ts'
import { createCompiledDecoder } from '../../src/decode/decoder-compiler.ts'
import { createReferenceDecoder } from '../../src/decode/reference-decoder.ts'
import { planTable } from '../../src/decode/table-plan.ts'
import { SchemaError } from '../../src/errors.ts'
import { type Cell, decodeValues, encode, rowOf, typeFrom } from './decoding.ts'

const type = typeFrom(`
  message Place { double latitude = 1; double longitude = 2; Fix fix = 3; }
  message Fix { uint32 satellites = 1; string kind = 2; }
  message Test {
    string device = 1; Place place = 2; repeated int32 codes = 3; google.protobuf.Timestamp at = 4;
    oneof which { int32 a = 5; string b = 6; Place c = 7; }
    string place_name = 8;
  }`)
const value = encode(type, {
  device: 'd',
  place: { latitude: 1, longitude: 2, fix: { satellites: 3, kind: 'k' } },
  codes: [4],
  at: { seconds: 5 },
  a: 6,
  place_name: 'n',
})

const cases: { name: string; columns: ColumnChoice[]; row: Record<string, Cell> }[] = [
  { name: 'some, in the order of the choice', columns: ['codes', 'device'], row: { codes: '[4]', device: 'd' } },
  { name: 'by a path', columns: ['place.fix.kind', 'place.latitude'], row: { place_fix_kind: 'k', place_latitude: 1 } },
  {
    name: 'by the name of a column',
    columns: ['place_fix_kind', 'place_name'],
    row: { place_fix_kind: 'k', place_name: 'n' },
  },
  {
    name: 'a message with all its fields',
    columns: ['place'],
    row: { place_latitude: 1, place_longitude: 2, place_fix_satellites: 3, place_fix_kind: 'k' },
  },
  {
    name: 'under another name',
    columns: [
      { from: 'device', as: 'id' },
      { from: 'at', as: 'time' },
    ],
    row: { id: 'd', time: 5_000_000n },
  },
  {
    name: 'a message under another name',
    columns: [{ from: 'place.fix', as: 'gps' }],
    row: { gps_satellites: 3, gps_kind: 'k' },
  },
  {
    name: 'a message, and one of its fields under another name',
    columns: ['place.fix', { from: 'place.fix.kind', as: 'kind' }],
    row: { place_fix_satellites: 3, kind: 'k' },
  },
]

for (const [way, create] of Object.entries({ compiled: createCompiledDecoder, reference: createReferenceDecoder })) {
  for (const { name, columns, row } of cases) {
    test(`${way}: ${name}`, () => {
      const decoder = create(planTable(type, { columns }), { tableName: 'test' })
      const found = rowOf(decoder, value)
      assert.deepEqual(found, row)
      assert.deepEqual(Object.keys(found), Object.keys(row))
    })
  }

  test(`${way}: metadata are there without being named, and can be renamed`, () => {
    const plan = planTable(type, {
      columns: ['device', { from: '_offset', as: 'at' }],
      metadata: ['offset', 'partition'],
    })
    assert.deepEqual(rowOf(create(plan, { tableName: 'test' }), value), { device: 'd', at: 100n, _partition: 7 })
  })

  test(`${way}: an arm that is not chosen still replaces one that is`, () => {
    const decoder = create(planTable(type, { columns: ['a', 'device'] }), { tableName: 'test' })
    for (const later of [{ b: 'text' }, { c: { latitude: 1 } }]) {
      const both = Buffer.concat([value, encode(type, later)])
      assert.deepEqual(rowOf(decoder, both), { a: null, device: 'd' })
      assert.deepEqual(rowOf(decoder, Buffer.concat([both, value])), { a: 6, device: 'd' })
    }
  })

  test(`${way}: what is not chosen is not checked, only skipped`, () => {
    const decoder = create(planTable(type, { columns: ['device'] }), { tableName: 'test' })
    // The field `at` with a content that is no message, and `codes` with a wire type that it never has.
    const strange = Buffer.concat([value, Buffer.of(0x22, 1, 0xff, 0x1d, 1, 2, 3, 4)])
    assert.deepEqual(rowOf(decoder, strange), { device: 'd' })
    assert.equal(decodeValues(decoder, [Buffer.concat([value, Buffer.of(0x22, 9, 0xff)])]).bad[0]?.code, 'TRUNCATED')
  })

  test(`${way}: a required field that is not chosen may be missing`, () => {
    const strict = typeFrom('syntax = "proto2"; message Test { required int32 a = 1; optional int32 b = 2; }')
    const decoder = create(planTable(strict, { columns: ['b'] }), { tableName: 'test' })
    assert.deepEqual(rowOf(decoder, Buffer.of(0x10, 1)), { b: 1 })
  })
}

const refused: { columns: ColumnChoice[]; reason: RegExp }[] = [
  { columns: ['devise'], reason: /Test has no field devise; the nearest is device/ },
  { columns: ['place.lattitude'], reason: /no field place\.lattitude; the nearest is place\.latitude/ },
  { columns: ['at.seconds'], reason: /at is one column, so at\.seconds is none/ },
  { columns: ['device', { from: 'device', as: 'id' }], reason: /device is chosen twice/ },
  { columns: ['place.latitude', 'place_latitude'], reason: /place_latitude is chosen twice/ },
  { columns: ['device', { from: 'codes', as: 'device' }], reason: /would both be the column device/ },
  { columns: ['_offset'], reason: /no field _offset/ },
]

for (const { columns, reason } of refused) {
  test(`refused: ${JSON.stringify(columns)}`, () => {
    assert.throws(
      () => planTable(type, { columns }),
      (error) => error instanceof SchemaError && reason.test(error.message),
    )
  })
}
