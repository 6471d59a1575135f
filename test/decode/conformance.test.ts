import assert from 'node:assert/strict'
import test from 'node:test'
import protobuf from 'protobufjs'
import { createCompiledDecoder } from '../../src/decode/decoder-compiler.ts'
import type { Decoder } from '../../src/decode/decoder.ts'
import { createReferenceDecoder } from '../../src/decode/reference-decoder.ts'
import { planTable } from '../../src/decode/table-plan.ts'
import { type Cell, decodeValues, rowsOf, typeFrom } from './decoding.ts'

// The binary inputs that protobuf's own conformance suite requires of every parser (its binary_json_conformance_suite),
// written anew from the specification, each with our verdict: a value, or the fault. `stricter` marks where we refuse what
// the standard takes, with the reason; nothing that the standard refuses is taken.

const body = `
  enum Kind { ZERO = 0; ONE = 1; MINUS = -1; }
  message Inner { @int32 a = 1; @string b = 2; repeated int32 list = 3; }
  message Test {
    @int32 i32 = 1; @int64 i64 = 2; @uint32 u32 = 3; @uint64 u64 = 4; @sint32 s32 = 5; @sint64 s64 = 6;
    @fixed32 f32 = 7; @fixed64 f64 = 8; @sfixed32 sf32 = 9; @sfixed64 sf64 = 10; @float f = 11; @double d = 12;
    @bool b = 13; @string s = 14; @bytes y = 15; @Inner m = 18; @Kind e = 21;
    repeated int32 ri32 = 31; repeated int64 ri64 = 32; repeated uint32 ru32 = 33; repeated uint64 ru64 = 34;
    repeated sint32 rs32 = 35; repeated sint64 rs64 = 36; repeated fixed32 rf32 = 37; repeated fixed64 rf64 = 38;
    repeated sfixed32 rsf32 = 39; repeated sfixed64 rsf64 = 40; repeated float rf = 41; repeated double rd = 42;
    repeated bool rb = 43; repeated string rs = 44; repeated bytes ry = 45; repeated Inner rm = 48; repeated Kind re = 51;
    map<int32, int32> mi = 56; map<int64, int64> mw = 57; map<sint64, int32> mz = 58; map<uint32, uint32> mu32 = 258; map<uint64, uint64> mu64 = 259;
    map<sint32, sint32> ms32 = 260; map<sint64, sint64> ms64 = 261; map<fixed32, fixed32> mf32 = 262;
    map<fixed64, fixed64> mf64 = 263; map<sfixed32, sfixed32> msf32 = 264; map<sfixed64, sfixed64> msf64 = 265;
    map<int32, float> mf = 266; map<int32, double> md = 267; map<string, bytes> my = 270; map<string, Kind> me = 273;
    map<string, string> ms = 69; map<string, Inner> mm = 71; map<bool, bool> mb = 68;
    oneof one { uint32 one_u = 111; Inner one_m = 112; string one_s = 113; bytes one_b = 114; bool one_t = 115; Kind one_e = 116;
      uint64 one_u64 = 117; float one_f = 118; double one_d = 119; int32 one_last = 120; }
  }`
const types = {
  proto3: typeFrom(body.replaceAll('@', '')),
  proto2: typeFrom(`syntax = "proto2"; ${body.replaceAll('@', 'optional ')}`),
  'edition 2023': typeFrom(`edition = "2023"; option features.field_presence = IMPLICIT; ${body.replaceAll('@', '')}`),
}

// What the suite has and we have not, with the reason:
// - MessageSet encoding (ValidMessageSetEncoding.*, proto2): a format of Google's own that protobuf's guide tells nobody to
//   use; protobufjs does not read the option. Its groups are unknown fields here, and well-formed they must be.
// - UnknownOrdering, and that unknown fields come out as they came in: nothing is written here.
// - JSON and text format as input. As output, JSON is what test/decode/json/json-mapping.test.ts is about.
// - TestBinaryPerformance.*: bench/decode.bench.ts and test/decode/fuzz.test.ts ask for speed.
// - EditionUnstable (ValidBytes, ValidMap.Bytes): the same bytes as in every other edition, see `scalars` and `maps`.
// - Delimited fields and extensions of editions: test/decode/editions.test.ts.

interface Case {
  readonly name: string
  readonly bytes: readonly number[]
  /** Columns and what they hold; or the code of the fault. */
  readonly expected: Readonly<Record<string, Cell>> | string
  /** The standard takes it; why we do not. */
  readonly stricter?: string
  /** `open` enums and checked UTF-8: proto3 and editions. */
  readonly only?: 'proto2' | 'open'
}

