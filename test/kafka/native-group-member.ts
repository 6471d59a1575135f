import type { BindingConsumer } from '../../src/kafka/binding.ts'
import { errorCodes } from '../../src/kafka/binding.ts'
import { createNativeReader } from '../../src/kafka/native-reader.ts'
import type { NativeReader } from '../../src/kafka/native-reader.ts'
import { partitionKey } from '../../src/kafka/partition-reader.ts'
import type { TopicPartition } from '../../src/kafka/partition-reader.ts'
import { SlabView } from '../../src/kafka/slab.ts'
import { connectConsumer, disconnect, keepPolling } from './native-reader-fixture.ts'

/** What all members of a group have read: the place of a sink that keeps positions. */
export interface Ledger {
  add(partition: TopicPartition, slab: ArrayBuffer): void
  /** Where a new owner has to begin. */
  next(partition: TopicPartition): number
}

/** Keeps every offset, in order of arrival. */
export class OffsetLedger implements Ledger {
  readonly partitions = new Map<string, number[]>()
  count = 0

  add(partition: TopicPartition, slab: ArrayBuffer): void {
    const view = new SlabView(slab)
    const offsets = this.#offsets(partition)
    for (let index = 0; index < view.count; index++) offsets.push(view.offset(index))
    this.count += view.count
  }

  next(partition: TopicPartition): number {
    return (this.#offsets(partition).at(-1) ?? -1) + 1
  }

  #offsets(partition: TopicPartition): number[] {
    const key = partitionKey(partition)
    const offsets = this.partitions.get(key) ?? []
    this.partitions.set(key, offsets)
    return offsets
  }
}

export interface GroupMember {
  /** Resolves with the next assignment that brings a partition. */
  nextAssignment(): Promise<void>
  leave(): Promise<void>
}

/** Joins a cooperative group and reads what it is given, in small pops and slabs. Resolves when it has been given some. */
export async function joinGroup(bootstrap: string, group: string, topic: string, ledger: Ledger): Promise<GroupMember> {
  let onAssigned = () => {}
  const nextAssignment = () => new Promise<void>((resolve) => void (onAssigned = resolve))
  // Made when the consumer has connected; no rebalance comes before it is polled.
  const late: { reader?: NativeReader } = {}
  const member = (await connectConsumer(bootstrap, {
    'group.id': group,
    'partition.assignment.strategy': 'cooperative-sticky',
    'heartbeat.interval.ms': 200,
    rebalance_cb: ({ code }: { code: number }, partitions: TopicPartition[]) => {
      if (code !== errorCodes.assignPartitions) {
        for (const partition of partitions) late.reader?.close(partition)
        return member.incrementalUnassign(partitions)
      }
      for (const partition of partitions) openFor(late.reader!, partition, ledger)
      member.incrementalAssign(partitions.map((partition) => ({ ...partition, offset: ledger.next(partition) })))
      if (partitions.length > 0) onAssigned()
    },
  })) as BindingConsumer
  const reader = createNativeReader(member, { readBytesMax: 4 * 1024, readRecordsMax: 50 })
  late.reader = reader
  const polling = keepPolling(reader)
  const assigned = nextAssignment()
  member.subscribe([topic])
  await assigned
  return {
    nextAssignment,
    async leave() {
      await polling.stop()
      await reader.stop()
      await disconnect(member)
    },
  }
}

function openFor(reader: NativeReader, partition: TopicPartition, ledger: Ledger): void {
  reader.open(partition, (slab) => {
    ledger.add(partition, slab)
    reader.grant(partition, slab.byteLength)
  })
  reader.grant(partition, 20_000)
}
