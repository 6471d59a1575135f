import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { bugZoo } from './bug-zoo.ts'
import type { Bug } from './bug-zoo.ts'
import { Ground } from './contract/ground.ts'
import { capabilities } from './contract/store-under-test.ts'
import { createLedgerStore } from './ledger/ledger-store.ts'
import { contract, describeSinkContract } from './sink-contract.ts'

/** A sink that never gets through shows after so long. */
const patienceMs = 3_000

describeSinkContract('a sink without a bug', capabilities, () => createLedgerStore())

describe('the contract of sinks catches', () => {
  const cases = new Map(contract.flatMap((group) => group.cases).map((each) => [each.name, each]))
  const zoo = Object.entries(bugZoo) as [Bug, (typeof bugZoo)[Bug]][]

  for (const [bug, { is, caughtBy }] of zoo) {
    test(`a sink with a bug: ${is}`, async () => {
      for (const name of caughtBy) {
        const found = cases.get(name)
        assert.ok(found, `no case has the name: ${name}`)
        const ground = new Ground(await createLedgerStore(bug), patienceMs)
        try {
          await assert.rejects(found.run(ground), (error) => !(error instanceof TypeError), `not caught by: ${name}`)
        } finally {
          await ground.end()
        }
      }
    })
  }

  test('a bug with each of its cases: none is there that never caught one', () => {
    const seen = new Set(zoo.flatMap(([, { caughtBy }]): readonly string[] => caughtBy))
    assert.deepEqual(
      [...cases.keys()].filter((name) => !seen.has(name)),
      [],
    )
  })
})
