import assert from 'node:assert/strict'
import test from 'node:test'
import { planTable, type PlanOptions, tableSchema } from '../../src/decode/table-plan.ts'
import { SchemaError } from '../../src/errors.ts'
import { typeFrom } from './decoding.ts'

// Columns as `name type`, with `?` where the column is nullable.
const cases: { name: string; proto: string; options?: PlanOptions; columns: string[] }[] = [
  {
    name: 'scalars keep their kind, and are never absent in proto3',
    proto: `message Test { bool a = 1; int32 b = 2; sint32 c = 3; sfixed32 d = 4; uint32 e = 5; fixed32 f = 6; int64 g = 7;
      sint64 h = 8; sfixed64 i = 9; uint64 j = 10; fixed64 k = 11; float l = 12; double m = 13; string n = 14; bytes o = 15; }`,
    columns: [
      'a bool',
      'b int32',
      'c int32',
      'd int32',
      'e uint32',
      'f uint32',
      'g int64',
      'h int64',
      'i int64',
      'j uint64',
      'k uint64',
      'l float32',
      'm float64',
      'n string',
      'o bytes',
    ],
  },
  {
    name: 'columns come as declared, not by number, and keep their case',
    proto: 'message Test { int32 some_Thing = 9; int32 other = 2; }',
    columns: ['some_Thing int32', 'other int32'],
  },
  {
    name: 'optional fields and arms of a oneof are nullable',
    proto: 'message Test { optional int32 a = 1; oneof either { string b = 2; bool c = 3; } }',
    columns: ['a int32?', 'b string?', 'c bool?'],
  },
  {
    name: 'proto2 fields are nullable unless required, whatever their default',
    proto: `syntax = "proto2"; message Test { optional int32 a = 1 [default = 5]; required int32 b = 2;
      required Inner inner = 3; message Inner { required int32 c = 1; optional int32 d = 2; } }`,
    columns: ['a int32?', 'b int32', 'inner_c int32', 'inner_d int32?'],
  },
  {
    name: 'enums are names',
    proto: 'message Test { E a = 1; optional E b = 2; } enum E { ZERO = 0; }',
    columns: ['a string', 'b string?'],
  },
  {
    name: 'enums are numbers on demand',
    proto: 'message Test { E a = 1; } enum E { ZERO = 0; }',
    options: { enums: 'number' },
    columns: ['a int32'],
  },
  {
    name: 'well-known types have columns of their own',
    proto: `message Test { google.protobuf.Timestamp a = 1; google.protobuf.Duration b = 2; google.protobuf.Int64Value c = 3;
      google.protobuf.StringValue d = 4; google.protobuf.BoolValue e = 5; google.protobuf.FloatValue f = 6; }`,
    columns: ['a timestamp?', 'b duration?', 'c int64?', 'd string?', 'e bool?', 'f float32?'],
  },
  {
    name: 'those without a shape are json',
    proto: `message Test { google.protobuf.Struct a = 1; google.protobuf.Value b = 2; google.protobuf.ListValue c = 3;
      google.protobuf.Any d = 4; google.protobuf.FieldMask e = 5; google.protobuf.Empty f = 6; }`,
    columns: ['a json?', 'b json?', 'c json?', 'd json?', 'e json?', 'f json?'],
  },
  {
    name: 'repeated fields and maps are json, and never absent at the top',
    proto:
      'message Test { repeated int32 a = 1; map<string, Test2> b = 2; repeated Test2 c = 3; } message Test2 { int32 x = 1; }',
    columns: ['a json', 'b json', 'c json'],
  },
  {
    name: 'nested messages flatten, and all below is nullable',
    proto: `message Test { A a = 1; int32 z = 2; } message A { B b = 1; repeated int32 n = 2; }
      message B { C c = 1; int32 m = 2; } message C { int32 k = 1; D d = 2; } message D { int32 j = 1; }`,
    columns: ['a_b_c_k int32?', 'a_b_c_d json?', 'a_b_m int32?', 'a_n json?', 'z int32'],
  },
  {
    name: 'flattenDepth 0 keeps every message whole',
    proto: 'message Test { A a = 1; } message A { int32 b = 1; }',
    options: { flattenDepth: 0 },
    columns: ['a json?'],
  },
  {
    name: 'flattenDepth 1 opens one level',
    proto: 'message Test { A a = 1; } message A { B b = 1; } message B { int32 c = 1; }',
    options: { flattenDepth: 1 },
    columns: ['a_b json?'],
  },
  {
    name: 'messages that can hold themselves, directly or not, are json, and so are those without fields',
    proto: `message Test { A a = 1; Test b = 2; C c = 3; Nothing d = 4; } message A { map<string, B> b = 1; }
      message B { A a = 1; } message C { int32 x = 1; A a = 2; } message Nothing {}`,
    columns: ['a json?', 'b json?', 'c_x int32?', 'c_a json?', 'd json?'],
  },
  {
    name: 'metadata comes last, in the order asked for',
    proto: 'message Test { int32 a = 1; }',
    options: { metadata: ['key', 'topic', 'partition', 'offset', 'timestamp'] },
    columns: ['a int32', '_key bytes?', '_topic string', '_partition int32', '_offset int64', '_timestamp timestamp?'],
  },
  {
    name: 'metadata alone is a table too',
    proto: 'message Test {}',
    options: { metadata: ['offset'] },
    columns: ['_offset int64'],
  },
  {
    name: 'extensions have their full name',
    proto:
      'syntax = "proto2"; package p; message Test { extensions 100 to 200; } extend Test { optional int32 more = 100; }',
    columns: ['p_more int32?'],
  },
  {
    name: 'names of every object are names like any other',
    proto: 'message Test { int32 constructor = 1; optional string hasOwnProperty = 2; int32 toString = 3; }',
    columns: ['constructor int32', 'hasOwnProperty string?', 'toString int32'],
  },
]

