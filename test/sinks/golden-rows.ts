import type { Cell } from '../decode/decoding.ts'
import {
  bytes,
  fixed32,
  fixed64,
  float,
  double,
  lengthDelimited as within,
  text,
  varint,
  zigzag,
} from './golden-wire.ts'

/** One record, and what the named columns of its row must hold in every sink that takes it. */
export interface GoldenRow {
  readonly name: string
  /** The record's value, as it is on the wire. */
  readonly wire: Buffer
  /** By column. JSON columns are given as what their text says. */
  readonly expected: Readonly<Record<string, Cell | { readonly json: unknown }>>
}

/** A record that no sink may ever have as a row, because its bytes are no value at all; and what the dead letter says. */
export interface RefusedRow {
  readonly name: string
  readonly wire: Buffer
  readonly reason: RegExp
}

const p53 = 2n ** 53n
const int32s = [0, 1, -1, 2 ** 31 - 1, -(2 ** 31)]
const uint32s = [0, 1, 2 ** 31, 2 ** 32 - 1]
const int64s = [0n, 1n, -1n, p53 - 1n, p53, p53 + 1n, -p53 - 1n, 2n ** 63n - 1n, -(2n ** 63n)]
const uint64s = [0n, p53 + 1n, 2n ** 63n - 1n, 2n ** 63n, 2n ** 64n - 1n]
const doubles = [
  0,
  -0,
  1.5,
  NaN,
  Infinity,
  -Infinity,
  5e-324,
  -1e-310,
  2.2250738585072014e-308,
  Number.MAX_VALUE,
  -Number.MAX_VALUE,
  0.1,
  1 / 3,
  2 ** 53 + 2,
]
const floats = [0, -0, NaN, Infinity, -Infinity, 2 ** -149, 2 ** -140, 3.4028234663852886e38, Math.fround(0.1)]

const texts: Readonly<Record<string, string>> = {
  'an empty text': '',
  'a letter': 'a',
  'a NUL': '\0',
  'a NUL within': 'before\0after',
  'an emoji': '😀',
  'a family of emoji': '👨‍👩‍👧‍👦',
  'a combining accent': 'e\u0301',
  'a composed accent': '\u00e9',
  'right to left': '\u202eabc\u05d0\u05d1',
  'the first of two bytes': '\u0080',
  'the last of three bytes': '\uffff',
  'the last of all': '\u{10ffff}',
  'a replacement character': '\ufffd',
  'a byte order mark': '\ufeffx',
  'an end of COPY': '\\.',
  'a null of COPY': '\\N',
  'tabs and line ends': 'a\tb\r\nc\vd\u2028e',
  'the end of a statement': `'); drop table golden; --`,
  'blanks at the ends': '  x  ',
  'just as long as fits within': 'twelve bytes',
  'a byte longer than fits within': 'thirteen byte',
  'a long text': 'é€😀'.repeat(20_000),
}

const noUtf8: Readonly<Record<string, string>> = {
  'a lone high surrogate': 'eda080',
  'a lone low surrogate': 'edb080',
  'a pair of surrogates in six bytes': 'eda0bdedb880',
  'a byte that is none': 'ff',
  'a NUL in two bytes': 'c080',
  'an overlong slash': 'e080af',
  'a character cut off': '61e282',
  'a continuation alone': '80',
  'beyond the last character': 'f4908080',
  'five bytes': 'f888808080',
}

const byteValues: Readonly<Record<string, Buffer>> = {
  'no bytes': Buffer.alloc(0),
  'a zero byte': Buffer.of(0),
  'a byte of ones': Buffer.of(255),
  'every byte': Buffer.from(Array.from({ length: 256 }, (_, index) => index)),
  'bytes that are no text': Buffer.from('eda080', 'hex'),
  'bytes that look like an escape': Buffer.from('\\x41'),
  'many bytes': Buffer.alloc(70_000, 7),
}

const modes: readonly [number, string][] = [
  [0, 'MODE_UNSPECIFIED'],
  [1, 'MODE_ON'],
  [-1, 'MODE_BELOW'],
  [7, '7'],
  [2 ** 31 - 1, '2147483647'],
  [-(2 ** 31), '-2147483648'],
]

