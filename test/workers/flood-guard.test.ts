import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { FloodGuard } from '../../src/workers/flood-guard.ts'

describe('FloodGuard', () => {
  test('a few bad records are no flood, whatever their share', () => {
    const guard = new FloodGuard(0.05)
    assert.equal(guard.refusal('r', 5, 3, 0), undefined)
    assert.equal(guard.refusal('r', 99, 99, 0), undefined)
  })

  test('a share beyond the rate is refused, with the numbers and the cure', () => {
    const guard = new FloodGuard(0.05)
    guard.settled('r', 1000, 20, 0)
    assert.equal(guard.refusal('r', 1000, 80, 10), undefined, '100 of 2000')
    assert.match(
      guard.refusal('r', 1000, 81, 10)?.message ?? '',
      /route r: 101 of 2000 .*deadLetters\.maxRate \(0\.05\)/,
    )
  })

  test('what is older than a minute counts no more', () => {
    const guard = new FloodGuard(0.5)
    guard.settled('r', 100_000, 0, 0)
    assert.equal(guard.refusal('r', 200, 200, 59_000), undefined)
    assert.ok(guard.refusal('r', 200, 200, 60_000))
  })

  test('once tripped it lets nothing through by and by: the next load must be within the rate by itself', () => {
    const guard = new FloodGuard(0.5)
    assert.ok(guard.refusal('r', 200, 200, 0))
    assert.ok(guard.refusal('r', 10, 10, 120_000), 'fewer than would trip it')
    assert.equal(guard.refusal('r', 10, 1, 120_001), undefined)
    assert.equal(guard.refusal('r', 10, 10, 120_002), undefined, 'it has closed again')
  })

  test('routes have a count each, and 1 lets any share pass', () => {
    const guard = new FloodGuard(0.5)
    assert.ok(guard.refusal('r', 200, 200, 0))
    assert.equal(guard.refusal('other', 10, 10, 0), undefined)
    assert.equal(new FloodGuard(1).refusal('r', 200, 200, 0), undefined)
  })
})
