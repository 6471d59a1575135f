import assert from 'node:assert/strict'
import test from 'node:test'
import { appendRules } from '../../src/decode/columns.ts'
import type { RecordFaultCode } from '../../src/decode/record-fault.ts'
import { createDecoder } from '../../src/decode/create-decoder.ts'
import { packSlab, SlabView } from '../../src/kafka/slab.ts'
import { type Cell, decoderOf, decodeValues, encode, origin, rowOf, rowsOf, slabOf, typeFrom } from './decoding.ts'

const noHeaders = new Uint8Array(0)

// One record each; `row` holds only the columns that matter.
const values: { name: string; proto: string; hex: string; row: Record<string, Cell> }[] = [
  {
    name: 'no bytes are a message of defaults',
    proto:
      'message Test { int32 a = 1; string b = 2; optional bool c = 3; E d = 4; bytes e = 5; repeated int32 f = 6; } enum E { Z = 0; }',
    hex: '',
    row: { a: 0, b: '', c: null, d: 'Z', e: '', f: '[]' },
  },
  {
    name: '64-bit integers are exact',
    proto: 'message Test { int64 a = 1; uint64 b = 2; sint64 c = 3; fixed64 d = 4; sfixed64 e = 5; int64 f = 6; }',
    hex: '0880808080808080808001 10ffffffffffffffffff01 18ffffffffffffffffff01 21ffffffffffffffff 29ffffffffffffffff 308180808080808010',
    row: { a: -(2n ** 63n), b: 2n ** 64n - 1n, c: -(2n ** 63n), d: 2n ** 64n - 1n, e: -1n, f: 2n ** 53n + 1n },
  },
  {
    name: 'zero that is sent where it may be absent is a value',
    proto: 'message Test { optional int32 a = 1; optional string b = 2; oneof o { int64 c = 3; bool d = 4; } }',
    hex: '0800 1200 1800',
    row: { a: 0, b: '', c: 0n, d: null },
  },
  {
    name: 'the last arm of a oneof counts',
    proto: 'message Test { oneof o { string a = 1; A b = 2; } } message A { int32 x = 1; int32 y = 2; }',
    hex: '12020801 0a0161 12021002',
    row: { a: null, b_x: 0, b_y: 2 },
  },
  {
    name: 'a message in two parts is one message, and the last of a scalar counts',
    proto: 'message Test { A a = 1; int32 b = 2; } message A { int32 x = 1; int32 y = 2; }',
    hex: '0a020801 1001 0a021002 1000',
    row: { a_x: 1, a_y: 2, b: 0 },
  },
  {
    name: 'minus zero and infinity stay',
    proto: 'message Test { double a = 1; float b = 2; double c = 3; float d = 4; }',
    hex: '090000000000000080 1500000080 19000000000000f0ff 25cdcccc3d',
    row: { a: -0, b: -0, c: -Infinity, d: Math.fround(0.1) },
  },
  {
    name: 'NaN stays',
    proto: 'message Test { double a = 1; float b = 2; google.protobuf.DoubleValue c = 3; }',
    hex: '09010000000000f87f 150100c07f 1a0909000000000000f87f',
    row: { a: NaN, b: NaN, c: NaN },
  },
  {
    name: 'an unknown enum is its number, negative too',
    proto: 'message Test { E a = 1; optional E b = 2; } enum E { option allow_alias = true; Z = 0; A = 1; B = 1; }',
    hex: '0807 10ffffffffffffffffff01',
    row: { a: '7', b: '-1' },
  },
  {
    name: 'an alias is the name declared first',
    proto: 'message Test { E a = 1; } enum E { option allow_alias = true; Z = 0; A = 1; B = 1; }',
    hex: '0801',
    row: { a: 'A' },
  },
  {
    name: 'text keeps NUL, a byte order mark, and characters of four bytes',
    proto: 'message Test { string a = 1; string b = 2; string c = 3; }',
    hex: '0a03610062 1204efbbbf61 1a08f09f9a80f09f9a80',
    row: { a: 'a\0b', b: '\ufeffa', c: '🚀🚀' },
  },
  {
    name: 'bytes are bytes',
    proto: 'message Test { bytes a = 1; optional bytes b = 2; }',
    hex: '0a03ff00fe 1200',
    row: { a: 'ff00fe', b: '' },
  },
  {
    name: 'a Timestamp loses what is below a microsecond, towards the past',
    proto: 'message Test { google.protobuf.Timestamp a = 1; google.protobuf.Timestamp b = 2; }',
    // 1 s 1999 ns; -1 s 999999999 ns
    hex: '0a05080110cf0f 121108ffffffffffffffffff0110ff93ebdc03',
    row: { a: 1_000_001n, b: -1n },
  },
  {
    name: 'a Duration loses what is below a microsecond, towards zero',
    proto: 'message Test { google.protobuf.Duration a = 1; google.protobuf.Duration b = 2; }',
    // 1 s 1999 ns; -1999 ns
    hex: '0a05080110cf0f 120b10b1f0ffffffffffffff01',
    row: { a: 1_000_001n, b: -1n },
  },
  {
    name: 'an empty Timestamp is 1970, an absent one is null',
    proto: 'message Test { google.protobuf.Timestamp a = 1; google.protobuf.Timestamp b = 2; }',
    hex: '0a00',
    row: { a: 0n, b: null },
  },
  {
    name: 'wrappers tell zero from nothing',
    proto:
      'message Test { google.protobuf.Int64Value a = 1; google.protobuf.StringValue b = 2; google.protobuf.BoolValue c = 3; }',
    hex: '0a00 1a020801',
    row: { a: 0n, b: null, c: true },
  },
  {
    name: 'a message that is there has its defaults, one that is not has nothing',
    proto:
      'message Test { A a = 1; A b = 2; } message A { int32 x = 1; repeated int32 y = 2; optional int32 z = 3; B c = 4; } message B { bool d = 1; }',
    hex: '0a00',
    row: { a_x: 0, a_y: '[]', a_z: null, a_c_d: null, b_x: null, b_y: null, b_z: null, b_c_d: null },
  },
  {
    name: 'a proto2 default is no value',
    proto: 'syntax = "proto2"; message Test { optional int32 a = 1 [default = 5]; }',
    hex: '',
    row: { a: null },
  },
  {
    name: 'fields named as methods are fields',
    proto: 'message Test { optional string hasOwnProperty = 1; string constructor = 2; optional int32 valueOf = 3; }',
    hex: '0a0161 120162',
    row: { hasOwnProperty: 'a', constructor: 'b', valueOf: null },
  },
  {
    name: 'fields that the schema does not know are no fault',
    proto: 'message Test { int32 a = 1; }',
    hex: '5801 620161 0802',
    row: { a: 2 },
  },
]

