import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import type { Type } from 'protobufjs'
import { VariableColumnBuilder } from '../../../src/decode/column-builder.ts'
import { ColumnMemory } from '../../../src/decode/column-memory.ts'
import { JsonShapes } from '../../../src/decode/json/json-shape.ts'
import { JsonWriter } from '../../../src/decode/json/json-writer.ts'
import { encode, typeFrom } from '../decoding.ts'

/**
 * That its text is the right one is seen in json-mapping.test.ts, and against the reference decoder in
 * compiled-decoder.test.ts. Here: that it writes what producers send, and leaves to others what it says it does.
 */

const proto3 = typeFrom(`
  message Test { repeated int32 numbers = 1; map<string, string> labels = 2; repeated Event events = 3; Event event = 4;
    google.protobuf.Struct struct = 5; repeated google.protobuf.Timestamp times = 6; google.protobuf.Any any = 7;
    google.protobuf.FieldMask mask = 8; map<int32, Event> by_number = 9; repeated google.protobuf.Int64Value wrapped = 10;
    repeated bytes blobs = 11; repeated Kind kinds = 12; google.protobuf.Value value = 13; }
  message Event { string name = 1; repeated double values = 2; Event inner = 3; oneof arm { int32 left = 4; string right = 5; }
    google.protobuf.Duration took = 6; google.protobuf.Any any = 7; repeated string notes = 8; }
  enum Kind { ZERO = 0; ONE = 1; }`)
const proto2 = typeFrom(`
  syntax = "proto2";
  message Test { repeated Kind kinds = 1; repeated Event events = 2; repeated group Point = 3 { optional int32 x = 1; } }
  message Event { required int32 id = 1; optional Kind kind = 2; optional group Point = 3 { optional int32 x = 1; } }
  enum Kind { ZERO = 0; ONE = 1; }`)

/** The text that it writes of the field, after another row; undefined when it leaves that to others. */
function write(type: Type, column: string, bytes: Uint8Array): string | undefined {
  const builder = new VariableColumnBuilder(new ColumnMemory())
  builder.begin(2)
  builder.appendString('before')
  const field = new JsonShapes('name').column(type.fields[column]!)
  const done = new JsonWriter().write(field, bytes, 0, bytes.length, builder)
  builder.appendString('after')
  const { offsets, bytes: texts } = builder.finish() as { offsets: Uint32Array; bytes: Uint8Array }
  const rows = [...offsets.subarray(1)].map((end, row) => Buffer.from(texts.subarray(offsets[row], end)).toString())
  assert.deepEqual(rows, done ? ['before', rows[1], 'after'] : ['before', 'after'])
  return done ? rows[1] : undefined
}

const writes: { name: string; type?: Type; column: string; message: object | string; json: string }[] = [
  { name: 'a list', column: 'numbers', message: { numbers: [1, -1, 70_000] }, json: '[1,-1,70000]' },
  { name: 'an empty list', column: 'numbers', message: {}, json: '[]' },
  { name: 'labels in any order', column: 'labels', message: { labels: { b: '1', a: '2' } }, json: '{"a":"2","b":"1"}' },
  { name: 'an empty map', column: 'labels', message: {}, json: '{}' },
  {
    name: 'messages',
    column: 'events',
    message: { events: [{ values: [0.5], inner: { name: 'x', notes: ['n', ''] } }, { right: '' }] },
    json: '[{"values":[0.5],"inner":{"name":"x","notes":["n",""]}},{"right":""}]',
  },
  { name: 'a message', column: 'event', message: { event: { took: { seconds: 2 } } }, json: '{"took":"2s"}' },
  {
    name: 'a Struct',
    column: 'struct',
    message: { struct: { fields: { a: { listValue: { values: [{ boolValue: true }, { nullValue: 0 }] } } } } },
    json: '{"a":[true,null]}',
  },
  { name: 'times', column: 'times', message: { times: [{ nanos: 1000 }] }, json: '["1970-01-01T00:00:00.000001Z"]' },
  {
    name: 'maps of messages',
    column: 'by_number',
    message: { by_number: { 10: { name: 'a' }, 9: {} } },
    json: '{"10":{"name":"a"},"9":{}}',
  },
  { name: 'wrappers', column: 'wrapped', message: { wrapped: [{ value: -1 }, {}] }, json: '["-1","0"]' },
  { name: 'bytes', column: 'blobs', message: { blobs: [Buffer.from('ab')] }, json: '["YWI="]' },
  { name: 'numbers that an open enum does not know', column: 'kinds', message: { kinds: [1, 9] }, json: '["ONE",9]' },
  { name: 'a default that was sent', column: 'event', message: '22020a00', json: '{}' },
  { name: 'a list of nothing but an empty run', column: 'event', message: '22021200', json: '{}' },
  { name: 'a value that came twice', column: 'event', message: '22060a01610a0162', json: '{"name":"b"}' },
  { name: 'a field that is not declared', column: 'event', message: '22039a0600', json: '{}' },
  { name: 'a closed enum', type: proto2, column: 'kinds', message: { kinds: [1, 0] }, json: '["ONE","ZERO"]' },
  { name: 'required fields', type: proto2, column: 'events', message: { events: [{ id: 0 }] }, json: '[{"id":0}]' },
]

