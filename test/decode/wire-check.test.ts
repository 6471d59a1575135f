import assert from 'node:assert/strict'
import test from 'node:test'
import type { RecordFault, RecordFaultCode } from '../../src/decode/record-fault.ts'
import { WireCheck } from '../../src/decode/wire-check.ts'
import { WireShapes } from '../../src/decode/wire-shape.ts'
import { typeFrom } from './decoding.ts'

const type = typeFrom(`
  message Test {
    int32 small = 1; uint32 natural = 2; sint32 zigzag = 3; int64 wide = 4; bool flag = 5; double real = 6;
    fixed32 four = 7; string text = 8; bytes raw = 9; repeated int32 many = 10; Test inner = 11;
    map<string, int32> labels = 12; E kind = 13; repeated double reals = 14; string far = 1000;
  }
  enum E { ZERO = 0; }`)

// Bytes in hex; `code` and `reason` are absent where the record is good.
const cases: { name: string; hex: string; code?: RecordFaultCode; reason?: RegExp }[] = [
  { name: 'no bytes', hex: '' },
  { name: 'an unknown field of each wire type', hex: 'a00601 a1060102030405060708 a20600 a50601020304 a30608 01a406' },
  { name: 'a number above 255', hex: 'c23e 01 61' },
  { name: 'packed', hex: '52 03 01 8001' },
  { name: 'unpacked', hex: '50 01 50 8001' },
  { name: 'a negative int32 in ten bytes', hex: '08 ffffffffffffffffff01' },
  { name: 'the smallest int32', hex: '08 80808080f8ffffffff01' },
  { name: 'an int32 in more bytes than it needs', hex: '08 81808080808080808000' },
  { name: 'the largest uint32', hex: '10 ffffffff0f' },
  { name: 'the largest uint64', hex: '20 ffffffffffffffffff01' },
  { name: 'a length in more bytes than it needs', hex: '42 8100 61' },
  { name: 'valid UTF-8 of four bytes', hex: '42 04 f09f9a80' },
  { name: 'a map entry of no bytes', hex: '62 00' },
  { name: 'a tag cut off', hex: '80', code: 'TRUNCATED', reason: /^a varint is cut off \(at byte 0\)/ },
  { name: 'a varint cut off', hex: '08 80', code: 'TRUNCATED', reason: /^small: a varint is cut off \(at byte 1\)/ },
  { name: 'nothing after a tag', hex: '08', code: 'TRUNCATED', reason: /^small: / },
  { name: 'a double cut off', hex: '31 010203', code: 'TRUNCATED', reason: /^real: 8 bytes expected, 3 are left/ },
  { name: 'a string cut off', hex: '42 05 6162', code: 'TRUNCATED', reason: /^text: 5 bytes expected, 2 are left/ },
  { name: 'a message cut off', hex: '5a 05 0801', code: 'TRUNCATED', reason: /^inner: 5 bytes expected, 2 are left/ },
  { name: 'packed cut off', hex: '52 05 01', code: 'TRUNCATED', reason: /^many: 5 bytes expected, 1 are left/ },
  { name: 'packed doubles not a multiple of 8', hex: '72 02 0102', code: 'TRUNCATED', reason: /^reals: / },
  { name: 'a field that overruns its message', hex: '5a 03 420561 0801', code: 'MALFORMED', reason: /^inner\.text: / },
  {
    name: 'a varint across the end of its message',
    hex: '5a 02 0880 0801',
    code: 'MALFORMED',
    reason: /^inner\.small: /,
  },
  { name: 'field number 0', hex: '00', code: 'MALFORMED', reason: /field number 0/ },
  { name: 'field number 0 in an unknown group', hex: 'a306 00', code: 'MALFORMED', reason: /field number 0/ },
  { name: 'wire type 6', hex: 'a606', code: 'MALFORMED', reason: /wire type 6/ },
  { name: 'wire type 7 of a declared field', hex: '0f', code: 'MALFORMED', reason: /^small: wire type 7/ },
  { name: 'the end of a group that never began', hex: 'a406', code: 'MALFORMED', reason: /never began/ },
  { name: 'a group that ends as another', hex: 'a306 ac06', code: 'MALFORMED', reason: /never began/ },
  { name: 'a group without an end', hex: 'a306 0801', code: 'TRUNCATED', reason: /group 100 has no end/ },
  { name: 'a varint of 11 bytes', hex: '20 8080808080808080808001', code: 'MALFORMED', reason: /longer than 10 bytes/ },
  { name: 'a varint of 65 bits', hex: '20 ffffffffffffffffff03', code: 'MALFORMED', reason: /more than 64 bits/ },
  { name: 'a tag of more than 32 bits', hex: '8880808010 01', code: 'MALFORMED', reason: /more than 32 bits/ },
  { name: 'a length of six bytes', hex: '42 818080808000 61', code: 'MALFORMED', reason: /more than 32 bits/ },
  { name: '2^31 in an int32', hex: '08 8080808008', code: 'OUT_OF_RANGE', reason: /^small: 2147483648 does not fit/ },
  { name: '-1 as five bytes in an int32', hex: '08 ffffffff0f', code: 'OUT_OF_RANGE', reason: /4294967295 does not/ },
  { name: '2^32 in a uint32', hex: '10 8080808010', code: 'OUT_OF_RANGE', reason: /^natural: 4294967296 does not/ },
  { name: '-1 in a uint32', hex: '10 ffffffffffffffffff01', code: 'OUT_OF_RANGE', reason: /^natural: / },
  { name: '2^32 in a sint32', hex: '18 8080808010', code: 'OUT_OF_RANGE', reason: /^zigzag: / },
  { name: '2^31 in an enum', hex: '68 8080808008', code: 'OUT_OF_RANGE', reason: /^kind: / },
  { name: '2^31 among packed', hex: '52 06 01 8080808008', code: 'OUT_OF_RANGE', reason: /^many: / },
  {
    name: 'a string where an int32 is declared',
    hex: '0a 01 61',
    code: 'WIRE_TYPE',
    reason: /^small: field number 1 comes/,
  },
  { name: 'a varint where a string is declared', hex: '40 01', code: 'WIRE_TYPE', reason: /^text: .*another schema/ },
  { name: 'a varint in a map key', hex: '62 02 0801', code: 'WIRE_TYPE', reason: /^labels\.key: / },
  { name: 'a string in a map value', hex: '62 03 120161', code: 'WIRE_TYPE', reason: /^labels\.value: / },
  { name: 'packed where one is declared', hex: '22 01 01', code: 'WIRE_TYPE', reason: /^wide: / },
  { name: 'bad UTF-8', hex: '42 03 61ff62', code: 'BAD_UTF8', reason: /^text: .* \(at byte 2\)/ },
  { name: 'a surrogate in UTF-8', hex: '42 03 eda080', code: 'BAD_UTF8', reason: /^text: / },
  { name: 'an overlong encoding in UTF-8', hex: '42 02 c080', code: 'BAD_UTF8', reason: /^text: / },
  { name: 'bad UTF-8 in a map key', hex: '62 03 0a01ff', code: 'BAD_UTF8', reason: /^labels\.key: / },
]

