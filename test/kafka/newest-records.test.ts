import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { readNewest, shareOut } from '../../src/kafka/newest-records.ts'
import { SlabView } from '../../src/kafka/slab.ts'
import { sharedKafkaBroker, uniqueName } from '../support/kafka-broker.ts'
import type { SharedKafkaBroker } from '../support/kafka-broker.ts'
import { produce, produceTransaction, smallRecords, until } from './native-reader-fixture.ts'

const shares: { name: string; available: number[]; count: number; shared: number[] }[] = [
  { name: 'evenly', available: [100, 100], count: 10, shared: [5, 5] },
  { name: 'what one does not have to the others', available: [100, 1, 100], count: 9, shared: [4, 1, 4] },
  { name: 'all there is', available: [2, 0, 3], count: 100, shared: [2, 0, 3] },
  { name: 'to some, where there are more partitions than records', available: [5, 5, 5], count: 1, shared: [1, 0, 0] },
]

for (const { name, available, count, shared } of shares) {
  test(`records are shared out ${name}`, () => assert.deepEqual(shareOut(available, count), shared))
}

describe('the newest records', () => {
  let broker: SharedKafkaBroker
  before(async () => {
    broker = await sharedKafkaBroker()
  })
  after(() => broker.stop())

  const newest = async (topic: string, partitions: number, count: number, timeoutMs = 30_000) => {
    const settings = { 'bootstrap.servers': broker.bootstrap, 'group.id': topic, 'auto.offset.reset': 'error' }
    const wanted = Array.from({ length: partitions }, (_, partition) => ({ topic, partition }))
    const { records, complete } = await readNewest(settings, wanted, count, timeoutMs)
    const offsets = records.map(({ slab }) => {
      const view = new SlabView(slab)
      return Array.from({ length: view.count }, (_, index) => view.offset(index))
    })
    return { offsets, complete }
  }

  test('are those at the end of each partition, an empty one left out', async () => {
    const topic = uniqueName('newest')
    await broker.createTopic(topic, 3)
    await produce(broker.bootstrap, topic, smallRecords(500, 2))
    assert.deepEqual(await newest(topic, 3, 5), {
      offsets: [
        [497, 498, 499],
        [498, 499],
      ],
      complete: true,
    })
  })

  test('are looked for further back where the end of the log is markers and aborted records', async () => {
    const topic = uniqueName('newest-holes')
    await broker.createTopic(topic, 1)
    await produceTransaction(broker.bootstrap, topic, 0, 3, 'commit')
    await produceTransaction(broker.bootstrap, topic, 0, 20, 'abort')
    await until('both markers are in the log', async () => (await broker.endOffsets(topic))[0] === 25)
    assert.deepEqual(await newest(topic, 1, 2), { offsets: [[1, 2]], complete: true })
  })

  test('that do not come in time are not waited for', async () => {
    const topic = uniqueName('newest-late')
    await broker.createTopic(topic, 1)
    await produce(broker.bootstrap, topic, smallRecords(5, 1))
    const { complete } = await newest(topic, 1, 5, 1)
    assert.equal(complete, false)
  })
})
