import assert from 'node:assert/strict'
import test from 'node:test'
import { createCompiledDecoder } from '../../src/decode/decoder-compiler.ts'
import { createReferenceDecoder } from '../../src/decode/reference-decoder.ts'
import { planTable } from '../../src/decode/table-plan.ts'
import { type Cell, decodeValues, rowsOf, typeFrom } from './decoding.ts'
import { type OracleCell, SecondOracle } from './second-oracle.ts'

// What a feature of edition 2023 changes on the wire or in the row, one field a feature. The file's own default is delimited,
// so that it is seen not to reach into maps.
const type = typeFrom(`edition = "2023";
  option features.message_encoding = DELIMITED;
  enum Closed { option features.enum_type = CLOSED; ONE = 1; TWO = 2; }
  enum Open { ZERO = 0; }
  message Inner { int32 a = 1; }
  message Test {
    int32 explicit = 1;
    int32 implicit = 2 [features.field_presence = IMPLICIT];
    Inner group = 4;
    Inner prefixed = 5 [features.message_encoding = LENGTH_PREFIXED];
    repeated int32 packed = 6;
    repeated int32 expanded = 7 [features.repeated_field_encoding = EXPANDED];
    repeated Inner groups = 8;
    string loose = 9 [features.utf8_validation = NONE];
    oneof which { int32 number = 10; Inner arm = 11; }
    map<string, Inner> map = 12;
    Closed closed = 13;
    Open open = 14 [features.field_presence = IMPLICIT];
    extensions 121 to 122;
  }
  extend Test { Inner beside = 121; Inner prefixedBeside = 122 [features.message_encoding = LENGTH_PREFIXED]; }`)

const absent: Readonly<Record<string, Cell>> = {
  ...{ explicit: null, implicit: 0, group_a: null, prefixed_a: null, packed: '[]', expanded: '[]', groups: '[]' },
  ...{ loose: null, number: null, arm_a: null, map: '{}', closed: null, open: 'ZERO', beside_a: null },
  ...{ prefixedBeside_a: null },
}

interface Case {
  readonly name: string
  readonly hex: string
  /** What differs from a record without a field; or the code of the fault. */
  readonly expected: Readonly<Record<string, Cell>> | string
}

const cases: readonly Case[] = [
  { name: 'a record of no bytes', hex: '', expected: {} },
  { name: 'presence: a default is there where it is explicit', hex: '0800 1000', expected: { explicit: 0 } },
  { name: 'a delimited message', hex: '23 0863 24', expected: { group_a: 99 } },
  { name: 'a delimited message comes twice and merges', hex: '23 0863 24 23 24', expected: { group_a: 99 } },
  { name: 'a delimited message with a length', hex: '22 02 0863', expected: 'WIRE_TYPE' },
  { name: 'a delimited message without its end', hex: '23 0863', expected: 'TRUNCATED' },
  { name: 'a delimited message with the end of another', hex: '23 0863 2c', expected: 'MALFORMED' },
  { name: 'a message with a length', hex: '2a 02 0863', expected: { prefixed_a: 99 } },
  { name: 'a message with a length, as a group', hex: '2b 0863 2c', expected: 'WIRE_TYPE' },
  { name: 'packed as declared', hex: '32 02 0102', expected: { packed: '[1,2]' } },
  { name: 'packed, but one by one', hex: '3001 3002', expected: { packed: '[1,2]' } },
  { name: 'one by one as declared', hex: '3801 3802', expected: { expanded: '[1,2]' } },
  { name: 'one by one, but packed', hex: '3a 02 0102', expected: { expanded: '[1,2]' } },
  { name: 'a list of delimited messages', hex: '43 0801 44 43 44', expected: { groups: '[{"a":1},{}]' } },
  { name: 'a oneof: another arm after a delimited one', hex: '5b 0801 5c 5007', expected: { number: 7 } },
  { name: 'a oneof: a delimited arm last', hex: '5007 5b 0801 5c', expected: { arm_a: 1 } },
  {
    name: 'a map, whose entries and values are never delimited',
    hex: '62 07 0a 01 6b 12 02 0857',
    expected: { map: '{"k":{"a":87}}' },
  },
  { name: 'a closed enum', hex: '6802', expected: { closed: 'TWO' } },
  { name: 'a number that a closed enum does not declare is unknown', hex: '6802 6809', expected: { closed: 'TWO' } },
  { name: 'a number that an open enum does not declare is kept', hex: '7009', expected: { open: '9' } },
]

// Our own verdict where the standard takes the bytes: text that is none cannot be stored as text.
const stricter: readonly Case[] = [{ name: 'UTF-8 is asked for in any case', hex: '4a 01 ff', expected: 'BAD_UTF8' }]

const extensions: readonly Case[] = [
  { name: 'a delimited extension', hex: 'cb07 0863 cc07', expected: { beside_a: 99 } },
  { name: 'an extension with a length', hex: 'd207 02 0863', expected: { prefixedBeside_a: 99 } },
]

const plan = planTable(type)
for (const [way, create] of Object.entries({ compiled: createCompiledDecoder, reference: createReferenceDecoder })) {
  for (const { name, hex, expected } of [...cases, ...stricter, ...extensions]) {
    test(`${way}: ${name}`, () => {
      const decoder = create(plan, { tableName: 'test' })
      const decoded = decodeValues(decoder, [bytesOf(hex)])
      const verdict = decoded.bad[0]?.code ?? rowsOf(decoded, decoder.table)[0]
      assert.deepEqual(verdict, typeof expected === 'string' ? expected : { ...absent, ...expected })
    })
  }
}

for (const { name, hex, expected } of cases) {
  // What is a fault of wire types to us alone is an unknown field to the standard.
  if (expected === 'WIRE_TYPE') continue
  test(`@bufbuild/protobuf agrees: ${name}`, () => {
    const oracle = new SecondOracle(type, 'editions', {})
    const verdict = oracle.judge(bytesOf(hex))
    if (typeof expected === 'string') return assert.ok('refused' in verdict)
    assert.ok('row' in verdict, JSON.stringify(verdict))
    for (const [column, cell] of Object.entries({ ...absent, ...expected })) {
      const wanted: OracleCell | undefined = verdict.row[column]
      if (wanted === undefined) continue
      assert.ok(wanted !== 'unknown')
      assert.deepEqual('json' in wanted ? JSON.stringify(wanted.json) : wanted.cell, cell, column)
    }
  })
}

test('a field that edition 2023 requires as proto2 did is required', () => {
  const type = typeFrom(
    'edition = "2023"; message Test { int32 must = 1 [features.field_presence = LEGACY_REQUIRED]; }',
  )
  for (const create of [createCompiledDecoder, createReferenceDecoder]) {
    const decoder = create(planTable(type), { tableName: 'test' })
    const decoded = decodeValues(decoder, [bytesOf(''), bytesOf('0800')])
    assert.deepEqual(rowsOf(decoded, decoder.table), [{ must: 0 }])
    assert.equal(decoded.bad[0]?.code, 'MISSING_REQUIRED')
  }
})

function bytesOf(hex: string): Uint8Array {
  return Buffer.from(hex.replaceAll(' ', ''), 'hex')
}
