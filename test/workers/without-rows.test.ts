import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hasValue } from '../../src/decode/columns.ts'
import type { Batch } from '../../src/decode/columns.ts'
import { withoutRows } from '../../src/workers/without-rows.ts'

const words = ['a', '', 'ccc', 'dd']
const batch: Batch = {
  route: 'r',
  topic: 't',
  partition: 0,
  base: 10,
  next: 20,
  epoch: 1,
  table: {
    name: 'x',
    columns: [
      { name: 'number', type: 'int64', nullable: true },
      { name: 'word', type: 'string', nullable: false },
    ],
  },
  rowCount: 4,
  offsets: Float64Array.of(10, 12, 15, 19, 0),
  columns: [
    { kind: 'fixed', values: BigInt64Array.of(1n, 2n, 3n, 4n, 0n), validity: Uint8Array.of(0b1101) },
    {
      kind: 'variable',
      offsets: Uint32Array.of(0, 1, 1, 4, 6),
      bytes: Buffer.from(words.join('')),
      validity: undefined,
    },
  ],
}

const cases: { gone: number[]; numbers: (bigint | null)[]; words: string[]; offsets: number[] }[] = [
  { gone: [0], numbers: [null, 3n, 4n], words: ['', 'ccc', 'dd'], offsets: [12, 15, 19] },
  { gone: [2, 1], numbers: [1n, 4n], words: ['a', 'dd'], offsets: [10, 19] },
  { gone: [0, 1, 2, 3], numbers: [], words: [], offsets: [] },
]

for (const { gone, numbers, words, offsets } of cases) {
  test(`without rows ${gone.join()} the others keep their values, and the range stays`, () => {
    const left = withoutRows(batch, gone)
    assert.deepEqual([left.base, left.next, left.rowCount, [...left.offsets]], [10, 20, offsets.length, offsets])
    const [number, word] = left.columns
    assert.ok(number?.kind === 'fixed' && word?.kind === 'variable')
    assert.deepEqual(
      offsets.map((_, row) => (hasValue(number, row) ? number.values[row] : null)),
      numbers,
    )
    const text = (row: number) => Buffer.from(word.bytes.subarray(word.offsets[row], word.offsets[row + 1])).toString()
    assert.deepEqual(
      offsets.map((_, row) => text(row)),
      words,
    )
  })
}
