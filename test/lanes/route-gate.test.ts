import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { RouteGate } from '../../src/lanes/route-gate.ts'

describe('RouteGate', () => {
  test('after a failure nothing passes until the wait is over, then one probe, then all', () => {
    const gate = new RouteGate((_, attempt) => attempt * 100)
    assert.equal(gate.blocked(0), false)
    gate.failed(new Error('away'), 1000)
    assert.equal(gate.blocked(1099), true)
    assert.equal(gate.opensAt, 1100)
    assert.equal(gate.blocked(1100), false)
    gate.departed()
    assert.equal(gate.blocked(1100), true, 'the probe is under way')
    gate.succeeded()
    assert.equal(gate.blocked(1100), false)
    assert.equal(gate.state, undefined)
  })

  test('a failed probe waits longer, and the state tells since when and how often', () => {
    const gate = new RouteGate((_, attempt) => attempt * 100)
    gate.failed(new Error('first'), 1000)
    gate.departed()
    const second = new Error('second')
    gate.failed(second, 1200)
    assert.deepEqual(gate.state, { error: second, attempts: 2, since: 1000, until: 1400 })
  })

  test('departing through a closed gate is no probe', () => {
    const gate = new RouteGate(() => 100)
    gate.departed()
    assert.equal(gate.blocked(0), false)
  })
})