for (const { name, proto, hex, row } of values) {
  test(name, () => {
    const found = rowOf(decoderOf(typeFrom(proto)), Buffer.from(hex.replaceAll(' ', ''), 'hex'))
    assert.deepEqual(found, row)
  })
}

const reading = typeFrom(`syntax = "proto2"; message Test { required string device = 1; optional int64 sequence = 2;
  optional google.protobuf.Timestamp at = 3; repeated string tags = 4; optional Place place = 5;
  map<string, int32> labels = 6; optional google.protobuf.Duration took = 7; }
  message Place { optional double latitude = 1; required double longitude = 2; }`)

const good = (sequence: number): Uint8Array =>
  encode(reading, {
    device: `d${sequence}`,
    sequence,
    tags: ['a'],
    place: { longitude: sequence },
    labels: { k: sequence },
  })

const badValues: { name: string; value: Uint8Array; code: RecordFaultCode; reason: RegExp }[] = [
  { name: 'truncated', value: good(5).subarray(0, -1), code: 'TRUNCATED', reason: /^labels\.?/ },
  { name: 'bad UTF-8 in a late field', value: hex('0a0161 2201ff'), code: 'BAD_UTF8', reason: /^tags: .*at byte 5/ },
  { name: 'a required field missing', value: hex('1001'), code: 'MISSING_REQUIRED', reason: /required field device/ },
  {
    name: 'a nested required field missing',
    value: hex('0a0161 2a00'),
    code: 'MISSING_REQUIRED',
    reason: /^place: required field longitude is missing$/,
  },
  {
    name: 'a Timestamp out of range after columns were filled',
    value: encode(reading, { device: 'x', at: { seconds: 253_402_300_800 } }),
    code: 'OUT_OF_RANGE',
    reason: /^at: 253402300800 s since 1970 is outside the years 1 to 9999/,
  },
  {
    name: 'a Timestamp before the year 1',
    value: encode(reading, { device: 'x', at: { seconds: -62_135_596_801 } }),
    code: 'OUT_OF_RANGE',
    reason: /^at: -62135596801 s/,
  },
  {
    name: 'a Timestamp at the end of int64',
    value: encode(reading, { device: 'x', at: { seconds: '9223372036854775807' } }),
    code: 'OUT_OF_RANGE',
    reason: /^at: /,
  },
  {
    name: 'nanoseconds that make a second',
    value: encode(reading, { device: 'x', at: { nanos: 1_000_000_000 } }),
    code: 'OUT_OF_RANGE',
    reason: /^at: 1000000000 ns is outside/,
  },
  {
    name: 'a Duration beyond 10000 years',
    value: encode(reading, { device: 'x', took: { seconds: -315_576_000_001 } }),
    code: 'OUT_OF_RANGE',
    reason: /^took: /,
  },
  {
    name: 'a wrong wire type',
    value: hex('0801'),
    code: 'WIRE_TYPE',
    reason: /^device: field number 1 comes as a varint/,
  },
  {
    name: 'Confluent framing',
    value: hex('00 00000007 00 0a0161'),
    code: 'MALFORMED',
    reason: /Confluent framing, schema id 7/,
  },
]

