import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { planLoad } from '../../src/lanes/scheduler.ts'
import type { FlushReason, ReadyLane } from '../../src/lanes/scheduler.ts'

const runs = Number(process.env['MILLRACE_TEST_RUNS'] ?? 5_000)
const limits = { maxBytes: 100, maxRecords: 10, lingerMs: 50 }
const now = 1_000

const lane: fc.Arbitrary<ReadyLane> = fc.record({
  route: fc.constantFrom('a', 'b', 'c'),
  bufferedBytes: fc.integer({ min: 1, max: 60 }),
  bufferedRecords: fc.integer({ min: 1, max: 6 }),
  oldestAt: fc.integer({ min: 930, max: now }),
  draining: fc.option(fc.constantFrom('revoke' as const, 'shutdown' as const), { nil: undefined, freq: 8 }),
  suspect: fc.constant(false),
})
const blockedRoutes = fc.subarray(['a', 'b', 'c'])
const sum = (lanes: readonly ReadyLane[], count: (lane: ReadyLane) => number) =>
  lanes.reduce((total, each) => total + count(each), 0)

/** Every reason there is for a route's lanes to be written now. */
function reasons(lanes: readonly ReadyLane[]): FlushReason[] {
  const found: FlushReason[] = []
  if (sum(lanes, ({ bufferedBytes }) => bufferedBytes) >= limits.maxBytes) found.push('bytes')
  if (sum(lanes, ({ bufferedRecords }) => bufferedRecords) >= limits.maxRecords) found.push('records')
  for (const { draining } of lanes) if (draining) found.push(draining)
  if (lanes.some(({ oldestAt }) => now - oldestAt! >= limits.lingerMs)) found.push('age')
  return found
}

const isFull = (lanes: readonly ReadyLane[]) =>
  reasons(lanes).some((reason) => reason === 'bytes' || reason === 'records')

test('what is due leaves, for a reason that holds, with as many lanes as fill a load and those first that a group waits for', () => {
  fc.assert(
    fc.property(fc.array(lane, { maxLength: 12, size: 'max' }), blockedRoutes, (lanes, blocked) => {
      const ofRoute = (route: string) => lanes.filter((each) => each.route === route)
      const open = ['a', 'b', 'c'].filter((route) => !blocked.includes(route))
      const due = open.filter((route) => reasons(ofRoute(route)).length > 0)
      const plan = planLoad(
        lanes,
        () => limits,
        now,
        (route) => blocked.includes(route),
      )
      if (!('load' in plan)) {
        assert.deepEqual(due, [], 'nothing that is due is left')
        const oldest = Math.min(...open.flatMap(ofRoute).map(({ oldestAt }) => oldestAt!))
        assert.equal(plan.dueAt, oldest + limits.lingerMs)
        return
      }
      const { route, reason, lanes: taken } = plan.load
      assert(due.includes(route))
      assert(reasons(ofRoute(route)).includes(reason))
      assert(taken.every((each) => each.route === route))
      assert.equal(new Set(taken).size, taken.length)
      // Full only with its last lane, and short of full only when there is no other.
      assert(taken.length > 0 && !isFull(taken.slice(0, -1)))
      if (!isFull(taken)) assert.equal(taken.length, ofRoute(route).length)
      const inOrder = [...ofRoute(route)].sort(
        (a, b) => Number(b.draining !== undefined) - Number(a.draining !== undefined),
      )
      assert.deepEqual(taken, inOrder.slice(0, taken.length))
    }),
    { numRuns: runs, includeErrorInReport: true },
  )
})