for (const { name, hex, code, reason = /^$/ } of cases) {
  test(`${code === undefined ? 'takes' : `refuses (${code})`} ${name}`, () => {
    const fault = faultOf(Buffer.from(hex.replaceAll(' ', ''), 'hex'))
    assert.equal(fault?.code, code, fault?.reason)
    assert.match(fault?.reason ?? '', reason)
  })
}

// 100 levels below the root are allowed, as in protobuf's own libraries.
for (const { kind, nest } of [
  { kind: 'messages', nest: nestedMessages },
  { kind: 'unknown groups', nest: nestedGroups },
]) {
  test(`takes 100 levels of ${kind} and refuses 101`, () => {
    assert.equal(faultOf(nest(100))?.reason, undefined)
    assert.equal(faultOf(nest(101))?.code, 'TOO_DEEP')
  })

  test(`refuses 20000 levels of ${kind} without running out of stack`, () => {
    assert.equal(faultOf(nest(20_000))?.code, 'TOO_DEEP')
  })
}

test('refuses a group that only ever begins', () => {
  assert.equal(faultOf(Buffer.alloc(20_000, 0x7b))?.code, 'TOO_DEEP')
})

test('takes a declared group, and refuses one that ends as another', () => {
  const grouped = typeFrom('syntax = "proto2"; message Test { optional group Inner = 1 { optional int32 a = 1; } }')
  assert.equal(faultOf(Buffer.from('0b08010c', 'hex'), grouped), undefined)
  assert.equal(faultOf(Buffer.from('0b080114', 'hex'), grouped)?.code, 'MALFORMED')
  assert.equal(faultOf(Buffer.from('0b0801', 'hex'), grouped)?.code, 'TRUNCATED')
})

function faultOf(bytes: Uint8Array, checked = type): RecordFault | undefined {
  // In the middle of other bytes, as in a slab: nothing beyond the record may be read as its own.
  const around = Buffer.concat([Buffer.alloc(7, 0x08), bytes, Buffer.alloc(7, 0x01)])
  return new WireCheck().check(new WireShapes().of(checked), around, 7, 7 + bytes.length)
}

function nestedMessages(levels: number): Uint8Array {
  let bytes: number[] = []
  const parts: number[][] = []
  let size = 0
  for (let level = 0; level < levels; level++) {
    bytes = [0x5a, ...varint(size)]
    parts.unshift(bytes)
    size += bytes.length
  }
  return Buffer.from(parts.flat())
}

function nestedGroups(levels: number): Uint8Array {
  return Buffer.from('a306'.repeat(levels) + 'a80601' + 'a406'.repeat(levels), 'hex')
}

function varint(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...varint(value >>> 7)]
}
