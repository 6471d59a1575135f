import assert from 'node:assert/strict'
import { test } from 'node:test'
import { appendRules, hasValue } from '../../src/decode/columns.ts'
import type { Batch, ItemColumn } from '../../src/decode/columns.ts'
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
    rules: appendRules,
    columns: [
      { name: 'number', type: 'int64', nullable: true },
      { name: 'word', type: 'string', nullable: false },
      { name: 'list', type: 'string[]', nullable: true },
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
    {
      kind: 'list',
      offsets: Uint32Array.of(0, 2, 2, 3, 4),
      items: {
        kind: 'variable',
        offsets: Uint32Array.of(0, 1, 1, 4, 6),
        bytes: Buffer.from(words.join('')),
        validity: undefined,
      },
      validity: Uint8Array.of(0b1101),
    },
  ],
}

interface Case {
  readonly gone: number[]
  readonly numbers: (bigint | null)[]
  readonly words: string[]
  readonly lists: (string[] | null)[]
  readonly offsets: number[]
}

const cases: readonly Case[] = [
  {
    gone: [0],
    numbers: [null, 3n, 4n],
    words: ['', 'ccc', 'dd'],
    lists: [null, ['ccc'], ['dd']],
    offsets: [12, 15, 19],
  },
  { gone: [2, 1], numbers: [1n, 4n], words: ['a', 'dd'], lists: [['a', ''], ['dd']], offsets: [10, 19] },
  { gone: [0, 1, 2, 3], numbers: [], words: [], lists: [], offsets: [] },
]

for (const { gone, numbers, words, lists, offsets } of cases) {
  test(`without rows ${gone.join()} the others keep their values, and the range stays`, () => {
    const left = withoutRows(batch, gone)
    assert.deepEqual([left.base, left.next, left.rowCount, [...left.offsets]], [10, 20, offsets.length, offsets])
    const [number, word, list] = left.columns
    assert.ok(number?.kind === 'fixed' && word?.kind === 'variable' && list?.kind === 'list')
    assert.deepEqual(
      offsets.map((_, row) => (hasValue(number, row) ? number.values[row] : null)),
      numbers,
    )
    assert.deepEqual(texts(word), words)
    const items = texts(list.items)
    assert.deepEqual(
      offsets.map((_, row) => (hasValue(list, row) ? items.slice(list.offsets[row], list.offsets[row + 1]) : null)),
      lists,
    )
  })
}

function texts(column: ItemColumn): string[] {
  assert.ok(column.kind === 'variable')
  const { offsets, bytes } = column
  return Array.from(offsets.subarray(1), (end, row) => Buffer.from(bytes.subarray(offsets[row], end)).toString())
}
