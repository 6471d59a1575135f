import assert from 'node:assert/strict'
import test from 'node:test'
import protobuf from 'protobufjs'
import { createCompiledDecoder } from '../../src/decode/decoder-compiler.ts'
import { createReferenceDecoder } from '../../src/decode/reference-decoder.ts'
import { planTable } from '../../src/decode/table-plan.ts'
import { decodeValues, encode, rowsOf, typeFrom } from './decoding.ts'

// What a column may hold instead of its plain form: nanoseconds for microseconds, lists for JSON.

const ways = { compiled: createCompiledDecoder, reference: createReferenceDecoder }

for (const [way, create] of Object.entries(ways)) {
  test(`${way}: lists of plain values are lists, of the type of one`, () => {
    const type = typeFrom(`
      enum E { ZERO = 0; ONE = 1; }
      message M { repeated sint64 wide = 1; repeated int32 none = 2; }
      message Test {
        repeated int32 number = 1; repeated double real = 2; repeated bool flag = 3; repeated string text = 4;
        repeated bytes raw = 5; repeated E kind = 6; M m = 7; repeated M many = 8; map<string, int32> map = 9;
        repeated google.protobuf.NullValue nothing = 10;
      }`)
    const plan = planTable(type, { lists: 'native' })
    assert.deepEqual(
      plan.columns.map(({ name, type }) => `${name}: ${type}`),
      [
        'number: int32[]',
        'real: float64[]',
        'flag: bool[]',
        'text: string[]',
        'raw: bytes[]',
        'kind: string[]',
        'm_wide: int64[]',
        'm_none: int32[]',
        'many: json',
        'map: json',
        'nothing: json',
      ],
    )
    const full = {
      number: [1, -1, 0],
      real: [0.5, NaN],
      flag: [true, false],
      text: ['', 'é'],
      raw: [Buffer.of(255)],
      kind: [1, 0, 9],
      m: { wide: ['-9223372036854775808'] },
    }
    const bad = Buffer.concat([encode(type, full), Buffer.of(0xff)])
    const decoder = create(plan, { tableName: 'test' })
    const decoded = decodeValues(decoder, [encode(type, full), bad, new Uint8Array(0), encode(type, full)])
    assert.deepEqual(
      decoded.bad.map(({ record }) => record),
      [1],
    )
    const row = {
      ...{ number: [1, -1, 0], real: [0.5, NaN], flag: [true, false], text: ['', 'é'], raw: ['ff'] },
      ...{ kind: ['ONE', 'ZERO', '9'], m_wide: [-(2n ** 63n)], m_none: [], many: '[]', map: '{}', nothing: '[]' },
    }
    const empty = {
      ...{ number: [], real: [], flag: [], text: [], raw: [], kind: [], m_wide: null, m_none: null },
      ...{ many: '[]', map: '{}', nothing: '[]' },
    }
    assert.deepEqual(rowsOf(decoded, decoder.table), [row, empty, row])
  })

  test(`${way}: numbers of enums, in lists`, () => {
    const type = typeFrom('enum E { ZERO = 0; ONE = 1; } message Test { repeated E kind = 1; }')
    const decoder = create(planTable(type, { lists: 'native', enums: 'number' }), { tableName: 'test' })
    const decoded = decodeValues(decoder, [encode(type, { kind: [1, 9, -1] })])
    assert.deepEqual(rowsOf(decoded, decoder.table), [{ kind: [1, 9, -1] }])
  })

  const times: readonly { seconds: bigint; nanos: number; value: bigint | undefined }[] = [
    { seconds: 0n, nanos: 0, value: 0n },
    { seconds: 0n, nanos: 1, value: 1n },
    { seconds: -1n, nanos: 999_999_999, value: -1n },
    { seconds: 1_700_000_000n, nanos: 123_456_789, value: 1_700_000_000_123_456_789n },
    { seconds: -1_700_000_000n, nanos: 123_456_789, value: -1_699_999_999_876_543_211n },
    { seconds: 9_223_372_036n, nanos: 854_775_807, value: 2n ** 63n - 1n },
    { seconds: 9_223_372_036n, nanos: 854_775_808, value: undefined },
    { seconds: -9_223_372_037n, nanos: 145_224_192, value: -(2n ** 63n) },
    { seconds: -9_223_372_037n, nanos: 145_224_191, value: undefined },
    { seconds: 9_223_372_037n, nanos: 0, value: undefined },
    { seconds: 253_402_300_799n, nanos: 0, value: undefined },
    { seconds: -62_135_596_800n, nanos: 0, value: undefined },
  ]

  for (const { seconds, nanos, value } of times) {
    test(`${way}: ${seconds} s and ${nanos} ns ${value === undefined ? 'are too far for' : 'fit'} 64 bits of nanoseconds`, () => {
      const type = typeFrom('message Test { google.protobuf.Timestamp at = 1; optional int32 other = 2; }')
      const decoder = create(planTable(type, { timestamps: 'nanos' }), { tableName: 'test' })
      assert.deepEqual(decoder.table.columns[0], { name: 'at', type: 'timestampNanos', nullable: true })
      const at = protobuf.Writer.create().uint32(8).int64(String(seconds)).uint32(16).int32(nanos)
      const record = protobuf.Writer.create().uint32(10).bytes(at.finish()).finish()
      const decoded = decodeValues(decoder, [record, new Uint8Array(0)])
      const rows = rowsOf(decoded, decoder.table)
      assert.deepEqual(rows.at(-1), { at: null, other: null })
      if (value !== undefined) return assert.deepEqual(rows[0], { at: value, other: null })
      assert.equal(decoded.bad[0]?.code, 'OUT_OF_RANGE')
      assert.match(decoded.bad[0].reason, /^at: a time in the year \d+ is outside .* decode\.timestamps: micros/)
    })
  }
}
