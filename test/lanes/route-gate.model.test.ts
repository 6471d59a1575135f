import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { RouteGate } from '../../src/lanes/route-gate.ts'

const runs = Number(process.env['MILLRACE_TEST_RUNS'] ?? 5_000)
const waitMs = (attempt: number) => attempt * 10

type Step = { readonly kind: 'try' | 'succeed' | 'fail' } | { readonly kind: 'pass'; readonly ms: number }
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constantFrom('try', 'succeed', 'fail') }),
  fc.record({ kind: fc.constant('pass'), ms: fc.integer({ min: 1, max: 25 }) }),
)

// The reference is the history: what came of the loads so far, and since when nothing but failures came.
test('after a failure loads wait, and one at a time asks whether the sink is back, until one succeeds', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60, size: 'max' }), (steps) => {
      const gate = new RouteGate((_, attempt) => waitMs(attempt))
      let now = 1_000
      let underWay = 0
      /** Since the last success. */
      let failures: number[] = []
      let departedSince = 0
      for (const each of steps) {
        const until = failures.length === 0 ? -Infinity : failures.at(-1)! + waitMs(failures.length)
        const mayPass = failures.length === 0 || (departedSince === 0 && now >= until)
        assert.equal(gate.blocked(now), !mayPass)
        assert.deepEqual(
          gate.state && [gate.state.since, gate.state.attempts, gate.state.until],
          failures.length === 0 ? undefined : [failures[0], failures.length, until],
        )
        assert.equal(gate.opensAt, failures.length === 0 || departedSince > 0 ? undefined : until)
        if (each.kind === 'pass') now += each.ms
        else if (each.kind === 'try') {
          if (!mayPass) continue
          gate.departed()
          underWay++
          departedSince++
        } else if (underWay > 0) {
          underWay--
          departedSince = 0
          failures = each.kind === 'succeed' ? [] : [...failures, now]
          if (each.kind === 'succeed') gate.succeeded()
          else gate.failed(new Error('away'), now)
        }
      }
    }),
    { numRuns: runs, includeErrorInReport: true },
  )
})
