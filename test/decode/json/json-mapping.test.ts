import assert from 'node:assert/strict'
import test from 'node:test'
import { createCompiledDecoder } from '../../../src/decode/decoder-compiler.ts'
import type { RecordFaultCode } from '../../../src/decode/record-fault.ts'
import { createReferenceDecoder } from '../../../src/decode/reference-decoder.ts'
import { type EnumForm, planTable } from '../../../src/decode/table-plan.ts'
import { decoderOf, decodeValues, encode, rowOf, typeFrom } from '../decoding.ts'

const type = typeFrom(`
  message Test { repeated All all = 1; map<int64, sint32> by_long = 2; map<bool, E> by_flag = 3; map<string, bytes> by_text = 4;
    google.protobuf.Value value = 5; google.protobuf.Struct struct = 6; google.protobuf.ListValue list = 7;
    google.protobuf.Any any = 8; google.protobuf.FieldMask mask = 9; google.protobuf.Empty empty = 10; repeated double reals = 11;
    repeated google.protobuf.Timestamp times = 12; repeated google.protobuf.Duration durations = 13;
    repeated google.protobuf.NullValue nulls = 14; repeated google.protobuf.Int64Value wrapped = 15;
    map<uint64, All> by_unsigned = 16; map<string, google.protobuf.Timestamp> time_by_name = 17; }
  message All { int64 int64_field = 1; bytes raw = 2; E kind = 3; optional int32 zero = 4; string text = 5 [json_name = "TEXT"];
    All inner = 6; uint64 big = 7; float small = 8; bool flag = 9; google.protobuf.Timestamp at = 10; oneof arm { string left = 11;
    int32 right = 12; } repeated int32 many = 13; map<string, int32> map = 14; double real = 15; }
  enum E { option allow_alias = true; ZERO = 0; ONE = 1; UNO = 1; }`)