for (const { name, proto, options, columns } of cases) {
  test(name, () => {
    const type = typeFrom(proto, proto.includes('package p;') ? 'p.Test' : 'Test')
    const schema = tableSchema(planTable(type, options), 'readings')
    const shown = schema.columns.map(({ name, type, nullable }) => `${name} ${type}${nullable ? '?' : ''}`)
    assert.deepEqual(shown, columns)
    assert.equal(schema.name, 'readings')
  })
}

const refused: { name: string; proto: string; options?: PlanOptions; reason: RegExp }[] = [
  {
    name: 'two fields that would be one column',
    proto: 'message Test { int32 a_b = 1; A a = 2; } message A { int32 b = 1; }',
    reason: /^field a_b and field a\.b would both be the column a_b: rename one/,
  },
  {
    name: 'a field in the place of a metadata column',
    proto: 'message Test { int32 _offset = 1; }',
    options: { metadata: ['offset'] },
    reason: /^field _offset and the metadata column _offset would both/,
  },
  { name: 'a table without columns', proto: 'message Test {}', reason: /Test has no fields/ },
  {
    name: 'more columns than a table can have',
    proto: `message Test { ${fields(20, 'A')} } message A { ${fields(20, 'B')} } message B { ${fields(20, 'int32')} }`,
    reason: /over 4096 columns, at field .*: lower flattenDepth/,
  },
  {
    name: 'an enum that does not begin with 0',
    proto: 'message Test { E a = 1; } enum E { ONE = 1; }',
    reason: /Test\.a: the first value of enum E must be 0/,
  },
]

for (const { name, proto, options, reason } of refused) {
  test(`refuses ${name}`, () => {
    assert.throws(
      () => planTable(typeFrom(proto), options),
      (error) => error instanceof SchemaError && reason.test(error.message),
    )
  })
}

function fields(count: number, type: string): string {
  return Array.from({ length: count }, (_, index) => `${type} f${index} = ${index + 1};`).join(' ')
}
