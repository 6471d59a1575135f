import assert from 'node:assert/strict'
import { after, afterEach, before, beforeEach, describe, test } from 'node:test'
import type { KafkaConsumer } from '@confluentinc/kafka-javascript'
import type { PartitionReader } from '../../src/kafka/partition-reader.ts'
import { decodeHeaders, SlabView } from '../../src/kafka/slab.ts'
import { sharedKafkaBroker, uniqueName } from '../support/kafka-broker.ts'
import type { SharedKafkaBroker } from '../support/kafka-broker.ts'
import {
  connectConsumer,
  disconnect,
  flow,
  keepPolling,
  OffsetLog,
  produce,
  produceTransaction,
  range,
  smallRecords,
  until,
} from './native-reader-fixture.ts'

const partitions = 4
const recordsAPartition = 20_000

/** What the pipeline relies on, whichever reader serves it: both hold these against a real broker. */
export function describeReaderContract(name: string, create: (consumer: KafkaConsumer) => PartitionReader): void {
  describe(`${name} keeps the contract of a partition reader`, () => {
    let broker: SharedKafkaBroker
    let consumer: KafkaConsumer
    let reader: PartitionReader
    let polling: { stop(): Promise<void> }
    const topic = uniqueName('contract')

    before(async () => {
      broker = await sharedKafkaBroker()
      await broker.createTopic(topic, partitions)
      await produce(broker.bootstrap, topic, smallRecords(recordsAPartition, partitions))
    })
    after(() => broker.stop())
    beforeEach(async () => {
      consumer = await connectConsumer(broker.bootstrap, { 'group.id': uniqueName('contract') })
      reader = create(consumer)
      polling = keepPolling(reader)
    })
    afterEach(async () => {
      await polling.stop()
      await reader.stop()
      await disconnect(consumer)
    })

    const all = () => range(0, partitions).map((partition) => ({ topic, partition }))

    test('every record arrives once and in its order', async () => {
      const logs = all().map((partition) => flow(reader, partition))
      consumer.assign(all().map((partition) => ({ ...partition, offset: 0 })))
      await Promise.all(logs.map((log) => log.reached(recordsAPartition)))
      for (const { offsets } of logs) assert.deepEqual(offsets, range(0, recordsAPartition))
      assert.deepEqual(
        all().map((partition) => reader.position(partition)),
        all().map(() => recordsAPartition),
      )
    })

    test('a partition begins at the offset that it was assigned with', async () => {
      const partition = { topic, partition: 1 }
      const log = flow(reader, partition)
      consumer.assign([{ ...partition, offset: 15_000 }])
      await log.reached(5_000)
      assert.deepEqual(log.offsets, range(15_000, recordsAPartition))
    })

    test('without a grant nothing of a partition arrives, while the others flow', async () => {
      const [held, free] = [
        { topic, partition: 0 },
        { topic, partition: 1 },
      ]
      const log = new OffsetLog()
      reader.open(held, log.receive)
      const flowing = flow(reader, free)
      reader.grant(held, 1)
      consumer.assign([
        { ...held, offset: 0 },
        { ...free, offset: 0 },
      ])
      await flowing.reached(recordsAPartition)
      const overdrawn = log.slabs.length
      assert.ok(overdrawn <= 1, `${overdrawn} slabs for a grant of one byte`)
      reader.grant(held, 64 * 1024 * 1024)
      await log.reached(recordsAPartition)
      assert.deepEqual(log.offsets, range(0, recordsAPartition))
    })

    test('key, value, headers and time arrive whole, a null value and a megabyte too', async () => {
      const whole = uniqueName('whole')
      await broker.createTopic(whole, 1, { 'max.message.bytes': '2000000' })
      const big = Buffer.alloc(1_000_000, 7)
      await produce(broker.bootstrap, whole, [
        {
          partition: 0,
          key: Buffer.from('k'),
          value: Buffer.from('v'),
          timestamp: 1234,
          headers: [{ a: 'x' }, { a: 'y' }],
        },
        { partition: 0, key: null, value: null },
        { partition: 0, value: big.subarray(0, 990_000) },
        { partition: 0, value: Buffer.from('after') },
      ])
      const log = flow(reader, { topic: whole, partition: 0 })
      consumer.assign([{ topic: whole, partition: 0, offset: 0 }])
      await log.reached(4)
      const views = log.slabs.map((slab) => new SlabView(slab))
      const records = views.flatMap((view) => range(0, view.count).map((index) => ({ view, index })))
      const [first, second, third, fourth] = records
      const text = (bytes: Uint8Array | null) => bytes && Buffer.from(bytes).toString()
      assert.deepEqual([text(first!.view.key(first!.index)), text(first!.view.value(first!.index))], ['k', 'v'])
      assert.equal(first!.view.timestamp(first!.index), 1234)
      assert.deepEqual(
        decodeHeaders(first!.view.headers(first!.index)).map((header) => [header.name, text(header.value)]),
        [
          ['a', 'x'],
          ['a', 'y'],
        ],
      )
      assert.deepEqual([second!.view.key(second!.index), second!.view.value(second!.index)], [null, null])
      assert.ok(Buffer.from(third!.view.value(third!.index)!).equals(big.subarray(0, 990_000)))
      assert.equal(text(fourth!.view.value(fourth!.index)), 'after')
    })

    test('a rewind goes on from its offset, forth and back, with nothing of what was read before', async () => {
      const partition = { topic, partition: 2 }
      const log = new OffsetLog()
      reader.open(partition, log.receive)
      consumer.assign([{ ...partition, offset: 0 }])
      reader.grant(partition, 500_000)
      await log.reached(1)
      for (const offset of [12_000, 3, 0]) {
        await reader.rewind(partition, offset)
        const seen = log.offsets.length
        reader.grant(partition, 100_000)
        await log.reached(seen + 1)
        const since = log.offsets.slice(seen)
        assert.deepEqual(since, range(offset, offset + since.length))
      }
    })

    test('a partition closed while it flows and opened again shares nothing with its past', async () => {
      const partition = { topic, partition: 3 }
      const past = flow(reader, partition)
      consumer.assign([{ ...partition, offset: 0 }])
      await past.reached(1)
      reader.close(partition)
      const seen = past.offsets.length
      consumer.unassign()
      const present = flow(reader, partition)
      consumer.assign([{ ...partition, offset: 10_000 }])
      await present.reached(10_000)
      assert.deepEqual(present.offsets, range(10_000, recordsAPartition))
      assert.equal(past.offsets.length, seen)
    })

    test('a partition given up without a grant left flows when it comes back', async () => {
      const partition = { topic, partition: 3 }
      const past = new OffsetLog()
      reader.open(partition, past.receive)
      reader.grant(partition, 1)
      consumer.assign([{ ...partition, offset: 0 }])
      await past.reached(1)
      reader.close(partition)
      consumer.unassign()
      const present = flow(reader, partition)
      consumer.assign([{ ...partition, offset: 0 }])
      await present.reached(recordsAPartition)
      assert.deepEqual(present.offsets, range(0, recordsAPartition))
    })

    test('of a halted partition nothing is fetched, and opened and assigned again it flows', async () => {
      const own = uniqueName('halted')
      await broker.createTopic(own, 2)
      const [halted, free] = [
        { topic: own, partition: 0 },
        { topic: own, partition: 1 },
      ]
      await produce(broker.bootstrap, own, smallRecords(100, 2))
      const logs = [flow(reader, halted), flow(reader, free)]
      const begin = all()
        .slice(0, 2)
        .map(({ partition }) => ({ topic: own, partition, offset: 0 }))
      consumer.assign(begin)
      await Promise.all(logs.map((log) => log.reached(100)))
      reader.halt(halted)
      // The fetch that waits at the broker still asks for both; the next one does not.
      for (const written of [200, 300]) {
        await produce(broker.bootstrap, own, smallRecords(100, 2))
        await logs[1]!.reached(written)
      }
      assert.ok(consumer.getWatermarkOffsets(own, 0).highOffset <= 200, 'the end of its log is known from fetches only')
      for (const partition of [halted, free]) reader.close(partition)
      consumer.unassign()
      const present = [halted, free].map((partition) => flow(reader, partition))
      consumer.assign(begin)
      await Promise.all(present.map((log) => log.reached(300)))
      assert.deepEqual(present[0]!.offsets, range(0, 300))
    })

    test('of transactions the committed records arrive, and the position passes markers and what was aborted', async () => {
      const transactional = uniqueName('transactions')
      await broker.createTopic(transactional, 1)
      await produceTransaction(broker.bootstrap, transactional, 0, 3, 'commit')
      await produceTransaction(broker.bootstrap, transactional, 0, 2, 'abort')
      const partition = { topic: transactional, partition: 0 }
      const log = flow(reader, partition)
      consumer.assign([{ ...partition, offset: 0 }])
      // The broker answers the end of a transaction before its marker is in the log.
      await until('both markers are written', async () => (await broker.endOffsets(transactional))[0] === 7)
      await until('the position is the end of the log', () => reader.position(partition) === 7)
      assert.deepEqual(log.offsets, [0, 1, 2])
    })

    test('the holes of a compacted topic stay holes', async () => {
      const compacted = uniqueName('compacted')
      await broker.createTopic(compacted, 1, {
        'cleanup.policy': 'compact',
        'segment.ms': '100',
        'min.cleanable.dirty.ratio': '0.01',
        'max.compaction.lag.ms': '100',
      })
      const partition = { topic: compacted, partition: 0 }
      const write = (key: string) =>
        produce(broker.bootstrap, compacted, [{ partition: 0, key: Buffer.from(key), value: Buffer.from('v') }])
      for (const key of ['a', 'a', 'b', 'a', 'b']) await write(key)
      const offsets = async () => {
        await write('last')
        const [end = 0] = await broker.endOffsets(compacted)
        const log = flow(reader, partition)
        consumer.assign([{ ...partition, offset: 0 }])
        await until('all is read', () => reader.position(partition) === end)
        reader.close(partition)
        consumer.unassign()
        return log.offsets
      }
      let seen: number[] = []
      // The broker compacts when it pleases, and never the segment that is written to.
      await until('compacted', async () => (seen = await offsets())[0] === 3)
      assert.deepEqual(seen.slice(0, 2), [3, 4])
      assert.deepEqual(
        seen,
        [...seen].sort((a, b) => a - b),
      )
    })

    test('of 200 partitions the three busy ones flow, and the others keep their silence', async () => {
      const many = uniqueName('many')
      await broker.createTopic(many, 200)
      const busy = [7, 77, 177]
      const each = range(0, 200).map((partition) => ({ topic: many, partition }))
      const logs = each.map((partition) => flow(reader, partition))
      consumer.assign(each.map((partition) => ({ ...partition, offset: 0 })))
      const records = [...smallRecords(2_000, 1)].flatMap((record) =>
        busy.map((partition) => ({ ...record, partition })),
      )
      await produce(broker.bootstrap, many, records)
      await Promise.all(busy.map((partition) => logs[partition]!.reached(2_000)))
      for (const partition of busy) assert.deepEqual(logs[partition]!.offsets, range(0, 2_000))
      assert.equal(
        logs.reduce((sum, { offsets }) => sum + offsets.length, 0),
        6_000,
      )
    })
  })
}
