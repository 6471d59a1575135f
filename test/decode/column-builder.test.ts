import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import {
  columnBytesMax,
  createColumnBuilder,
  ListColumnBuilder,
  VariableColumnBuilder,
  WideColumnBuilder,
} from '../../src/decode/column-builder.ts'
import { ColumnMemory } from '../../src/decode/column-memory.ts'
import { type Column, hasValue } from '../../src/decode/columns.ts'

const memory = new ColumnMemory()

test('a column without a null has no validity', () => {
  const builder = new VariableColumnBuilder(memory)
  builder.begin(2)
  builder.appendString('a')
  builder.appendString('')
  const column = builder.finish()
  assert.equal(column.validity, undefined)
  assert.deepEqual(cells(column), ['a', ''])
})

test('a null that was rolled back leaves no validity behind', () => {
  const builder = new VariableColumnBuilder(memory)
  builder.begin(2)
  builder.appendString('a')
  builder.appendNull()
  builder.rollback(1)
  builder.appendString('b')
  const column = builder.finish()
  assert.equal(column.validity, undefined)
  assert.deepEqual(cells(column), ['a', 'b'])
})

test('a rollback to a row that is not there yet changes nothing', () => {
  const builder = new VariableColumnBuilder(memory)
  builder.begin(1)
  builder.appendString('a')
  builder.rollback(1)
  builder.rollback(5)
  assert.deepEqual(cells(builder.finish()), ['a'])
})

test('a finished column is not touched by the next one', () => {
  const builder = new VariableColumnBuilder(memory)
  builder.begin(1)
  builder.appendString('first')
  const first = builder.finish()
  builder.begin(1)
  builder.appendString('other')
  builder.finish()
  assert.deepEqual(cells(first), ['first'])
})

test('the bytes of a column are a plain Uint8Array, whose slice copies', () => {
  const builder = new VariableColumnBuilder(memory)
  builder.begin(1)
  builder.appendString('a')
  const column = builder.finish()
  assert.ok(column.kind === 'variable' && !Buffer.isBuffer(column.bytes))
})

const wide: { name: string; append: (builder: WideColumnBuilder) => void; value: bigint }[] = [
  { name: 'the smallest int64', append: (builder) => builder.appendWords(0, 0x8000_0000), value: -(2n ** 63n) },
  { name: 'minus one by words', append: (builder) => builder.appendWords(-1, -1), value: -1n },
  { name: 'minus one by number', append: (builder) => builder.appendNumber(-1), value: -1n },
  { name: 'minus 2^32', append: (builder) => builder.appendNumber(-(2 ** 32)), value: -(2n ** 32n) },
  { name: '2^53 - 1', append: (builder) => builder.appendNumber(2 ** 53 - 1), value: 2n ** 53n - 1n },
  {
    name: 'the last microsecond of the year 9999',
    append: (builder) => builder.appendMicroseconds(253_402_300_799, 999_999),
    value: 253_402_300_799_999_999n,
  },
  {
    name: 'the first microsecond of the year 1',
    append: (builder) => builder.appendMicroseconds(-62_135_596_800, 1),
    value: -62_135_596_799_999_999n,
  },
]

for (const { name, append, value } of wide) {
  test(`a 64-bit column holds ${name} exactly`, () => {
    const builder = new WideColumnBuilder(BigInt64Array, memory)
    builder.begin(1)
    append(builder)
    assert.deepEqual(cells(builder.finish()), [value])
  })
}

test('a column beyond its bound ends the load before it takes the memory', () => {
  const builder = new VariableColumnBuilder(memory)
  builder.begin(0)
  assert.throws(() => builder.appendBytes(new Uint8Array(0), 0, columnBytesMax + 1), /lower batch\.maxBytes/)
})

// Each step appends a value or a null to every builder, or rolls back to a row; a plain array is the model.
const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ append: fc.option(fc.string({ unit: 'binary', maxLength: 80, size: 'max' })) }) },
  { weight: 1, arbitrary: fc.record({ rollback: fc.nat(200) }) },
)

test('any appends and rollbacks give the rows that remain', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200, size: 'max' }), fc.nat(40), (steps, rowsExpected) => {
      const text = new VariableColumnBuilder(memory)
      const bytes = new VariableColumnBuilder(memory)
      const integer = createColumnBuilder('int32', memory)
      assert.ok('append' in integer)
      const wide = new WideColumnBuilder(BigInt64Array, memory)
      const characters = new VariableColumnBuilder(memory)
      const list = new ListColumnBuilder(characters, memory)
      const builders = [text, bytes, integer, wide, list]
      const model: (string | null)[] = []
      for (const builder of builders) builder.begin(rowsExpected)
      for (const each of steps) {
        if ('rollback' in each) {
          model.splice(each.rollback)
          // Of a row that was begun and not ended.
          characters.appendString('item')
          for (const builder of builders) builder.rollback(each.rollback)
        } else if (each.append === null) {
          model.push(null)
          for (const builder of builders) builder.appendNull()
        } else {
          model.push(each.append)
          text.appendString(each.append)
          const encoded = new TextEncoder().encode(`-${each.append}-`)
          bytes.appendBytes(encoded, 1, encoded.length - 1)
          integer.append(each.append.length)
          wide.appendNumber(each.append.length)
          for (const character of each.append) characters.appendString(character)
          list.endRow()
        }
      }
      const columns = builders.map((builder) => builder.finish())
      const lengths = model.map((one) => one?.length ?? null)
      const wides = lengths.map((one) => (one === null ? null : BigInt(one)))
      const expected = [model, model, lengths, wides, model.map((one) => (one === null ? null : [...one]))]
      assert.deepEqual(columns.map(cells), expected)
      for (const { validity } of columns) assert.equal(validity === undefined, !model.includes(null))
    }),
  )
})

function cells(column: Column): unknown[] {
  if (column.kind === 'list') {
    const items = cells(column.items)
    const { offsets } = column
    return Array.from({ length: offsets.length - 1 }, (_, row) =>
      hasValue(column, row) ? items.slice(offsets[row], offsets[row + 1]) : null,
    )
  }
  const rowCount = column.kind === 'fixed' ? column.values.length : column.offsets.length - 1
  return Array.from({ length: rowCount }, (_, row) => {
    if (!hasValue(column, row)) return null
    if (column.kind === 'fixed') return column.values[row]
    const bytes = column.bytes.subarray(column.offsets[row], column.offsets[row + 1])
    return new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes)
  })
}
