import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { RouteGate } from '../../src/lanes/route-gate.ts'

describe('RouteGate', () => {
  test('after a failure nothing passes until the wait is over, then one probe, then all', () => {
    const gate = new RouteGate((_, attempt) => attempt * 100)
    assert.equal(gate.blocked(0), false)
    gate.failed(gate.departed(), new Error('away'), 1000)
    assert.equal(gate.blocked(1099), true)
    assert.equal(gate.opensAt, 1100)
    assert.equal(gate.blocked(1100), false)
    const probe = gate.departed()
    assert.equal(gate.blocked(1100), true, 'the probe is under way')
    gate.succeeded(probe)
    assert.equal(gate.blocked(1100), false)
    assert.equal(gate.state, undefined)
  })

  test('a failed probe waits longer, and the state tells since when and how often', () => {
    const gate = new RouteGate((_, attempt) => attempt * 100)
    gate.failed(gate.departed(), new Error('first'), 1000)
    const second = new Error('second')
    gate.failed(gate.departed(), second, 1200)
    assert.deepEqual(gate.state, { error: second, attempts: 2, since: 1000, until: 1400 })
  })

  test('loads that one outage met count as one failure, and one of them that ends late leaves the probe alone', () => {
    const gate = new RouteGate((_, attempt) => attempt * 100)
    const [first, second, third] = [gate.departed(), gate.departed(), gate.departed()]
    const error = new Error('away')
    gate.failed(first, error, 1000)
    gate.failed(second, new Error('away too'), 1001)
    assert.deepEqual(gate.state, { error, attempts: 1, since: 1000, until: 1100 })
    const probe = gate.departed()
    gate.failed(third, new Error('away, told late'), 1150)
    assert.equal(gate.probing, true)
    gate.succeeded(probe)
    assert.equal(gate.state, undefined)
  })

  test('what departed before an outage and ends after it neither opens nor closes the gate', () => {
    const gate = new RouteGate(() => 100)
    const [first, second, third] = [gate.departed(), gate.departed(), gate.departed()]
    gate.failed(first, new Error('away'), 1000)
    gate.succeeded(second)
    assert.equal(gate.blocked(1050), true, 'the sink took that one before it went away')
    gate.succeeded(gate.departed())
    gate.failed(third, new Error('away, told late'), 1200)
    assert.equal(gate.blocked(1200), false)
  })

  test('departing through a closed gate is no probe', () => {
    const gate = new RouteGate(() => 100)
    gate.departed()
    assert.equal(gate.blocked(0), false)
  })
})