// What the column `column` of a record with the field `message` set holds.
const cases: { name: string; column: string; message: object; json: string; enums?: EnumForm }[] = [
  { name: 'an empty list', column: 'all', message: {}, json: '[]' },
  { name: 'an empty map', column: 'by_text', message: {}, json: '{}' },
  {
    name: 'defaults left out, except where absence can be told',
    column: 'all',
    message: { all: [{ int64_field: 0, text: '', zero: 0, many: [], map: {}, right: 0 }, {}] },
    json: '[{"zero":0,"right":0},{}]',
  },
  {
    name: 'names in lowerCamelCase or as json_name says, in the order of declaration',
    column: 'all',
    message: { all: [{ text: 'a', int64_field: '-9223372036854775808', flag: true }] },
    json: '[{"int64Field":"-9223372036854775808","TEXT":"a","flag":true}]',
  },
  {
    name: 'numbers exactly',
    column: 'all',
    message: { all: [{ big: '18446744073709551615', small: Math.fround(0.1), real: 5e-324 }] },
    json: '[{"big":"18446744073709551615","small":0.10000000149011612,"real":5e-324}]',
  },
  {
    name: 'minus zero, NaN and infinities',
    column: 'reals',
    message: { reals: [-0, 0, NaN, Infinity, -Infinity, 1e21] },
    json: '[-0,0,"NaN","Infinity","-Infinity",1e+21]',
  },
  { name: 'minus zero as a field', column: 'all', message: { all: [{ real: -0 }] }, json: '[{"real":-0}]' },
  {
    name: 'bytes in base64',
    column: 'all',
    message: { all: [{ raw: Buffer.from('fbff', 'hex') }] },
    json: '[{"raw":"+/8="}]',
  },
  {
    name: 'enums by their first name, unknown ones by number',
    column: 'all',
    message: { all: [{ kind: 1 }, { kind: 7 }, { kind: -1 }] },
    json: '[{"kind":"ONE"},{"kind":7},{"kind":-1}]',
  },
  {
    name: 'enums by number on demand',
    column: 'all',
    message: { all: [{ kind: 1 }] },
    json: '[{"kind":1}]',
    enums: 'number',
  },
  {
    name: 'text of any kind',
    column: 'all',
    message: { all: [{ text: '"\\\u0000\n\u2028🚀\ufeff' }] },
    json: '[{"TEXT":"\\"\\\\\\u0000\\n\u2028🚀\ufeff"}]',
  },
  {
    name: 'messages in messages',
    column: 'all',
    message: { all: [{ inner: { inner: {} } }] },
    json: '[{"inner":{"inner":{}}}]',
  },
  {
    name: 'keys of 64 bits, sorted as text',
    column: 'by_long',
    message: { by_long: { '\xff\xff\xff\xff\xff\xff\xff\xff': 1, '\x0a\0\0\0\0\0\0\0': 2, '\x09\0\0\0\0\0\0\0': 3 } },
    json: '{"-1":1,"10":2,"9":3}',
  },
  {
    name: 'unsigned keys of 64 bits',
    column: 'by_unsigned',
    message: { by_unsigned: { '\xff\xff\xff\xff\xff\xff\xff\xff': { right: 1 } } },
    json: '{"18446744073709551615":{"right":1}}',
  },
  {
    name: 'keys that are flags',
    column: 'by_flag',
    message: { by_flag: { true: 1, false: 0 } },
    json: '{"false":"ZERO","true":"ONE"}',
  },
  {
    name: 'a Struct',
    column: 'struct',
    message: { struct: { fields: { b: { numberValue: -0 }, a: { nullValue: 0 }, c: { listValue: { values: [] } } } } },
    json: '{"a":null,"b":-0,"c":[]}',
  },
  {
    name: 'a Value',
    column: 'value',
    message: {
      value: { structValue: { fields: { x: { listValue: { values: [{ boolValue: false }, { stringValue: '' }] } } } } },
    },
    json: '{"x":[false,""]}',
  },
  { name: 'a ListValue', column: 'list', message: { list: { values: [{ numberValue: 1.5 }] } }, json: '[1.5]' },
  { name: 'Empty', column: 'empty', message: { empty: {} }, json: '{}' },
  { name: 'a FieldMask', column: 'mask', message: { mask: { paths: ['foo_bar.baz', 'a'] } }, json: '"fooBar.baz,a"' },
  { name: 'an empty FieldMask', column: 'mask', message: { mask: {} }, json: '""' },
  { name: 'nulls', column: 'nulls', message: { nulls: [0, 0] }, json: '[null,null]' },
  { name: 'wrappers', column: 'wrapped', message: { wrapped: [{ value: 5 }, {}] }, json: '["5","0"]' },
  {
    name: 'Timestamps with 0, 3, 6 and 9 digits, in all years',
    column: 'times',
    message: {
      times: [
        {},
        { seconds: 1, nanos: 500_000_000 },
        { seconds: 1, nanos: 1_000 },
        { seconds: 1, nanos: 1 },
        { seconds: -62_135_596_800 },
        { seconds: 253_402_300_799, nanos: 999_999_999 },
      ],
    },
    json:
      '["1970-01-01T00:00:00Z","1970-01-01T00:00:01.500Z","1970-01-01T00:00:01.000001Z","1970-01-01T00:00:01.000000001Z",' +
      '"0001-01-01T00:00:00Z","9999-12-31T23:59:59.999999999Z"]',
  },
  {
    name: 'Durations',
    column: 'durations',
    message: { durations: [{}, { nanos: -500_000_000 }, { seconds: -1, nanos: -1 }, { seconds: 315_576_000_000 }] },
    json: '["0s","-0.500s","-1.000000001s","315576000000s"]',
  },
  {
    name: 'Any of a type that is loaded',
    column: 'any',
    message: { any: { type_url: 'type.googleapis.com/All', value: Buffer.from('08054801', 'hex') } },
    json: '{"@type":"type.googleapis.com/All","int64Field":"5","flag":true}',
  },
  {
    name: 'Any of a well-known type',
    column: 'any',
    message: { any: { type_url: 'x/google.protobuf.Duration', value: Buffer.from('0803', 'hex') } },
    json: '{"@type":"x/google.protobuf.Duration","value":"3s"}',
  },
  {
    name: 'Any of an unknown type, with nothing lost',
    column: 'any',
    message: { any: { type_url: 'x/not.Loaded', value: Buffer.from('ff', 'hex') } },
    json: '{"@type":"x/not.Loaded","value":"/w=="}',
  },
  { name: 'Any of nothing', column: 'any', message: { any: {} }, json: '{}' },
]

const ways = { reference: createReferenceDecoder, compiled: createCompiledDecoder }

for (const { name, column, message, json, enums = 'name' } of cases) {
  for (const [way, create] of Object.entries(ways)) {
    test(`writes ${name}, ${way}`, () => {
      const bytes = encode(type, message)
      assert.equal(rowOf(create(planTable(type, { enums }), { tableName: 'test' }), bytes)[column], json)
      JSON.parse(json)
    })
  }
}

test('keys that every object has are keys like any other, and pollute nothing', () => {
  // by_text {"__proto__": "a", "constructor": "b"}
  const bytes = entries(
    '22',
    [hexText('__proto__'), hexText('constructor')].map((key) => `0a${key}120161`),
  )
  assert.equal(rowOf(decoderOf(type), bytes)['by_text'], '{"__proto__":"YQ==","constructor":"YQ=="}')
  assert.equal(({} as Record<string, unknown>)['a'], undefined)
})