const varint = (value: bigint | number, bytesAtLeast = 1): number[] => {
  const bytes: number[] = []
  let left = BigInt.asUintN(64, BigInt(value))
  do {
    bytes.push(Number(left & 0x7fn) | 0x80)
    left >>= 7n
  } while (left > 0n || bytes.length < bytesAtLeast)
  bytes[bytes.length - 1]! &= 0x7f
  return bytes
}
const tag = (id: number, wireType: number): number[] => varint(id * 8 + wireType)
const v = (id: number, value: bigint | number): number[] => [...tag(id, 0), ...varint(value)]
const delimited = (id: number, content: readonly number[] | string): number[] => {
  const bytes = typeof content === 'string' ? [...Buffer.from(content)] : content
  return [...tag(id, 2), ...varint(bytes.length), ...bytes]
}
const little = (value: bigint | number, length: 4 | 8): number[] =>
  Array.from({ length }, (_, index) => Number((BigInt.asUintN(64, BigInt(value)) >> BigInt(index * 8)) & 0xffn))
const f4 = (id: number, value: number): number[] => [...tag(id, 5), ...little(value, 4)]
const f8 = (id: number, value: bigint | number): number[] => [...tag(id, 1), ...little(value, 8)]
const group = (id: number, content: readonly number[]): number[] => [...tag(id, 3), ...content, ...tag(id, 4)]
const double = (value: number): number[] => {
  const bytes = Buffer.alloc(8)
  bytes.writeDoubleLE(value)
  return [...bytes]
}
const float = (value: number): number[] => {
  const bytes = Buffer.alloc(4)
  bytes.writeFloatLE(value)
  return [...bytes]
}

const i32Max = 2 ** 31 - 1
const i64Max = 2n ** 63n - 1n
const cut = 'its upper half would be cut off without a word, and another number stored than was sent'

/** ValidDataScalar: each scalar type with the values that the suite names. */
const scalars: readonly Case[] = [
  ...[0, 1, 12345, -12345, i32Max, -i32Max - 1].map((n) => ({
    name: `int32 ${n}`,
    bytes: v(1, n),
    expected: { i32: n },
  })),
  ...[0n, 12345n, -12345n, i64Max, -i64Max - 1n].map((n) => ({
    name: `int64 ${n}`,
    bytes: v(2, n),
    expected: { i64: n },
  })),
  ...[0, 12345, 2 ** 32 - 1].map((n) => ({ name: `uint32 ${n}`, bytes: v(3, n), expected: { u32: n } })),
  ...[0n, 12345n, 2n ** 64n - 1n].map((n) => ({ name: `uint64 ${n}`, bytes: v(4, n), expected: { u64: n } })),
  ...[0, 12345, -12345, i32Max, -i32Max - 1].map((n) => ({
    name: `sint32 ${n}`,
    bytes: v(5, n < 0 ? -n * 2 - 1 : n * 2),
    expected: { s32: n },
  })),
  ...[0n, 12345n, -12345n, i64Max, -i64Max - 1n].map((n) => ({
    name: `sint64 ${n}`,
    bytes: v(6, n < 0n ? -n * 2n - 1n : n * 2n),
    expected: { s64: n },
  })),
  ...[0, 12345, 2 ** 32 - 1].map((n) => ({ name: `fixed32 ${n}`, bytes: f4(7, n), expected: { f32: n } })),
  ...[0n, 12345n, 2n ** 64n - 1n].map((n) => ({ name: `fixed64 ${n}`, bytes: f8(8, n), expected: { f64: n } })),
  ...[0, -12345, i32Max, -i32Max - 1].map((n) => ({ name: `sfixed32 ${n}`, bytes: f4(9, n), expected: { sf32: n } })),
  ...[0n, -12345n, i64Max, -i64Max - 1n].map((n) => ({
    name: `sfixed64 ${n}`,
    bytes: f8(10, n),
    expected: { sf64: n },
  })),
  ...[0, -0, 0.125, NaN, Infinity, -Infinity, Math.fround(3.4028235e38), Math.fround(1e-45)].map((n) => ({
    name: `float ${n}`,
    bytes: [...tag(11, 5), ...float(n)],
    expected: { f: n },
  })),
  ...[0, -0, 0.1, NaN, Infinity, -Infinity, Number.MAX_VALUE, Number.MIN_VALUE].map((n) => ({
    name: `double ${n}`,
    bytes: [...tag(12, 1), ...double(n)],
    expected: { d: n },
  })),
  // A signalling NaN is a NaN.
  { name: 'float, signalling NaN', bytes: f4(11, 0x7f80_0001), expected: { f: NaN } },
  { name: 'double, signalling NaN', bytes: f8(12, 0x7ff0_0000_0000_0001n), expected: { d: NaN } },
  ...[1n, 2n, 1n << 32n, 1n << 63n, 2n ** 64n - 1n].map((n) => ({
    name: `bool ${n}`,
    bytes: v(13, n),
    expected: { b: true },
  })),
  { name: 'bool 0', bytes: v(13, 0), expected: { b: false } },
  ...['', 'Hello world!', "'Hello world!'", '谷歌', '\u{1f601}', '\0'].map((s) => ({
    name: `string ${JSON.stringify(s)}`,
    bytes: delimited(14, s),
    expected: { s },
  })),
  { name: 'bytes that are no UTF-8', bytes: delimited(15, [0xff, 0xfe, 0]), expected: { y: 'fffe00' } },
  { name: 'enum', bytes: v(21, 1), expected: { e: 'ONE' } },
  { name: 'enum, negative, ten bytes', bytes: v(21, -1), expected: { e: 'MINUS' } },
  { name: 'enum, unknown and open', bytes: v(21, 5), expected: { e: '5' }, only: 'open' },
  { name: 'enum, unknown and closed', bytes: [...v(21, 1), ...v(21, 5)], expected: { e: 'ONE' }, only: 'proto2' },
  { name: 'message', bytes: delimited(18, v(1, 7)), expected: { m_a: 7 } },
  { name: 'message of no bytes', bytes: delimited(18, []), expected: { m_list: '[]' } },
]

