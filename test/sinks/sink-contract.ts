import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Ground } from './contract/ground.ts'
import type { ContractCase } from './contract/ground.ts'
import { networkCases } from './contract/network-cases.ts'
import { backupCases, crashCases, refusalCases, restartCases } from './contract/outage-cases.ts'
import { ownershipCases } from './contract/ownership-cases.ts'
import { poisonCases } from './contract/poison-cases.ts'
import { replayCases } from './contract/replay-cases.ts'
import { guaranteeCases, schemaCases } from './contract/schema-cases.ts'
import { capabilities } from './contract/store-under-test.ts'
import type { Capability, StoreUnderTest } from './contract/store-under-test.ts'

export type { StoreUnderTest } from './contract/store-under-test.ts'

interface CaseGroup {
  /** What a store must be capable of for these cases to be asked of it. */
  readonly needs: readonly Capability[]
  readonly cases: readonly ContractCase[]
}

/** Every case of the contract: as data, so that sinks with planted bugs can be held against it too. */
export const contract: readonly CaseGroup[] = [
  group([], replayCases),
  group([], ownershipCases),
  group([], schemaCases),
  group([], crashCases),
  group(['refuseRows'], poisonCases),
  group(['backUp'], backupCases),
  group(['unfit'], guaranteeCases),
  group(['restart'], restartCases),
  group(['refuseAll'], refusalCases),
  group(['network', 'several'], networkCases),
]

/**
 * Every `position` sink holds these, against its real store: a new sink adds one line that calls this. `able` is all that the
 * store can be put through beside what each must be; what it leaves out, and so the cases that are not asked of it, is a
 * test of its own.
 */
export function describeSinkContract(
  name: string,
  able: readonly Capability[],
  createStore: () => Promise<StoreUnderTest>,
): void {
  describe(`${name} keeps the contract of a sink with positions`, () => {
    const unable = capabilities.filter((each) => !able.includes(each))
    test(`its store is asked for ${able.join(', ') || 'nothing more'}, and not for ${unable.join(', ') || 'nothing'}`, async () => {
      const store = await createStore()
      await store.remove()
      assert.deepEqual(
        capabilities.filter((each) => store[each] !== undefined),
        capabilities.filter((each) => able.includes(each)),
      )
    })
    const asked = contract.filter(({ needs }) => needs.every((each) => able.includes(each)))
    for (const { name: sentence, run } of asked.flatMap(({ cases }) => cases)) {
      test(sentence, async () => {
        const ground = new Ground(await createStore())
        try {
          await run(ground)
        } finally {
          await ground.end()
        }
      })
    }
  })
}

/** `needs` is what the cases' type says; the store was asked for it. */
function group<Store extends StoreUnderTest>(
  needs: readonly Capability[],
  cases: readonly ContractCase<Store>[],
): CaseGroup {
  return { needs, cases: cases as unknown as readonly ContractCase[] }
}