const yearOne = -62_135_596_800n
const year9999 = 253_402_300_799n
const times: readonly { name: string; seconds: bigint; nanos: number }[] = [
  { name: 'the beginning of 1970', seconds: 0n, nanos: 0 },
  { name: 'a microsecond before 1970', seconds: -1n, nanos: 999_999_000 },
  { name: 'a microsecond after 1970', seconds: 0n, nanos: 1_000 },
  { name: 'the beginning of year 1', seconds: yearOne, nanos: 0 },
  { name: 'the last microsecond of 9999', seconds: year9999, nanos: 999_999_000 },
  { name: 'the change of calendars', seconds: -12_219_292_800n, nanos: 0 },
  { name: 'the beginning of 2000', seconds: 946_684_800n, nanos: 0 },
  { name: 'the end of 32 bits', seconds: 2n ** 31n, nanos: 0 },
  { name: 'beyond what a double counts in microseconds', seconds: 9_007_199_255n, nanos: 1_000 },
]
const noTimes: readonly { name: string; seconds: bigint; nanos: number }[] = [
  { name: 'year 10000', seconds: year9999 + 1n, nanos: 0 },
  { name: 'year 0', seconds: yearOne - 1n, nanos: 0 },
  { name: 'a second of nanoseconds', seconds: 0n, nanos: 1_000_000_000 },
  { name: 'nanoseconds below zero', seconds: 0n, nanos: -1 },
  { name: 'the largest seconds', seconds: 2n ** 63n - 1n, nanos: 0 },
]

const spanMax = 315_576_000_000n
const spans: readonly { name: string; seconds: bigint; nanos: number }[] = [
  { name: 'no time', seconds: 0n, nanos: 0 },
  { name: 'a microsecond', seconds: 0n, nanos: 1_000 },
  { name: 'a microsecond back', seconds: 0n, nanos: -1_000 },
  { name: 'one and a half second back', seconds: -1n, nanos: -500_000_000 },
  { name: 'a day and a month', seconds: 31n * 86_400n, nanos: 0 },
  { name: 'the longest', seconds: spanMax, nanos: 999_999_000 },
  { name: 'the longest back', seconds: -spanMax, nanos: -999_999_000 },
]
const noSpans: readonly { name: string; seconds: bigint; nanos: number }[] = [
  { name: 'longer than the longest', seconds: spanMax + 1n, nanos: 0 },
  { name: 'forth and back', seconds: 1n, nanos: -1 },
]

const secondsAndNanos = ({ seconds, nanos }: { seconds: bigint; nanos: number }) =>
  Buffer.concat([varint(1, seconds), varint(2, BigInt(nanos))])
const micros = ({ seconds, nanos }: { seconds: bigint; nanos: number }) => seconds * 1_000_000n + BigInt(nanos / 1_000)
const place = (latitude: number, name: string, ...inner: Buffer[]) =>
  Buffer.concat([double(1, latitude), text(2, name), ...inner.map((each) => within(3, each))])
const entry = (key: Buffer, value: Buffer) => Buffer.concat([key, value])
const gauge = (key: string, value: number) => within(24, entry(text(1, key), double(2, value)))
const label = (key: string, value: string) => within(25, entry(text(1, key), text(2, value)))
const placeAt = (key: bigint, value: Buffer) => within(26, entry(varint(1, key), within(2, value)))
const extra = (key: string, value: Buffer) => within(27, within(1, entry(text(1, key), within(2, value))))
const listOf = (...values: Buffer[]) => within(6, Buffer.concat(values.map((each) => within(1, each))))
const nested = (depth: number): Buffer => (depth === 0 ? text(3, 'deep') : listOf(nested(depth - 1)))
const nestedJson = (depth: number): unknown => (depth === 0 ? 'deep' : [nestedJson(depth - 1)])