/** Overlong varints are taken, up to ten bytes and 64 bits; what does not fit is another matter. */
const varints: readonly Case[] = [
  { name: 'int32 of ten bytes', bytes: [...tag(1, 0), ...varint(1, 10)], expected: { i32: 1 } },
  { name: 'uint32 of ten bytes', bytes: [...tag(3, 0), ...varint(1, 10)], expected: { u32: 1 } },
  { name: 'int64 of ten bytes', bytes: [...tag(2, 0), ...varint(1, 10)], expected: { i64: 1n } },
  { name: 'bool of ten bytes', bytes: [...tag(13, 0), ...varint(1, 10)], expected: { b: true } },
  { name: 'enum of five bytes', bytes: [...tag(21, 0), ...varint(1, 5)], expected: { e: 'ONE' } },
  { name: 'a tag of five bytes', bytes: [...varint(8, 5), 1], expected: { i32: 1 } },
  { name: 'a length of five bytes', bytes: [...tag(14, 2), ...varint(1, 5), 0x61], expected: { s: 'a' } },
  { name: 'a tag of six bytes', bytes: [...varint(8, 6), 1], expected: 'MALFORMED' },
  { name: 'a tag beyond 32 bits', bytes: [0x88, 0x80, 0x80, 0x80, 0x10, 1], expected: 'MALFORMED' },
  { name: 'a varint of eleven bytes', bytes: [...tag(2, 0), ...varint(1, 11)], expected: 'MALFORMED' },
  { name: 'an unknown varint of eleven bytes', bytes: [...tag(900, 0), ...varint(1, 11)], expected: 'MALFORMED' },
  {
    name: 'a varint of more than 64 bits',
    bytes: [...tag(2, 0), ...Array<number>(9).fill(0xff), 2],
    expected: 'MALFORMED',
    stricter: 'bits beyond the 64th would be dropped',
  },
  { name: 'int32 beyond 32 bits', bytes: v(1, 2n ** 33n), expected: 'OUT_OF_RANGE', stricter: cut },
  { name: 'int32 of 2^31', bytes: v(1, 2n ** 31n), expected: 'OUT_OF_RANGE', stricter: cut },
  { name: 'uint32 beyond 32 bits', bytes: v(3, 2n ** 32n), expected: 'OUT_OF_RANGE', stricter: cut },
  { name: 'sint32 beyond 32 bits', bytes: v(5, 2n ** 32n), expected: 'OUT_OF_RANGE', stricter: cut },
  { name: 'enum beyond 32 bits', bytes: v(21, 2n ** 32n), expected: 'OUT_OF_RANGE', stricter: cut },
]

/** ValidDataRepeated: one by one, packed, and both, for each packable type. */
const lists: readonly Case[] = [
  { id: 31, name: 'ri32', one: varint(-7), json: '-7', wireType: 0 },
  { id: 32, name: 'ri64', one: varint(-7), json: '"-7"', wireType: 0 },
  { id: 33, name: 'ru32', one: varint(2 ** 32 - 1), json: '4294967295', wireType: 0 },
  { id: 34, name: 'ru64', one: varint(-1), json: '"18446744073709551615"', wireType: 0 },
  { id: 35, name: 'rs32', one: varint(13), json: '-7', wireType: 0 },
  { id: 36, name: 'rs64', one: varint(13), json: '"-7"', wireType: 0 },
  { id: 37, name: 'rf32', one: little(7, 4), json: '7', wireType: 5 },
  { id: 38, name: 'rf64', one: little(7, 8), json: '"7"', wireType: 1 },
  { id: 39, name: 'rsf32', one: little(2 ** 32 - 7, 4), json: '-7', wireType: 5 },
  { id: 40, name: 'rsf64', one: little(-7n, 8), json: '"-7"', wireType: 1 },
  { id: 41, name: 'rf', one: float(0.5), json: '0.5', wireType: 5 },
  { id: 42, name: 'rd', one: double(0.1), json: '0.1', wireType: 1 },
  { id: 43, name: 'rb', one: varint(1), json: 'true', wireType: 0 },
  { id: 51, name: 're', one: varint(-1), json: '"MINUS"', wireType: 0 },
].flatMap(({ id, name, one, json, wireType }): Case[] => {
  const single = [...tag(id, wireType), ...one]
  const packed = delimited(id, [...one, ...one])
  return [
    { name: `${name} one by one`, bytes: [...single, ...single], expected: { [name]: `[${json},${json}]` } },
    { name: `${name} packed`, bytes: packed, expected: { [name]: `[${json},${json}]` } },
    {
      name: `${name} mixed, with another field between`,
      bytes: [...single, ...v(1, 3), ...packed, ...delimited(id, []), ...single],
      expected: { i32: 3, [name]: `[${json},${json},${json},${json}]` },
    },
    {
      name: `${name} packed and cut`,
      bytes: [...tag(id, 2), ...varint(one.length + 1), ...one],
      expected: 'TRUNCATED',
    },
    {
      name: `${name} packed, of a length that cuts an element`,
      bytes: delimited(id, [...one, ...(wireType === 0 ? [0x80] : one.slice(1))]),
      // At the end of the record one cannot know whether the length is wrong or the rest is missing.
      expected: 'TRUNCATED',
    },
  ]
})

