import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import kafka from '@confluentinc/kafka-javascript'
import { Daemon } from '../support/daemon.ts'
import { sharedKafkaBroker, uniqueName } from '../support/kafka-broker.ts'
import type { SharedKafkaBroker } from '../support/kafka-broker.ts'
import { readingsConfig } from '../support/readings-config.ts'
import { writeReadings } from '../support/readings.ts'

let broker: SharedKafkaBroker
let folder: string

before(async () => {
  broker = await sharedKafkaBroker()
  folder = mkdtempSync(join(tmpdir(), 'millrace-added-'))
})
after(async () => {
  await Daemon.endAll()
  rmSync(folder, { recursive: true, force: true })
  await broker.stop()
})

async function addPartitions(topic: string, partitions: number): Promise<void> {
  const admin = kafka.AdminClient.create({ 'bootstrap.servers': broker.bootstrap })
  await new Promise<void>((resolve, reject) => {
    admin.createPartitions(topic, partitions, 10_000, (error: unknown) => (error ? reject(error) : resolve()))
  })
  admin.disconnect()
}

for (const startAt of ['earliest', 'latest']) {
  describe(`partitions added to a topic that is read, startAt ${startAt}`, () => {
    test('are read from their first record', async () => {
      const topic = uniqueName('readings')
      const dead = uniqueName('dead')
      const group = uniqueName('group')
      await broker.createTopic(topic, 2)
      await broker.createTopic(dead, 1)
      const config = readingsConfig({
        bootstrap: broker.bootstrap,
        group,
        topic,
        deadLetterTopic: dead,
        sink: { type: 'blackhole' },
      })
      // Long enough that the first records of the new partitions are there before they are found.
      const properties = { 'topic.metadata.refresh.interval.ms': 3000 }
      const daemon = await Daemon.start(join(folder, `${group}.json`), {
        ...config,
        kafka: { brokers: broker.bootstrap, group, startAt, properties },
      })
      await daemon.logged('partition started', ({ partition }) => partition === `${topic}/1`)
      await writeReadings(broker.bootstrap, topic, 2, 1_000)
      await daemon.metricReaches('millrace_committed_offset', 1_000)
      await addPartitions(topic, 4)
      await writeReadings(broker.bootstrap, topic, 4, 4_000)
      await daemon.metricReaches('millrace_committed_offset', 5_000)
      assert.equal(await daemon.stop(), 0, daemon.output)
      assert.deepEqual(await broker.committed(group, topic), [1_500, 1_500, 1_000, 1_000])
      // What was skipped would count as committed; only the books tell what was read.
      const { books } = (await daemon.logged('millrace stopped')) as unknown as { books: { read: number } }
      assert.equal(books.read, 5_000, daemon.output)
    })
  })
}
