import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { runChaos } from '../chaos/chaos-run.ts'
import { MillraceTarget } from '../chaos/millrace-target.ts'
import { passed, printTable } from '../chaos/report.ts'

/** Faults that take seconds; `npm run chaos` has them all and more time. */
const kinds = [
  'kill-9',
  'sigterm',
  'pause-within-session',
  'guest-joins-and-leaves',
  'kill-in-commit',
  'lost-sink-reply',
  'kafka-cut',
  'kafka-delay',
  'partitions-added',
]

describe('a minute of chaos', () => {
  test('loses nothing, doubles nothing and commits nothing ahead of DuckDB', async () => {
    const lines: string[] = []
    const result = await runChaos({
      seed: 7,
      minutes: 0.6,
      sink: 'duckdb',
      kinds,
      records: 100_000,
      members: 1,
      createTarget: (setting) => new MillraceTarget(setting),
      say: (line) => lines.push(line),
    })
    printTable(result, (line) => lines.push(line))
    const told = lines.join('\n')
    assert.ok(passed(result), `${told}\n${result.output}`)
    // A run in which nothing happened would pass as well.
    assert.ok(result.faults.length >= 3 && result.verdict.rows > 50_000, told)
    assert.ok(result.verdict.deadLetters > 0 && result.transactions.aborted > 0, told)
  })
})
