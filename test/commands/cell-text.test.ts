import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bytesText, cellText, cut, printable, tableLines } from '../../src/commands/cell-text.ts'
import type { Column, ColumnType } from '../../src/decode/columns.ts'

const fixed = (values: (Column & { kind: 'fixed' })['values']): Column => ({
  kind: 'fixed',
  values,
  validity: undefined,
})
const variable = (bytes: Uint8Array): Column => ({
  kind: 'variable',
  offsets: Uint32Array.of(0, bytes.length),
  bytes,
  validity: undefined,
})

const cells: { name: string; type: ColumnType; column: Column; text: string }[] = [
  { name: 'a bool', type: 'bool', column: fixed(Uint8Array.of(1)), text: 'true' },
  {
    name: 'the least int64',
    type: 'int64',
    column: fixed(BigInt64Array.of(-(2n ** 63n))),
    text: '-9223372036854775808',
  },
  { name: 'minus zero', type: 'float64', column: fixed(Float64Array.of(-0)), text: '-0' },
  { name: 'a 32-bit float, as short as it is', type: 'float32', column: fixed(Float32Array.of(0.1)), text: '0.1' },
  { name: 'NaN in 32 bits', type: 'float32', column: fixed(Float32Array.of(NaN)), text: 'NaN' },
  { name: 'a time', type: 'timestamp', column: fixed(BigInt64Array.of(1_500_000n)), text: '1970-01-01T00:00:01.5Z' },
  {
    name: 'a time before 1970',
    type: 'timestamp',
    column: fixed(BigInt64Array.of(-1n)),
    text: '1969-12-31T23:59:59.999999Z',
  },
  {
    name: 'a time in nanoseconds',
    type: 'timestampNanos',
    column: fixed(BigInt64Array.of(-1n)),
    text: '1969-12-31T23:59:59.999999999Z',
  },
  {
    name: 'a list',
    type: 'int32[]',
    column: {
      kind: 'list',
      offsets: Uint32Array.of(0, 2),
      items: { kind: 'fixed', values: Int32Array.of(1, -2), validity: undefined },
      validity: undefined,
    },
    text: '[1, -2]',
  },
  { name: 'a negative duration', type: 'duration', column: fixed(BigInt64Array.of(-1_500_000n)), text: '-1.5s' },
  { name: 'bytes', type: 'bytes', column: variable(Uint8Array.of(0, 255)), text: '00 ff' },
  { name: 'text', type: 'string', column: variable(Buffer.from('grün 🙂')), text: 'grün 🙂' },
  {
    name: 'a null',
    type: 'int32',
    column: { kind: 'fixed', values: Int32Array.of(7), validity: Uint8Array.of(0) },
    text: '(null)',
  },
]

for (const { name, type, column, text } of cells) {
  test(`shows ${name}`, () => assert.equal(cellText(type, column, 0), text))
}

// What a terminal would act on, and what would look as if it had been escaped.
const escapes: { text: string; shown: string }[] = [
  { text: '\u001b]0;title\u0007', shown: '\\u{1b}]0;title\\u{7}' },
  { text: '\u009b2J', shown: '\\u{9b}2J' },
  { text: 'a\r\nb\tc', shown: 'a\\r\\nb\\tc' },
  { text: 'ab\u202ecd', shown: 'ab\\u{202e}cd' },
  { text: '\\u{1b}', shown: '\\\\u{1b}' },
  { text: '\u2028\ufeff\u{e0001}', shown: '\\u{2028}\\u{feff}\\u{e0001}' },
]

for (const { text, shown } of escapes) {
  test(`escapes ${JSON.stringify(text)}`, () => assert.equal(printable(text), shown))
}

test('rows that fit are lines under headings, others are blocks', () => {
  const rows = [
    ['1', 'x'],
    ['22', 'yy'],
  ]
  assert.deepEqual(tableLines(['a', 'b'], rows, 80), ['a   b', '1   x', '22  yy'])
  assert.deepEqual(tableLines(['a', 'b'], rows, 4), ['- 1 -', 'a  1', 'b  x', '- 2 -', 'a  22', 'b  yy'])
})

test('a cut shows', () => {
  assert.equal(cut('abcdef', 5), 'ab...')
  assert.equal(bytesText(Uint8Array.of(1, 2, 3), 2), '01 02 ... (3 bytes)')
})
