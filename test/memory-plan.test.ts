import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { ConfigError } from '../src/errors.ts'
import { planMemory } from '../src/memory-plan.ts'

const mebibyte = 1024 * 1024

const pool = (threads: number, loadMebibytes: number) => ({
  threads,
  loadsAThread: 1,
  limits: { maxBytes: loadMebibytes * mebibyte, maxRecords: 1000, lingerMs: 0 },
})

describe('planMemory', () => {
  test('what is planned never adds up to more than there is', () => {
    const sizes = fc.integer({ min: 16, max: 65_536 })
    const counts = fc.integer({ min: 1, max: 2000 })
    fc.assert(
      fc.property(sizes, counts, fc.integer({ min: 1, max: 64 }), sizes, (mebibytes, partitions, threads, batch) => {
        const maxBytes = mebibytes * mebibyte
        let plan
        try {
          plan = planMemory(maxBytes, partitions, [pool(threads, batch)])
        } catch (error) {
          assert.ok(error instanceof ConfigError)
          return
        }
        // A fetch grows eightfold in the queue.
        const queues = partitions * (plan.queuedBytesAPartition + 8 * plan.fetchBytesAPartition)
        // A lane overdraws its share by at most one slab, which is at most half of a share, or the least a slab can be.
        const loads = threads * plan.loadBytesMax * 3
        assert.ok(queues + plan.lanesBytes + loads <= maxBytes)
        assert.ok(plan.loadBytesMax <= batch * mebibyte)
      }),
    )
  })

  test('eight partitions in the default memory are read in full slabs and written in full loads', () => {
    const plan = planMemory(512 * mebibyte, 8, [pool(2, 8)])
    assert.deepEqual([plan.slabBytesMax, plan.loadBytesMax, plan.lanesBytes], [mebibyte, 8 * mebibyte, 256 * mebibyte])
  })

  test('what cannot fit is refused with what would do', () => {
    assert.throws(
      () => planMemory(64 * mebibyte, 200, [pool(2, 8)]),
      /200 partitions and 2 loads at once.*at least 200MiB/,
    )
    assert.doesNotThrow(() => planMemory(200 * mebibyte, 200, [pool(2, 8)]))
  })

  test('the loads of all sinks fit together, as many as there may be at once', () => {
    const pools = [pool(2, 8), { ...pool(1, 32), loadsAThread: 2 }]
    // A quarter of the memory for four loads, each with its columns twice.
    assert.equal(planMemory(512 * mebibyte, 8, pools).loadBytesMax, Math.floor((128 * mebibyte) / 4 / 3))
    assert.equal(planMemory(8192 * mebibyte, 8, pools).loadBytesMax, 32 * mebibyte)
  })
})
