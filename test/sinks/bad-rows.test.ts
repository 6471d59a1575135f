import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { badRowsMax, findBadRows } from '../../src/sinks/bad-rows.ts'
import type { RowsProbe } from '../../src/sinks/bad-rows.ts'

const noSignal = new AbortController().signal
const found = async (...asked: Parameters<typeof findBadRows>) => (await findBadRows(...asked)).map(({ row }) => row)

/** A table that refuses some keys, and each that it has already; row r has the r-th key. Counts what it is asked. */
function table(keys: readonly number[], refused: readonly number[] = []) {
  const asked = { probes: 0 }
  const probe: RowsProbe = (from, to) => {
    asked.probes++
    const tried = keys.slice(from, to)
    const fits = new Set(tried).size === tried.length && !tried.some((key) => refused.includes(key))
    return Promise.resolve(fits ? undefined : new Error('refused'))
  }
  return { probe, asked }
}

const range = (from: number, to: number) => Array.from({ length: to - from }, (_, index) => from + index)

describe('findBadRows', () => {
  const cases: { name: string; keys: number[]; refused?: number[]; from?: number; rows: number[] }[] = [
    { name: 'none', keys: range(0, 10), rows: [] },
    { name: 'the first', keys: range(0, 10), refused: [0], rows: [0] },
    { name: 'the last', keys: range(0, 10), refused: [9], rows: [9] },
    { name: 'some', keys: range(0, 100), refused: [3, 4, 50, 99], rows: [3, 4, 50, 99] },
    { name: 'all', keys: range(0, 7), refused: range(0, 7), rows: range(0, 7) },
    { name: 'the only one', keys: [5], refused: [5], rows: [0] },
    { name: 'none of a head that is in already', keys: range(0, 10), refused: [0, 8], from: 4, rows: [8] },
    { name: 'the later of two that repeat a key', keys: [1, 2, 3, 4, 5, 6, 2, 8], rows: [6] },
    { name: 'the later of two neighbours', keys: [1, 2, 3, 3], rows: [3] },
    { name: 'a repeat within one half', keys: [1, 1, 2, 3, 4, 5, 6, 7], rows: [1] },
  ]
  for (const { name, keys, refused, from = 0, rows } of cases) {
    test(`names ${name}`, async () => {
      assert.deepEqual(await found(from, keys.length, table(keys, refused).probe, noSignal), rows)
    })
  }

  test('finds every repeat when it is asked again without those it found', async () => {
    let keys = [4, 1, 2, 1, 3, 3, 4, 2, 2]
    for (let rounds = 0; ; rounds++) {
      assert.ok(rounds < 9)
      const bad = await found(0, keys.length, table(keys).probe, noSignal)
      if (bad.length === 0) break
      keys = keys.filter((_, row) => !bad.includes(row))
    }
    assert.deepEqual(keys.toSorted(), [1, 2, 3, 4])
  })

  test('needs few probes for a repeat among very many rows', async () => {
    const { probe, asked } = table([...range(0, 50_000), 7])
    assert.deepEqual(await found(0, 50_001, probe, noSignal), [50_000])
    assert.ok(asked.probes < 40, `${asked.probes} probes`)
  })

  test('stops at its bound: what is left is found with the next write', async () => {
    const { probe, asked } = table(range(0, 50_000), range(0, 50_000))
    assert.deepEqual(await found(0, 50_000, probe, noSignal), range(0, badRowsMax))
    assert.ok(asked.probes < 2 * badRowsMax + 40, `${asked.probes} probes`)
  })

  test('names what it has when it is broken off', async () => {
    const { probe } = table(range(0, 100), range(0, 100))
    const breaker = new AbortController()
    const rows = await found(
      0,
      100,
      (from, to) => {
        if (from === 10 && to === 11) breaker.abort()
        return probe(from, to)
      },
      breaker.signal,
    )
    assert.deepEqual(rows, range(0, 11))
  })

  test('names no row when a probe fails for another reason', async () => {
    const probe: RowsProbe = (from, to) =>
      to - from === 1 ? Promise.reject(new Error('disk full')) : Promise.resolve(new Error('refused'))
    await assert.rejects(findBadRows(0, 8, probe, noSignal), /disk full/)
  })
})