export const goldenRows: readonly GoldenRow[] = [
  ...int32s.map((value) => row(`int32 ${value}`, varint(1, BigInt(value)), { int32: value })),
  ...int32s.map((value) => row(`sint32 ${value}`, zigzag(2, BigInt(value)), { sint32: value })),
  ...uint32s.map((value) => row(`uint32 ${value}`, varint(3, BigInt(value)), { uint32: value })),
  ...int64s.map((value) => row(`int64 ${value}`, varint(4, value), { int64: value })),
  ...int64s.map((value) => row(`sint64 ${value}`, zigzag(5, value), { sint64: value })),
  ...uint64s.map((value) => row(`uint64 ${value}`, varint(6, value), { uint64: value })),
  ...uint64s.map((value) => row(`fixed64 ${value}`, fixed64(7, value), { fixed64: value })),
  ...int64s.map((value) => row(`sfixed64 ${value}`, fixed64(8, value), { sfixed64: value })),
  ...uint32s.map((value) => row(`fixed32 ${value}`, fixed32(9, value), { fixed32: value })),
  ...int32s.map((value) => row(`sfixed32 ${value}`, fixed32(10, value), { sfixed32: value })),
  ...floats.map((value) => row(`float ${shown(value)}`, float(11, value), { float: value })),
  ...doubles.map((value) => row(`double ${shown(value)}`, double(12, value), { double: value })),
  row('bool 0', varint(13, 0n), { bool: false }),
  row('bool 1', varint(13, 1n), { bool: true }),
  row('bool beyond 1', varint(13, 2n ** 64n - 1n), { bool: true }),
  ...Object.entries(texts).map(([name, value]) => row(`text of ${name}`, text(14, value), { text: value })),
  ...Object.entries(byteValues).map(([name, value]) => row(name, bytes(15, value), { raw: value.toString('hex') })),
  ...modes.map(([number, name]) => row(`enum ${number}`, varint(16, BigInt(number)), { mode: name })),
  ...times.map((time) => row(time.name, within(17, secondsAndNanos(time)), { at: micros(time) })),
  ...spans.map((span) => row(`duration of ${span.name}`, within(18, secondsAndNanos(span)), { took: micros(span) })),
  row('nothing at all', Buffer.alloc(0), {
    ...{
      int32: 0,
      uint64: 0n,
      double: 0,
      bool: false,
      text: '',
      raw: '',
      mode: 'MODE_UNSPECIFIED',
      at: null,
      took: null,
    },
    ...{ maybe_text: null, maybe_number: null, wrapped_number: null, wrapped_text: null, place_latitude: null },
    ...{ named: null, numbered: null, numbers: [], words: [], gauges: { json: {} }, extra: null },
  }),
  row('an optional text that is empty', text(19, ''), { maybe_text: '' }),
  row('an optional number that is 0', varint(20, 0n), { maybe_number: 0n }),
  row('an optional number that is the least', varint(20, -(2n ** 63n)), { maybe_number: -(2n ** 63n) }),
  row('a wrapped 0', within(21, Buffer.alloc(0)), { wrapped_number: 0n }),
  row('a wrapped number beyond a double', within(21, varint(1, p53 + 1n)), { wrapped_number: p53 + 1n }),
  row('a wrapped text that is empty', within(22, Buffer.alloc(0)), { wrapped_text: '' }),
  row('an empty place', within(23, Buffer.alloc(0)), { place_latitude: 0, place_name: '' }),
  row('a place that is no number', within(23, place(NaN, 'x')), { place_latitude: NaN, place_name: 'x' }),
  row('a place in a place', within(23, place(-0, 'x', place(5e-324, 'y'))), {
    ...{ place_latitude: -0, place_name: 'x', place_inner_latitude: 5e-324, place_inner_name: 'y' },
  }),
  row('a place in two pieces', Buffer.concat([within(23, double(1, 2)), within(23, text(2, 'x'))]), {
    ...{ place_latitude: 2, place_name: 'x' },
  }),
  row('a map of doubles', Buffer.concat([gauge('a', 0.1), gauge('b', 5e-324), gauge('', Number.MAX_VALUE)]), {
    gauges: { json: { a: 0.1, b: 5e-324, '': Number.MAX_VALUE } },
  }),
  row('a map of doubles that are no numbers', Buffer.concat([gauge('n', NaN), gauge('i', -Infinity)]), {
    gauges: { json: { n: 'NaN', i: '-Infinity' } },
  }),
  row('a map with -0', gauge('zero', -0), { gauges: { json: { zero: -0 } } }),
  row('a map in which a key comes again', Buffer.concat([label('a', 'x'), label('a', 'y')]), {
    labels: { json: { a: 'y' } },
  }),
  row('a map with keys that mean something', Buffer.concat([label('__proto__', 'x'), label('constructor', 'y')]), {
    labels: { json: JSON.parse('{"__proto__":"x","constructor":"y"}') as unknown },
  }),
  row('a map with keys to be quoted', Buffer.concat([label('a"b\\c\n', 'x'), label('😀', '\u2028')]), {
    labels: { json: { 'a"b\\c\n': 'x', '😀': '\u2028' } },
  }),
  row('a map with a NUL', label('a', 'x\0y'), { labels: { json: { a: 'x\0y' } } }),
  row('a map of places', Buffer.concat([placeAt(2n ** 63n - 1n, place(1, 'x')), placeAt(-(2n ** 63n), place(0, ''))]), {
    places: { json: { '9223372036854775807': { latitude: 1, name: 'x' }, '-9223372036854775808': {} } },
  }),
  row('a struct with null', extra('a', varint(1, 0n)), { extra: { json: { a: null } } }),
  row('a struct with a number', extra('a', double(2, 1e300)), { extra: { json: { a: 1e300 } } }),
  row('a struct with a denormal number', extra('a', double(2, 5e-324)), { extra: { json: { a: 5e-324 } } }),
  row('a struct with a text', extra('a', text(3, '1e400')), { extra: { json: { a: '1e400' } } }),
  row('a struct with true', extra('a', varint(4, 1n)), { extra: { json: { a: true } } }),
  row('a struct as deep as it is', extra('a', nested(30)), { extra: { json: { a: nestedJson(30) } } }),
  row('numbers packed and not', Buffer.concat([within(28, Buffer.of(1, 2)), zigzag(28, 2n ** 63n - 1n)]), {
    numbers: [-1n, 1n, 2n ** 63n - 1n],
  }),
  row('texts that are empty', Buffer.concat([text(29, ''), text(29, 'é'), text(29, '')]), { words: ['', 'é', ''] }),
  row('texts with a quote and a comma', Buffer.concat([text(29, '"a",b'), text(29, 'NULL'), text(29, '{}')]), {
    words: ['"a",b', 'NULL', '{}'],
  }),
  row('a text with a NUL among others', Buffer.concat([text(29, 'a'), text(29, '\0')]), { words: ['a', '\0'] }),
  row('doubles that are no numbers', Buffer.concat([double(30, NaN), double(30, -0), double(30, Infinity)]), {
    doubles: [NaN, -0, Infinity],
  }),
  row('bytes that are empty', Buffer.concat([bytes(31, Buffer.alloc(0)), bytes(31, Buffer.of(0, 255))]), {
    blobs: ['', '00ff'],
  }),
  ...Object.entries(texts).map(([name, value]) =>
    row(`${name}, in a map`, label('a', value), { labels: { json: { a: value } } }),
  ),
  ...Object.entries(texts).map(([name, value]) =>
    row(`${name}, in a list`, Buffer.concat([text(29, value), text(29, value)]), { words: [value, value] }),
  ),
  row('the first arm', text(32, ''), { named: '', numbered: null }),
  row('the second arm', varint(33, -(2n ** 63n)), { named: null, numbered: -(2n ** 63n) }),
  row('the later arm of two', Buffer.concat([varint(33, 1n), text(32, 'x')]), { named: 'x', numbered: null }),
]

