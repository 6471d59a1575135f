import assert from 'node:assert/strict'
import test from 'node:test'
import { createCompiledDecoder } from '../../src/decode/decoder-compiler.ts'
import { createReferenceDecoder } from '../../src/decode/reference-decoder.ts'
import { planTable } from '../../src/decode/table-plan.ts'
import { type Cell, decodeValues, rowsOf, typeFrom } from './decoding.ts'
import { SecondOracle } from './second-oracle.ts'

const type = typeFrom(`syntax = "proto2";
  message Test {
    optional Pair flat = 1; repeated Pair list = 2; oneof which { Pair one = 3; int32 other = 4; }
    optional Deep deep = 5; map<string, Pair> pairs = 6;
  }
  message Pair { required int32 a = 1; required int32 b = 2; }
  message Deep { optional Deep inner = 1; optional Pair pair = 2; }`)

// `row` has the columns that hold something; `reason` is there where the record is bad.
const cases: { name: string; hex: string; row?: Record<string, Cell>; reason?: string }[] = [
  { name: 'a message that comes whole', hex: '0a04 0801 1002', row: { flat_a: 1, flat_b: 2 } },
  { name: 'a message in parts that have it all together', hex: '0a02 0801 0a02 1002', row: { flat_a: 1, flat_b: 2 } },
  { name: 'a message in parts that lack it', hex: '0a02 0801 0a02 0802', reason: 'flat: required field b is missing' },
  { name: 'a message of no bytes', hex: '0a00', reason: 'flat: required field a is missing' },
  { name: 'two messages of a list', hex: '1202 0801 1202 1002', reason: 'list: required field b is missing' },
  { name: 'JSON in parts', hex: '2a04 1202 0801 2a04 1202 1002', row: { deep: '{"pair":{"a":1,"b":2}}' } },
  { name: 'JSON deep within', hex: '2a06 0a04 1202 0801', reason: 'deep.inner.pair: required field b is missing' },
  { name: 'an arm of a oneof that another replaced', hex: '1a02 0801 2005', row: { other: 5 } },
  { name: 'an arm that began anew', hex: '1a02 0801 2005 1a02 1002', reason: 'one: required field a is missing' },
  { name: 'the value of an entry', hex: '3207 0a016b 1202 0801', reason: 'pairs: required field b is missing' },
  {
    name: 'the value of an entry that another replaced',
    hex: '3207 0a016b 1202 0801 3209 0a016b 1204 0801 1002',
    row: { pairs: '{"k":{"a":1,"b":2}}' },
  },
]

const nothing = {
  flat_a: null,
  flat_b: null,
  list: '[]',
  one_a: null,
  one_b: null,
  other: null,
  deep: null,
  pairs: '{}',
}

for (const { name, hex, row, reason } of cases) {
  const bytes = Buffer.from(hex.replaceAll(' ', ''), 'hex')

  test(`required fields are asked for when all was read: ${name}`, () => {
    for (const create of [createCompiledDecoder, createReferenceDecoder]) {
      const decoder = create(planTable(type), { tableName: 'test' })
      const decoded = decodeValues(decoder, [bytes])
      assert.equal(decoded.bad[0]?.reason, reason)
      if (row === undefined) assert.equal(decoded.bad[0]?.code, 'MISSING_REQUIRED')
      else assert.deepEqual(rowsOf(decoded, decoder.table), [{ ...nothing, ...row }])
    }
  })

  test(`@bufbuild/protobuf agrees: ${name}`, () => {
    const verdict = new SecondOracle(type, 'proto2', {}).judge(bytes)
    assert.equal('refused' in verdict, reason !== undefined)
  })
}