for (const { name, type = proto3, column, message, json } of writes) {
  test(`writes ${name}`, () => {
    const bytes = typeof message === 'string' ? Buffer.from(message, 'hex') : encode(type, message)
    assert.equal(write(type, column, bytes), json)
  })
}

const leaves: { name: string; type?: Type; column: string; bytes: Uint8Array | string }[] = [
  { name: 'a message in two parts', column: 'event', bytes: '22030a016122030a0162' },
  { name: 'a message within in two parts', column: 'events', bytes: '1a061a001a001a00' },
  { name: 'two arms of a oneof', column: 'event', bytes: '220520012a0161' },
  { name: 'a list whose elements lie apart', column: 'event', bytes: '22084201612001420162' },
  { name: 'an entry with two keys', column: 'labels', bytes: '12060a01610a0162' },
  { name: 'an entry with something else', column: 'labels', bytes: '12021801' },
  { name: 'Any', column: 'any', bytes: encode(proto3, { any: { type_url: 'x/Event' } }) },
  { name: 'Any within', column: 'events', bytes: encode(proto3, { events: [{ any: { type_url: 'x/Event' } }] }) },
  { name: 'a FieldMask', column: 'mask', bytes: encode(proto3, { mask: { paths: ['a'] } }) },
  { name: 'a Value of no kind', column: 'value', bytes: encode(proto3, { value: {} }) },
  { name: 'NaN in a Value', column: 'value', bytes: encode(proto3, { value: { numberValue: NaN } }) },
  { name: 'a time out of range', column: 'times', bytes: encode(proto3, { times: [{ nanos: -1 }] }) },
  {
    name: 'a duration out of range',
    column: 'event',
    bytes: encode(proto3, { event: { took: { seconds: 1, nanos: -1 } } }),
  },
  { name: 'what a closed enum does not know', type: proto2, column: 'kinds', bytes: '0809' },
  { name: 'a message that lacks a required field', type: proto2, column: 'events', bytes: '1200' },
  { name: 'a group', type: proto2, column: 'point', bytes: '1b08011c' },
  { name: 'a group within', type: proto2, column: 'events', bytes: '120608011b08021c' },
  { name: 'text beyond the bound', column: 'labels', bytes: encode(proto3, { labels: { a: '\0'.repeat(12 << 20) } }) },
]

for (const { name, type = proto3, column, bytes } of leaves) {
  test(`leaves ${name} to others, and the column as it was`, () => {
    assert.equal(write(type, column, typeof bytes === 'string' ? Buffer.from(bytes, 'hex') : bytes), undefined)
  })
}

test('keys in the order of their UTF-16, of equal ones the last', () => {
  const key = fc.oneof(
    fc.string({
      unit: fc.constantFrom('a', 'b', 'é', '\ud7ff', '\ue000', '\uffff', '\u{10000}', '\u{10ffff}'),
      maxLength: 4,
    }),
    fc.string({ unit: 'binary', maxLength: 6 }),
  )
  const entries = fc.array(fc.tuple(key, fc.string({ maxLength: 3 })), { maxLength: 60, size: 'max' })
  fc.assert(
    fc.property(entries, (entries) => {
      const one = typeFrom('message Test { map<string, string> labels = 2; }')
      const bytes = Buffer.concat(entries.map(([name, value]) => encode(one, { labels: { [name]: value } })))
      const last = new Map(entries.filter(([name]) => name !== '__proto__'))
      if (last.size < new Set(entries.map(([name]) => name)).size) return
      const sorted = [...last.keys()].sort().map((name) => `${JSON.stringify(name)}:${JSON.stringify(last.get(name))}`)
      assert.equal(write(proto3, 'labels', bytes), `{${sorted.join(',')}}`)
    }),
    { numRuns: 1000 },
  )
})
