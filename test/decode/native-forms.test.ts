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

  test(`${way}: items come packed, one by one and in several messages, and stay in their order`, () => {
    const type = typeFrom(`
      message M { repeated int32 number = 1; repeated string text = 2; }
      message Test { repeated sint32 number = 1; repeated fixed64 wide = 2 [packed = false]; M m = 3; oneof one { M a = 4; M b = 5; } }`)
    const decoder = create(planTable(type, { lists: 'native' }), { tableName: 'test' })
    const record = Buffer.from(
      [
        ...['0a020204', '0806', '0a0108', '0a00'], // numbers: 1 and 2 packed, 3 alone, 4 packed, none packed
        ...['110100000000000000', '121002000000000000000300000000000000'], // wide: 1 alone, 2 and 3 packed
        ...['1a0708071201781200', '1a020808', '1a030a0109'], // m: in three messages
        ...['22020801', '2a020802', '22020803'], // a with 1, b with 2, a with 3: what a had before b came is gone
      ].join(''),
      'hex',
    )
    const decoded = decodeValues(decoder, [record, new Uint8Array(0), record])
    const row = {
      ...{ number: [1, 2, 3, 4], wide: [1n, 2n, 3n], m_number: [7, 8, 9], m_text: ['x', ''] },
      ...{ a_number: [3], a_text: [], b_number: null, b_text: null },
    }
    const none = { a_number: null, a_text: null, b_number: null, b_text: null }
    const empty = { number: [], wide: [], m_number: null, m_text: null, ...none }
    assert.deepEqual(rowsOf(decoded, decoder.table), [row, empty, row])
  })

  const badLists: readonly { readonly what: string; readonly hex: string; readonly code: string }[] = [
    { what: 'a text that is no UTF-8', hex: '0a01780a01ff', code: 'BAD_UTF8' },
    { what: 'packed reals that end within one', hex: '120900000000000000000000', code: 'MALFORMED' },
    { what: 'packed numbers of which the last is cut off', hex: '1a020180', code: 'TRUNCATED' },
    { what: 'a packed number of more than 32 bits', hex: '1a06ffffffff1f01', code: 'OUT_OF_RANGE' },
    { what: 'a number as text', hex: '2a0131', code: 'WIRE_TYPE' },
  ]
  for (const { what, hex, code } of badLists) {
    test(`${way}: ${what} in a list is a bad record, and leaves no item behind`, () => {
      const type = typeFrom(
        'message Test { repeated string text = 1; repeated double real = 2; repeated int32 number = 3; M m = 4; int32 i = 5; } message M { }',
      )
      const decoder = create(planTable(type, { lists: 'native', columns: ['text', 'real', 'number', 'i'] }), {
        tableName: 'test',
      })
      const good = encode(type, { text: ['a'], real: [1], number: [1, 2], i: 3 })
      const bad = Buffer.concat([good, Buffer.from(hex, 'hex')])
      const decoded = decodeValues(decoder, [good, bad, good])
      assert.deepEqual(
        decoded.bad.map((each) => each.code),
        [code],
      )
      const row = { text: ['a'], real: [1], number: [1, 2], i: 3 }
      assert.deepEqual(rowsOf(decoded, decoder.table), [row, row])
    })
  }

  test(`${way}: a number that a closed enum does not know is no item`, () => {
    const type = typeFrom(
      'syntax = "proto2"; enum E { ONE = 1; TWO = 2; } message Test { repeated E kind = 1; repeated E other = 2 [packed = true]; }',
    )
    const decoder = create(planTable(type, { lists: 'native' }), { tableName: 'test' })
    const decoded = decodeValues(decoder, [Buffer.from('080108090802' + '1203020901', 'hex')])
    assert.deepEqual(rowsOf(decoded, decoder.table), [{ kind: ['ONE', 'TWO'], other: ['TWO', 'ONE'] }])
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
