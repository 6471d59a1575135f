// Run by rebalance-soak.test.ts in a process of its own, whose memory it watches: a group member that stays while others come
// and go. Fails at a gap or a double. Tells after each assignment how much is resident, and ends when it is told how many
// records there are and has read them. Arguments: the broker, the group, a topic without holes.
import assert from 'node:assert/strict'
import { partitionKey } from '../../src/kafka/partition-reader.ts'
import type { TopicPartition } from '../../src/kafka/partition-reader.ts'
import { SlabView } from '../../src/kafka/slab.ts'
import { until } from './native-reader-fixture.ts'
import { joinGroup } from './native-group-member.ts'
import type { Ledger } from './native-group-member.ts'

/** Keeps only where each partition stands, because it must not grow itself. */
class StrictLedger implements Ledger {
  readonly #next = new Map<string, number>()
  records = 0

  add(partition: TopicPartition, slab: ArrayBuffer): void {
    const view = new SlabView(slab)
    const first = this.next(partition)
    for (let index = 0; index < view.count; index++) {
      assert.equal(view.offset(index), first + index, `a gap or a double in ${partitionKey(partition)}`)
    }
    this.#next.set(partitionKey(partition), first + view.count)
    this.records += view.count
  }

  next(partition: TopicPartition): number {
    return this.#next.get(partitionKey(partition)) ?? 0
  }
}

const [bootstrap = '', group = '', topic = ''] = process.argv.slice(2)
const ledger = new StrictLedger()
const member = await joinGroup(bootstrap, group, topic, ledger)
process.on('message', (written: number) => void finish(written))
for (;;) {
  globalThis.gc?.()
  process.send?.(process.memoryUsage().rss)
  await member.nextAssignment()
}

async function finish(written: number): Promise<void> {
  await until('everything is read', () => ledger.records === written)
  await member.leave()
  process.exit(0)
}