test('an entry without its key or value has their defaults, and the last of equal keys counts', () => {
  const bytes = Buffer.concat([entries('12', ['', '08051002', '08051004']), entries('22', ['', '0a0161'])])
  const row = rowOf(decoderOf(type), bytes)
  assert.equal(row['by_long'], '{"0":0,"5":2}')
  assert.equal(row['by_text'], '{"":"","a":""}')
})

test('a message that comes in two parts is merged', () => {
  // struct twice: {"a": 1.5} and {"b": null}
  const bytes = entries('32', ['0a0e0a0161120911000000000000f83f', '0a070a016212020800'])
  assert.equal(rowOf(decoderOf(type), bytes)['struct'], '{"a":1.5,"b":null}')
})

const refused: { name: string; message: object; code: RecordFaultCode; reason: RegExp }[] = [
  {
    name: 'a Timestamp after the year 9999',
    message: { all: [{ at: { seconds: 253_402_300_800 } }] },
    code: 'OUT_OF_RANGE',
    reason: /^all\.at: 253402300800 s since 1970 is outside/,
  },
  {
    name: 'a Timestamp with negative nanoseconds',
    message: { times: [{ nanos: -1 }] },
    code: 'OUT_OF_RANGE',
    reason: /^times: -1 ns is outside/,
  },
  {
    name: 'a Duration of two signs',
    message: { durations: [{ seconds: 1, nanos: -1 }] },
    code: 'OUT_OF_RANGE',
    reason: /^durations: .*differs in sign/,
  },
  { name: 'NaN in a Value', message: { value: { numberValue: NaN } }, code: 'NOT_JSON', reason: /^value: NaN in a/ },
  { name: 'a Value of no kind', message: { value: {} }, code: 'NOT_JSON', reason: /^value: .*no kind/ },
  {
    name: 'a mask that is no field name',
    message: { mask: { paths: ['fooBar'] } },
    code: 'NOT_JSON',
    reason: /^mask: /,
  },
  {
    name: 'broken bytes in Any',
    message: { any: { type_url: 'x/All', value: Buffer.from('5201', 'hex') } },
    code: 'TRUNCATED',
    reason: /^any\.value\.at: 1 bytes expected/,
  },
  {
    name: 'Any in Any without end',
    message: { any: nestedAny(200) },
    code: 'TOO_DEEP',
    reason: /^any: .*deeper than 100/,
  },
]

for (const { name, message, code, reason } of refused) {
  test(`refuses ${name}`, () => {
    const decoder = decoderOf(type)
    const good = type
      .encode(type.fromObject({ any: { type_url: 'x/All', value: Buffer.from('0805', 'hex') } }))
      .finish()
    const decoded = decodeValues(decoder, [type.encode(type.fromObject(message)).finish(), good])
    assert.deepEqual([decoded.bad[0]?.code, decoded.rowCount], [code, 1], decoded.bad[0]?.reason)
    assert.match(decoded.bad[0]!.reason, reason)
  })
}

test('refuses JSON text that no sink would take', () => {
  // Each NUL is six characters in JSON: 12 Mi of them are beyond the 64 Mi that are allowed.
  const texts = typeFrom('message Test { repeated string all = 1; }')
  const bytes = encode(texts, { all: ['\0'.repeat(12 * 2 ** 20)] })
  const decoded = decodeValues(decoderOf(texts), [bytes, encode(texts, { all: ['a'] })])
  assert.deepEqual([decoded.bad[0]?.code, decoded.rowCount], ['TOO_LARGE', 1])
})

test('refuses a type with two fields of one JSON name', () => {
  const twice = typeFrom('message Test { repeated A a = 1; } message A { int32 foo_bar = 1; int32 fooBar = 2; }')
  assert.throws(() => decoderOf(twice), /A: foo_bar and fooBar are both "fooBar" in JSON/)
})

function hexText(text: string): string {
  return text.length.toString(16).padStart(2, '0') + Buffer.from(text).toString('hex')
}

/** Length-delimited fields of one tag, each with a body in hex. */
function entries(tag: string, bodies: readonly string[]): Uint8Array {
  return Buffer.from(bodies.map((body) => tag + (body.length / 2).toString(16).padStart(2, '0') + body).join(''), 'hex')
}

function nestedAny(levels: number): object {
  const any = type.root.lookupType('google.protobuf.Any')
  let inner: { type_url: string; value: Uint8Array } = { type_url: 'x/All', value: new Uint8Array(0) }
  for (let level = 0; level < levels; level++) {
    inner = { type_url: 'x/google.protobuf.Any', value: any.encode(any.create(inner)).finish() }
  }
  return inner
}
