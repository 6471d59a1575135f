import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { RouteGate } from '../../src/lanes/route-gate.ts'
import type { Passage } from '../../src/lanes/route-gate.ts'

const runs = Number(process.env['MILLRACE_TEST_RUNS'] ?? 5_000)
const waitMs = (attempt: number) => attempt * 10

type Step =
  | { readonly kind: 'try' }
  /** Of the loads under way one ends: which, by its place among them. */
  | { readonly kind: 'succeed' | 'fail'; readonly which: number }
  | { readonly kind: 'pass'; readonly ms: number }
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constant('try') }),
  fc.record({ kind: fc.constantFrom('succeed', 'fail'), which: fc.nat(7) }),
  fc.record({ kind: fc.constant('pass'), ms: fc.integer({ min: 1, max: 25 }) }),
)

// The reference is the history: each load under way with how many failures there were when it departed, and the failures
// since the last success. A load counts only if no failure came after it departed.
test('after a failure loads wait, and one at a time asks whether the sink is back, until one succeeds', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60, size: 'max' }), (steps) => {
      const gate = new RouteGate((_, attempt) => waitMs(attempt))
      let now = 1_000
      const underWay: { readonly passage: Passage; readonly after: number }[] = []
      let failedInAll = 0
      /** Since the last success. */
      let failures: number[] = []
      for (const each of steps) {
        const until = failures.length === 0 ? -Infinity : failures.at(-1)! + waitMs(failures.length)
        const probing = failures.length > 0 && underWay.some(({ after }) => after === failedInAll)
        const mayPass = failures.length === 0 || (!probing && now >= until)
        assert.equal(gate.blocked(now), !mayPass)
        assert.deepEqual(
          gate.state && [gate.state.since, gate.state.attempts, gate.state.until],
          failures.length === 0 ? undefined : [failures[0], failures.length, until],
        )
        assert.equal(gate.probing, probing)
        assert.equal(gate.opensAt, failures.length === 0 || probing ? undefined : until)
        if (each.kind === 'pass') now += each.ms
        else if (each.kind === 'try') {
          if (mayPass) underWay.push({ passage: gate.departed(), after: failedInAll })
        } else if (underWay.length > 0) {
          const [ended] = underWay.splice(each.which % underWay.length, 1)
          const counts = ended!.after === failedInAll
          if (counts) failures = each.kind === 'succeed' ? [] : [...failures, now]
          if (counts && each.kind === 'fail') failedInAll++
          if (each.kind === 'succeed') gate.succeeded(ended!.passage)
          else gate.failed(ended!.passage, new Error('away'), now)
        }
      }
    }),
    { numRuns: runs, includeErrorInReport: true },
  )
})