/** Later values win, messages merge, maps keep the last of a key, arms of a oneof replace each other. */
const merging: readonly Case[] = [
  {
    name: 'the last of a scalar',
    bytes: [...v(1, 1), ...delimited(14, 'a'), ...v(1, 2), ...delimited(14, 'bc')],
    expected: { i32: 2, s: 'bc' },
  },
  {
    name: 'a default after a value',
    bytes: [...v(1, 1), ...v(1, 0), ...delimited(14, 'a'), ...delimited(14, '')],
    expected: { i32: 0, s: '' },
  },
  {
    name: 'messages merge, field by field, lists are joined',
    bytes: [...delimited(18, [...v(1, 1), ...v(3, 5)]), ...delimited(18, [...delimited(2, 'x'), ...v(3, 6)])],
    expected: { m_a: 1, m_b: 'x', m_list: '[5,6]' },
  },
  {
    name: 'elements of a list do not merge',
    bytes: [...delimited(48, v(1, 1)), ...delimited(48, delimited(2, 'x'))],
    expected: { rm: '[{"a":1},{"b":"x"}]' },
  },
  {
    name: 'map entries in any order of their fields, the last of a key counts',
    bytes: [...delimited(56, [...v(2, 5), ...v(1, 4)]), ...delimited(56, [...v(1, 4), ...v(2, 6)])],
    expected: { mi: '{"4":6}' },
  },
  {
    name: 'a map entry without key and value',
    bytes: [...delimited(56, []), ...delimited(69, [])],
    expected: { mi: '{"0":0}', ms: '{"":""}' },
  },
  {
    name: 'a map entry without a key is one of key 0, of 64 bits too; the last counts',
    bytes: [
      ...delimited(57, [...v(1, 0), ...v(2, 5)]),
      ...delimited(57, []),
      ...delimited(58, []),
      ...delimited(58, [...v(1, 0), ...v(2, 5)]),
    ],
    expected: { mw: '{"0":"0"}', mz: '{"0":5}' },
  },
  {
    name: 'a map entry without a value that is a message',
    bytes: delimited(71, delimited(1, 'k')),
    expected: { mm: '{"k":{}}' },
  },
  {
    name: 'an unknown field in a map entry',
    bytes: delimited(56, [...v(1, 4), ...v(3, 9), ...v(2, 5)]),
    expected: { mi: '{"4":5}' },
  },
  {
    name: 'the values of one map entry merge',
    bytes: delimited(71, [...delimited(1, 'k'), ...delimited(2, v(1, 1)), ...delimited(2, delimited(2, 'x'))]),
    expected: { mm: '{"k":{"a":1,"b":"x"}}' },
  },
  { name: 'oneof: zero is a value', bytes: v(111, 0), expected: { one_u: 0 } },
  { name: 'oneof: the last arm', bytes: [...v(111, 1), ...delimited(113, 'x')], expected: { one_s: 'x' } },
  { name: 'oneof: message, then scalar', bytes: [...delimited(112, v(1, 1)), ...v(115, 1)], expected: { one_t: true } },
  {
    name: 'oneof: a message merges with itself',
    bytes: [...delimited(112, v(1, 1)), ...delimited(112, delimited(2, 'x'))],
    expected: { one_m_a: 1, one_m_b: 'x', one_m_list: '[]' },
  },
  {
    name: 'oneof: a message does not merge over another arm',
    bytes: [...delimited(112, delimited(2, 'x')), ...v(111, 1), ...delimited(112, v(1, 1))],
    expected: { one_m_a: 1, one_m_list: '[]' },
  },
]

