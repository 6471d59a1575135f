import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { planLoad } from '../../src/lanes/scheduler.ts'
import type { ReadyLane } from '../../src/lanes/scheduler.ts'

const limits = { maxBytes: 1000, maxRecords: 100, lingerMs: 50 }
const lane = (name: string, part: Partial<ReadyLane> = {}) => ({
  name,
  route: 'a',
  bufferedBytes: 100,
  bufferedRecords: 10,
  oldestAt: 1000,
  draining: undefined,
  suspect: false,
  ...part,
})
const never = () => false

describe('planLoad', () => {
  const cases: { name: string; lanes: ReturnType<typeof lane>[]; now: number; reason: string; taken: string[] }[] = [
    {
      name: 'enough bytes over several lanes leave at once',
      lanes: [lane('x', { bufferedBytes: 600 }), lane('y', { bufferedBytes: 600 }), lane('z')],
      now: 1000,
      reason: 'bytes',
      taken: ['x', 'y'],
    },
    {
      name: 'enough records leave at once, from as few lanes as fill the load',
      lanes: [lane('x', { bufferedRecords: 100 }), lane('y')],
      now: 1000,
      reason: 'records',
      taken: ['x'],
    },
    {
      name: 'an old record takes all lanes of its route along',
      lanes: [lane('x', { oldestAt: 940 }), lane('y')],
      now: 1000,
      reason: 'age',
      taken: ['x', 'y'],
    },
    {
      name: 'a lane being drained does not wait for its age, and goes first',
      lanes: [lane('x'), lane('y', { draining: 'revoke' })],
      now: 1000,
      reason: 'revoke',
      taken: ['y', 'x'],
    },
    {
      name: 'a lane with a record that may end its worker goes alone and at once',
      lanes: [lane('x', { oldestAt: 0 }), lane('y', { suspect: true })],
      now: 1000,
      reason: 'suspect',
      taken: ['y'],
    },
    {
      name: 'routes never share a load',
      lanes: [lane('x', { oldestAt: 0 }), lane('y', { route: 'b', oldestAt: 0 }), lane('z', { oldestAt: 0 })],
      now: 1000,
      reason: 'age',
      taken: ['x', 'z'],
    },
  ]
  for (const { name, lanes, now, reason, taken } of cases) {
    test(name, () => {
      const plan = planLoad(lanes, () => limits, now, never)
      assert.ok('load' in plan)
      assert.deepEqual([plan.load.reason, plan.load.lanes.map((each) => each.name)], [reason, taken])
    })
  }

  test('what is not due says when it will be', () => {
    const lanes = [lane('x', { oldestAt: 990 }), lane('y', { route: 'b', oldestAt: 980 })]
    assert.deepEqual(
      planLoad(lanes, () => limits, 1000, never),
      { dueAt: 1030 },
    )
  })

  test('nothing ready is never due', () => {
    assert.deepEqual(
      planLoad([], () => limits, 1000, never),
      { dueAt: Infinity },
    )
  })

  test('a blocked route keeps no other from leaving', () => {
    const lanes = [lane('x', { oldestAt: 0 }), lane('y', { route: 'b', oldestAt: 0 })]
    const plan = planLoad(
      lanes,
      () => limits,
      1000,
      (route) => route === 'a',
    )
    assert.ok('load' in plan)
    assert.equal(plan.load.route, 'b')
  })
})
