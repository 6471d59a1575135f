import assert from 'node:assert/strict'
import { test } from 'node:test'
import { backoffMs } from '../src/backoff.ts'

const cases: { name: string; attempt: number; random: number; expected: number }[] = [
  { name: 'the first wait is at most the first step', attempt: 1, random: 1, expected: 200 },
  { name: 'each attempt doubles it', attempt: 3, random: 1, expected: 800 },
  { name: 'up to the bound', attempt: 1_000_000, random: 1, expected: 30_000 },
  { name: 'jitter spreads it, never to nothing', attempt: 1, random: 0, expected: 20 },
]

for (const { name, attempt, random, expected } of cases) {
  test(name, () => assert.equal(backoffMs(attempt, 200, 30_000, random), expected))
}