const unknown: readonly Case[] = [
  {
    name: 'unknown fields of every wire type',
    bytes: [...v(900, -1), ...f8(901, 1), ...delimited(902, 'abc'), ...group(903, v(1, 1)), ...f4(904, 1), ...v(1, 5)],
    expected: { i32: 5 },
  },
  { name: 'unknown fields with the greatest number', bytes: [...v(536_870_911, 1), ...v(1, 5)], expected: { i32: 5 } },
  {
    name: 'a group in a group',
    bytes: [...group(900, group(901, [...v(1, 1), ...delimited(2, 'x')])), ...v(1, 5)],
    expected: { i32: 5 },
  },
  { name: 'an empty group', bytes: group(900, []), expected: {} },
  { name: 'a group that has no end', bytes: [...tag(900, 3), ...v(1, 1)], expected: 'TRUNCATED' },
  { name: 'a group that ends as another', bytes: [...tag(900, 3), ...tag(901, 4)], expected: 'MALFORMED' },
  { name: 'the end of a group that never began', bytes: tag(900, 4), expected: 'MALFORMED' },
  {
    name: 'groups nested 100 deep',
    bytes: [...Array<number[]>(100).fill(tag(900, 3)).flat(), ...Array<number[]>(100).fill(tag(900, 4)).flat()],
    expected: {},
  },
  {
    name: 'groups nested 101 deep',
    bytes: [...Array<number[]>(101).fill(tag(900, 3)).flat(), ...Array<number[]>(101).fill(tag(900, 4)).flat()],
    expected: 'TOO_DEEP',
  },
  {
    name: 'a declared field with another wire type',
    bytes: [...f4(1, 1), ...v(2, 5)],
    expected: 'WIRE_TYPE',
    stricter: 'it would count as an unknown field, and the column stay empty although the producer wrote a value',
  },
]

/** IllegalZeroFieldNum, of every wire type, and wire types that are none. */
const illegal: readonly Case[] = [
  ...[0, 1, 2, 3, 4, 5].map((wireType) => ({
    name: `field number 0, wire type ${wireType}`,
    bytes: [wireType, 0, 0, 0, 0, 0, 0, 0, 0],
    expected: 'MALFORMED',
  })),
  { name: 'field number 0 in a message', bytes: delimited(18, [0, 0]), expected: 'MALFORMED' },
  { name: 'field number 0 in a group', bytes: group(900, [0, 0]), expected: 'MALFORMED' },
  { name: 'wire type 6', bytes: [...tag(1, 6), 0], expected: 'MALFORMED' },
  { name: 'wire type 7, unknown field', bytes: [...tag(900, 7), 0], expected: 'MALFORMED' },
  { name: 'a string that is no UTF-8', bytes: delimited(14, [0xff]), expected: 'BAD_UTF8', only: 'open' },
  {
    name: 'a string that is no UTF-8, proto2',
    bytes: delimited(14, [0xff]),
    expected: 'BAD_UTF8',
    only: 'proto2',
    stricter: 'no sink could store it as text',
  },
  { name: 'a surrogate in UTF-8', bytes: delimited(14, [0xed, 0xa0, 0x80]), expected: 'BAD_UTF8', only: 'open' },
  { name: 'an overlong character', bytes: delimited(14, [0xc0, 0x80]), expected: 'BAD_UTF8', only: 'open' },
  { name: 'a string in a list that is no UTF-8', bytes: delimited(44, [0x80]), expected: 'BAD_UTF8', only: 'open' },
  {
    name: 'a key of a map that is no UTF-8',
    bytes: delimited(69, delimited(1, [0x80])),
    expected: 'BAD_UTF8',
    only: 'open',
  },
]

/** PrematureEof: before the value, within it, in a message, for known and unknown fields of every type. */
const premature: readonly Case[] = [
  ...[
    { id: 1, wireType: 0, part: [0x80] },
    { id: 2, wireType: 0, part: [0x80, 0x80] },
    { id: 7, wireType: 5, part: [1, 2, 3] },
    { id: 8, wireType: 1, part: [1, 2, 3, 4, 5, 6, 7] },
    { id: 11, wireType: 5, part: [1] },
    { id: 12, wireType: 1, part: [1] },
    { id: 13, wireType: 0, part: [0x80] },
    { id: 14, wireType: 2, part: [2, 0x61] },
    { id: 15, wireType: 2, part: [0x80] },
    { id: 18, wireType: 2, part: [3, 8] },
    { id: 21, wireType: 0, part: [0xff] },
    { id: 31, wireType: 0, part: [0x80] },
    { id: 44, wireType: 2, part: [2, 0x61] },
    { id: 48, wireType: 2, part: [1] },
    { id: 56, wireType: 2, part: [2, 8] },
    { id: 900, wireType: 0, part: [0x80] },
    { id: 900, wireType: 1, part: [0, 0, 0] },
    { id: 900, wireType: 2, part: [5, 0] },
    { id: 900, wireType: 5, part: [0, 0, 0] },
  ].flatMap(({ id, wireType, part }): Case[] => [
    { name: `field ${id}, wire type ${wireType}, before its value`, bytes: tag(id, wireType), expected: 'TRUNCATED' },
    {
      name: `field ${id}, wire type ${wireType}, within its value`,
      bytes: [...tag(id, wireType), ...part],
      expected: 'TRUNCATED',
    },
  ]),
  { name: 'within a tag', bytes: [0x80], expected: 'TRUNCATED' },
  { name: 'a message that ends within its field', bytes: [...delimited(18, [8]), ...v(1, 1)], expected: 'MALFORMED' },
  {
    name: 'a message whose string is longer than itself',
    bytes: [...delimited(18, [0x12, 5, 0x61]), ...delimited(14, 'abcdef')],
    expected: 'MALFORMED',
  },
  { name: 'a length of 4 GiB', bytes: [...tag(14, 2), 0xff, 0xff, 0xff, 0xff, 0x0f], expected: 'TRUNCATED' },
  { name: 'a length beyond 32 bits', bytes: [...tag(14, 2), 0xff, 0xff, 0xff, 0xff, 0x1f], expected: 'MALFORMED' },
]