export const refusedRows: readonly RefusedRow[] = [
  ...Object.entries(noUtf8).map(([name, hex]) => ({
    name,
    wire: bytes(14, Buffer.from(hex, 'hex')),
    reason: /text.*UTF-8/s,
  })),
  {
    name: 'no UTF-8 in a key of a map',
    wire: within(25, entry(bytes(1, Buffer.of(255)), text(2, 'x'))),
    reason: /labels.*UTF-8/s,
  },
  {
    name: 'no UTF-8 in a value of a map',
    wire: within(25, entry(text(1, 'x'), bytes(2, Buffer.of(255)))),
    reason: /labels.*UTF-8/s,
  },
  { name: 'no UTF-8 in a list', wire: bytes(29, Buffer.of(255)), reason: /words.*UTF-8/s },
  { name: 'no UTF-8 in a wrapper', wire: within(22, bytes(1, Buffer.of(255))), reason: /wrapped_text.*UTF-8/s },
  ...noTimes.map((time) => ({ name: time.name, wire: within(17, secondsAndNanos(time)), reason: /at/ })),
  ...noSpans.map((span) => ({
    name: `duration ${span.name}`,
    wire: within(18, secondsAndNanos(span)),
    reason: /took/,
  })),
  { name: 'a struct with a number that is none', wire: extra('a', double(2, NaN)), reason: /extra/ },
  { name: 'a text longer than its record', wire: Buffer.from('720541', 'hex'), reason: /text|truncated|ends/i },
]

function row(name: string, wire: Buffer, expected: GoldenRow['expected']): GoldenRow {
  return { name, wire, expected }
}

function shown(value: number): string {
  return Object.is(value, -0) ? '-0' : String(value)
}