for (const { name, value, code, reason } of badValues) {
  test(`a record with ${name} leaves its neighbours as they are`, () => {
    const decoder = decoderOf(reading, { metadata: ['offset'] })
    const decoded = decodeValues(decoder, [good(1), value, good(2), value, value, good(3)])
    const alone = decoder.decode([slabWithOffsets([good(1), good(2), good(3)], [100, 104, 110])], origin)
    assert.deepEqual(decoded.columns, alone.columns)
    assert.deepEqual([...decoded.offsets], [100, 104, 110])
    assert.equal(decoded.next, 111)
    assert.deepEqual(
      decoded.bad.map(({ slab, record, offset, code }) => ({ slab, record, offset, code })),
      [1, 3, 4].map((record) => ({ slab: 0, record, offset: 100 + record * 2, code })),
    )
    assert.match(decoded.bad[0]!.reason, reason)
  })
}

test('slabs of one lane follow each other, and a bad record tells its slab', () => {
  const decoder = decoderOf(reading)
  const slabs = [slabWithOffsets([good(1), hex('00')], [5, 6]), slabWithOffsets([hex('00'), good(2)], [9, 12])]
  const decoded = decoder.decode(slabs, origin)
  assert.deepEqual(
    decoded.bad.map(({ slab, record, offset }) => [slab, record, offset]),
    [
      [0, 1, 6],
      [1, 0, 9],
    ],
  )
  assert.deepEqual([[...decoded.offsets], decoded.next, decoded.recordCount], [[5, 12], 13, 4])
})

test('tombstones are skipped and counted', () => {
  const decoded = decodeValues(decoderOf(reading), [null, good(1), null])
  assert.deepEqual([decoded.rowCount, decoded.skipped, decoded.bad.length], [1, 2, 0])
  assert.deepEqual(decoded.skippedByReason, { tombstone: 2 })
  assert.equal(decoded.next, 105)
})