interface Kind {
  readonly type: string
  readonly column: string
  readonly list: string
  readonly wireType: number
  /** The default and two other values, as bytes, in a cell, and in JSON. */
  readonly values: readonly { readonly bytes: readonly number[]; readonly cell: Cell; readonly json: string }[]
}

const kindOf = (
  type: string,
  [column, list, wireType]: readonly [string, string, number],
  encode: (value: never) => readonly number[],
  values: readonly (readonly [value: unknown, cell: Cell, json?: string])[],
): Kind => ({
  ...{ type, column, list, wireType },
  values: values.map(([value, cell, json = String(cell)]) => ({ bytes: encode(value as never), cell, json })),
})
const zigzag = (value: bigint): number[] => varint(value < 0n ? -value * 2n - 1n : value * 2n)
const content = (text: string): number[] => [...varint(Buffer.from(text).length), ...Buffer.from(text)]
const wide = (value: bigint) => [value, value, `"${value}"`] as const

/** Every scalar type, for the cases that the suite has for each. */
const kinds: readonly Kind[] = [
  kindOf('int32', ['i32', 'ri32', 0], varint, [
    [0, 0],
    [-7, -7],
    [i32Max, i32Max],
  ]),
  kindOf('int64', ['i64', 'ri64', 0], varint, [wide(0n), wide(-7n), wide(i64Max)]),
  kindOf('uint32', ['u32', 'ru32', 0], varint, [
    [0, 0],
    [7, 7],
    [2 ** 32 - 1, 2 ** 32 - 1],
  ]),
  kindOf('uint64', ['u64', 'ru64', 0], varint, [wide(0n), wide(7n), wide(2n ** 64n - 1n)]),
  kindOf('sint32', ['s32', 'rs32', 0], (n: number) => zigzag(BigInt(n)), [
    [0, 0],
    [-7, -7],
    [-i32Max - 1, -i32Max - 1],
  ]),
  kindOf('sint64', ['s64', 'rs64', 0], zigzag, [wide(0n), wide(-7n), wide(-i64Max - 1n)]),
  kindOf('fixed32', ['f32', 'rf32', 5], (n: number) => little(n, 4), [
    [0, 0],
    [7, 7],
    [2 ** 32 - 1, 2 ** 32 - 1],
  ]),
  kindOf('fixed64', ['f64', 'rf64', 1], (n: bigint) => little(n, 8), [wide(0n), wide(7n), wide(2n ** 64n - 1n)]),
  kindOf('sfixed32', ['sf32', 'rsf32', 5], (n: number) => little(n, 4), [
    [0, 0],
    [-7, -7],
    [i32Max, i32Max],
  ]),
  kindOf('sfixed64', ['sf64', 'rsf64', 1], (n: bigint) => little(n, 8), [wide(0n), wide(-7n), wide(i64Max)]),
  kindOf('float', ['f', 'rf', 5], float, [
    [0, 0],
    [0.5, 0.5],
    [-2, -2],
  ]),
  kindOf('double', ['d', 'rd', 1], double, [
    [0, 0],
    [0.1, 0.1],
    [-2, -2],
  ]),
  kindOf('bool', ['b', 'rb', 0], varint, [
    [0, false],
    [1, true],
    [1, true],
  ]),
  kindOf('string', ['s', 'rs', 2], content, [
    ['', '', '""'],
    ['a', 'a', '"a"'],
    ['谷歌', '谷歌', '"谷歌"'],
  ]),
  kindOf('bytes', ['y', 'ry', 2], content, [
    ['', '', '""'],
    ['a', '61', '"YQ=="'],
    ['bc', '6263', '"YmM="'],
  ]),
  kindOf('Kind', ['e', 're', 0], varint, [
    [0, 'ZERO', '"ZERO"'],
    [1, 'ONE', '"ONE"'],
    [-1, 'MINUS', '"MINUS"'],
  ]),
]

const idOf = (column: string): number => types.proto3.fields[column]!.id

/** RepeatedScalarSelectsLast and ValidDataOneof: the last counts, a default too; another arm takes the place of one. */
const lastOnes: readonly Case[] = kinds.flatMap(({ type, column, wireType, values: [none, one, other] }) => {
  const field = (id: number, value: typeof none): number[] => [...tag(id, wireType), ...value!.bytes]
  const id = idOf(column)
  const arm = types.proto3.oneofs['one']!.fieldsArray.find((each) => each.type === type)
  const oneof = (bytes: number[], expected: Case['expected'], name: string): Case[] =>
    arm === undefined ? [] : [{ name: `${type} in a oneof: ${name}`, bytes, expected }]
  const at = arm?.id ?? 0
  return [
    { name: `${type}: the last`, bytes: [...field(id, one), ...field(id, other)], expected: { [column]: other!.cell } },
    {
      name: `${type}: the default`,
      bytes: [...field(id, one), ...field(id, none)],
      expected: { [column]: none!.cell },
    },
    ...oneof(field(at, none), { [arm?.name ?? '']: none!.cell }, 'its default'),
    ...oneof(field(at, one), { [arm?.name ?? '']: one!.cell }, 'a value'),
    ...oneof([...field(at, one), ...field(at, other)], { [arm?.name ?? '']: other!.cell }, 'the last of it'),
    ...oneof([...v(120, 1), ...field(at, one)], { [arm?.name ?? '']: one!.cell }, 'after another arm'),
    ...oneof([...field(at, one), ...v(120, 1)], { one_last: 1 }, 'before another arm'),
  ]
})

/** ValidDataMap: each key and value of the suite, in each form of an entry. */
const maps: readonly Case[] = types.proto3.fieldsArray.flatMap((each): Case[] => {
  const map = each instanceof protobuf.MapField ? each : undefined
  const key = kinds.find(({ type }) => type === map?.keyType)
  const value = kinds.find(({ type }) => type === each.type)
  if (map === undefined || key === undefined || value === undefined) return []
  const [noKey, oneKey] = key.values
  const [noValue, oneValue, otherValue] = value.values
  const k = ({ bytes }: (typeof key.values)[number]): number[] => [...tag(1, key.wireType), ...bytes]
  const w = ({ bytes }: (typeof key.values)[number]): number[] => [...tag(2, value.wireType), ...bytes]
  const text = (keyJson: string, json: string): Case['expected'] => ({
    [each.name]: `{"${keyJson.replaceAll('"', '')}":${json}}`,
  })
  const entry = (...parts: number[][]): number[] => delimited(each.id, parts.flat())
  const one = text(oneKey!.json, oneValue!.json)
  const none = text(noKey!.json, noValue!.json)
  const forms: readonly (readonly [string, number[], Case['expected']])[] = [
    ['defaults', entry(k(noKey!), w(noValue!)), none],
    ['neither key nor value', entry(), none],
    ['key and value', entry(k(oneKey!), w(oneValue!)), one],
    ['value, then key', entry(w(oneValue!), k(oneKey!)), one],
    ['one key twice', [...entry(k(oneKey!), w(otherValue!)), ...entry(k(oneKey!), w(oneValue!))], one],
    ['two keys in an entry', entry(k(noKey!), k(oneKey!), w(oneValue!)), one],
    ['two values in an entry', entry(k(oneKey!), w(otherValue!), w(oneValue!)), one],
  ]
  return forms.map(([name, bytes, expected]) => ({
    name: `map<${map.keyType}, ${each.type}>: ${name}`,
    bytes,
    expected,
  }))
})

/** PrematureEof, for each type: before and within its value, alone, in a list, packed, in a message. */
const prematureOfEach: readonly Case[] = kinds.flatMap(({ type, column, list, wireType, values }): Case[] => {
  const part = wireType === 0 ? [0x80] : wireType === 2 ? [2, 0x61] : values[1]!.bytes.slice(1)
  const ids = { alone: idOf(column), 'in a list': idOf(list), unknown: 900 }
  const cases = Object.entries(ids).flatMap(([where, id]): Case[] => [
    { name: `${type} ${where}, before its value`, bytes: tag(id, wireType), expected: 'TRUNCATED' },
    { name: `${type} ${where}, within its value`, bytes: [...tag(id, wireType), ...part], expected: 'TRUNCATED' },
  ])
  if (wireType === 2) return cases
  const packed = idOf(list)
  return [
    ...cases,
    { name: `${type} packed, cut`, bytes: [...tag(packed, 2), part.length + 1, ...part], expected: 'TRUNCATED' },
    { name: `${type} packed, an element cut`, bytes: delimited(packed, part), expected: 'TRUNCATED' },
    { name: `${type} packed, no length`, bytes: tag(packed, 2), expected: 'TRUNCATED' },
  ]
})