test('tombstones are dead letters on demand', () => {
  const decoded = decodeValues(decoderOf(reading, { tombstones: 'deadLetter' }), [null, good(1)])
  assert.deepEqual([decoded.rowCount, decoded.skipped], [1, 0])
  assert.deepEqual(decoded.bad, [
    { slab: 0, record: 0, offset: 100, code: 'TOMBSTONE', reason: 'the record has no value (a tombstone)' },
  ])
})

test('no records are no rows, and no offset', () => {
  const decoded = decoderOf(reading).decode([], origin)
  assert.deepEqual([decoded.rowCount, decoded.recordCount, decoded.next], [0, 0, -1])
  assert.equal(decoded.columns.length, 8)
})

test('metadata tells where a row comes from', () => {
  const decoder = decoderOf(typeFrom('message Test { int32 a = 1; }'), {
    metadata: ['topic', 'partition', 'offset', 'timestamp', 'key'],
  })
  const record = { value: hex('0801'), headers: noHeaders }
  const records = [
    { ...record, offset: 2 ** 40, timestamp: 1_700_000_000_123, key: Buffer.from('ff00', 'hex') },
    { ...record, offset: 2 ** 40 + 1, timestamp: -1, key: null },
    { ...record, offset: 2 ** 40 + 2, timestamp: 0, key: noHeaders },
    { ...record, offset: 2 ** 40 + 3, timestamp: -1500, key: noHeaders },
    { ...record, offset: 2 ** 40 + 4, timestamp: 253_402_300_800_000, key: noHeaders },
    { ...record, offset: 2 ** 40 + 5, timestamp: 253_402_300_799_999, key: noHeaders },
  ]
  const decoded = decoder.decode([new SlabView(packSlab(records))], origin)
  const row = { a: 1, _topic: 'readings', _partition: 7, _key: '' }
  assert.deepEqual(rowsOf(decoded, decoder.table), [
    { ...row, _offset: 2n ** 40n, _timestamp: 1_700_000_000_123_000n, _key: 'ff00' },
    { ...row, _offset: 2n ** 40n + 1n, _timestamp: null, _key: null },
    { ...row, _offset: 2n ** 40n + 2n, _timestamp: 0n },
    { ...row, _offset: 2n ** 40n + 3n, _timestamp: -1_500_000n },
    { ...row, _offset: 2n ** 40n + 5n, _timestamp: 253_402_300_799_999_000n },
  ])
  assert.match(decoded.bad[0]!.reason, /^_timestamp: 253402300800000 ms since 1970, the time of the Kafka record/)
})

test('columns outlive the slab they came from', () => {
  const decoder = decoderOf(typeFrom('message Test { bytes a = 1; string b = 2; }'))
  const slab = slabOf([hex(`0a40${'ab'.repeat(64)} 120161`)])
  const decoded = decoder.decode([slab], origin)
  slab.bytes.fill(0)
  assert.deepEqual(rowsOf(decoded, decoder.table), [{ a: 'ab'.repeat(64), b: 'a' }])
})

test('a route becomes a decoder with its table', async () => {
  const route = { format: 'protobuf', files: ['proto/telemetry.proto'], message: 'telemetry.v1.Reading' } as const
  const decoder = await createDecoder({ ...route, flattenDepth: 0 }, { name: 'readings', ...appendRules }, ['offset'])
  assert.equal(decoder.table.name, 'readings')
  assert.deepEqual(decoder.table.columns.slice(-2), [
    { name: 'location', type: 'json', nullable: true },
    { name: '_offset', type: 'int64', nullable: false },
  ])
})

function hex(text: string): Uint8Array {
  return Buffer.from(text.replaceAll(' ', ''), 'hex')
}

function slabWithOffsets(values: readonly Uint8Array[], offsets: readonly number[]): SlabView {
  const rest = { timestamp: -1, key: null, headers: noHeaders }
  return new SlabView(packSlab(values.map((value, index) => ({ ...rest, value, offset: offsets[index]! }))))
}