/** Unmatched groups and tags that are none, as the suite has them; UnknownWireType for the numbers 0 to 3. */
const badTags: readonly Case[] = [
  ...[201, 1234].map((id) => ({ name: `end of group ${id}`, bytes: tag(id, 4), expected: 'MALFORMED' })),
  { name: 'end of a group with the number of a field', bytes: tag(1, 4), expected: 'MALFORMED' },
  { name: 'end of a group in a message', bytes: delimited(18, tag(1234, 4)), expected: 'MALFORMED' },
  { name: 'end of another group', bytes: group(201, tag(202, 4)), expected: 'MALFORMED' },
  { name: 'end of a group, with data', bytes: [...tag(1, 4), ...delimited(2, 'hello')], expected: 'MALFORMED' },
  ...[201, 1234].map((id) => ({ name: `start of group ${id}`, bytes: tag(id, 3), expected: 'TRUNCATED' })),
  {
    name: 'start of a group with the number of a field',
    bytes: tag(1, 3),
    expected: 'WIRE_TYPE',
  },
  { name: 'start of a group in a message', bytes: delimited(18, tag(1234, 3)), expected: 'TRUNCATED' },
  { name: 'start of another group', bytes: group(201, tag(202, 3)), expected: 'MALFORMED' },
  { name: 'start of a group, with data', bytes: [...tag(900, 3), ...delimited(2, 'hello')], expected: 'TRUNCATED' },
  { name: 'mismatched', bytes: [...tag(201, 3), ...delimited(2, 'hello'), ...tag(202, 4)], expected: 'MALFORMED' },
  {
    name: 'mismatched within another',
    bytes: group(201, [...tag(202, 3), ...delimited(2, 'hello'), ...tag(203, 4)]),
    expected: 'MALFORMED',
  },
  ...[6, 7].flatMap((wireType) =>
    [0, 1, 2, 3].flatMap((id) =>
      [0, 1, 2, 3].map((value) => ({
        name: `wire type ${wireType} of field ${id}, ${value}`,
        bytes: [id * 8 + wireType, value],
        expected: 'MALFORMED',
      })),
    ),
  ),
  { name: 'a field number far too high', bytes: [0x88, 0x80, 0x80, 0x80, 0x80, 0x80, 0x0f, 1], expected: 'MALFORMED' },
  { name: 'a field number slightly too high', bytes: [0x88, 0x80, 0x80, 0x80, 0x40, 1], expected: 'MALFORMED' },
  { name: 'a tag of nine bytes', bytes: [...varint(8, 9), 1], expected: 'MALFORMED' },
  { name: 'a tag of thirteen bytes', bytes: [...varint(8, 13), 1], expected: 'MALFORMED' },
]

const parts = { lastOnes, maps, prematureOfEach, badTags }
const all = { scalars, varints, lists, merging, unknown, illegal, premature, ...parts }
const ways = { compiled: createCompiledDecoder, reference: createReferenceDecoder }

for (const [syntax, type] of Object.entries(types)) {
  const plan = planTable(type)
  for (const [way, create] of Object.entries(ways)) {
    const decoder = create(plan, { tableName: 'test' })
    for (const [chapter, cases] of Object.entries(all)) {
      test(`${syntax}, ${way}: ${chapter}`, () => {
        for (const each of cases) if (runsIn(each, syntax)) check(decoder, each)
      })
    }
  }
}

function runsIn({ only }: Case, syntax: string): boolean {
  return only === undefined || (only === 'proto2') === (syntax === 'proto2')
}

/** Between two records without a field: what else is in the row must be as in those. */
function check(decoder: Decoder, { name, bytes, expected }: Case): void {
  const empty = new Uint8Array(0)
  const decoded = decodeValues(decoder, [empty, Uint8Array.from(bytes), empty])
  const rows = rowsOf(decoded, decoder.table)
  if (typeof expected === 'string') {
    assert.deepEqual([decoded.bad.map(({ record, code }) => [record, code]), rows.length], [[[1, expected]], 2], name)
    assert.deepEqual(rows[1], rows[0], name)
    return
  }
  assert.deepEqual(decoded.bad, [], name)
  assert.deepEqual(rows[2], rows[0], name)
  for (const [column, cell] of Object.entries(rows[1]!)) {
    // Of a message that is present, fields of proto3 have their defaults.
    const mayBeDefault = column.startsWith('m_') || column.startsWith('one_m_')
    if (column in expected) assert.deepEqual(cell, expected[column], `${name}: ${column}`)
    else if (!mayBeDefault) assert.deepEqual(cell, rows[0]![column], `${name}: ${column}`)
  }
  assert.deepEqual(
    Object.keys(expected).filter((column) => !(column in rows[1]!)),
    [],
    name,
  )
}
