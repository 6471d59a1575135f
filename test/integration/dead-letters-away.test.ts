import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { after, before, describe, test } from 'node:test'
import { Daemon } from '../support/daemon.ts'
import { sharedKafkaBroker, uniqueName } from '../support/kafka-broker.ts'
import type { SharedKafkaBroker } from '../support/kafka-broker.ts'
import { readingsConfig } from '../support/readings-config.ts'
import { writeReadings } from '../support/readings.ts'

const partitions = 4
const records = Number(process.env['MILLRACE_TEST_RECORDS'] ?? 100_000)
/** Longer than the group waits for a member that does not poll, so that only polling keeps it. */
const awayMs = Number(process.env['MILLRACE_TEST_AWAY_MS'] ?? 12_000)
const memoryMaxBytes = 64 * 1024 * 1024
/** What Node with two workers, the binding and our code take beside: the README tells it to operators. */
const baseBytesMax = 300 * 1024 * 1024

let broker: SharedKafkaBroker
let folder: string

before(async () => {
  broker = await sharedKafkaBroker()
  folder = mkdtempSync(join(tmpdir(), 'millrace-away-'))
})
after(async () => {
  await Daemon.endAll()
  rmSync(folder, { recursive: true, force: true })
  await broker.stop()
})

for (const reader of ['native', 'binding']) {
  describe(`while loads cannot be finished, with the ${reader} reader`, () => {
    test('nothing passes, the membership is kept, memory is bounded, and afterwards nothing is lost', async () => {
      const topic = uniqueName('readings')
      const dead = uniqueName('dead')
      const group = uniqueName('group')
      await broker.createTopic(topic, partitions)
      await broker.createTopic(dead, 1)
      const daemon = await Daemon.start(
        join(folder, `${group}.json`),
        readingsConfig(
          {
            bootstrap: broker.bootstrap,
            group,
            topic,
            deadLetterTopic: dead,
            sink: { type: 'blackhole' },
            properties: { 'session.timeout.ms': 3000, 'max.poll.interval.ms': 6000, 'message.timeout.ms': 4000 },
          },
          { reader, memory: { maxBytes: memoryMaxBytes }, rebalance: { drainMs: 2000 } },
        ),
      )
      await daemon.logged('partition started')
      await broker.deleteTopic(dead)
      const { broken } = await writeReadings(broker.bootstrap, topic, partitions, records)
      await daemon.logged('the sink did not take a load: kept, to be tried again')
      await pause(awayMs)

      assert.ok((await daemon.metric('millrace_rows_written_total')) < records / 2, daemon.output)
      assert.equal(await daemon.metric('millrace_dead_letters_total'), 0)
      assert.equal(await daemon.metric('millrace_rebalances_total'), 1, 'it is the member it was')
      const buffered = await daemon.metric('millrace_buffered_bytes')
      assert.ok(
        buffered > 0 && buffered <= memoryMaxBytes / 2 + partitions * 1024 * 1024,
        `${buffered} bytes are buffered`,
      )

      const resident = await daemon.metric('process_resident_memory_bytes')
      assert.ok(resident <= memoryMaxBytes + baseBytesMax, `${resident} bytes are resident`)

      await broker.createTopic(dead, 1)
      await daemon.metricReaches('millrace_rows_written_total', records - broken.size)
      await daemon.metricReaches('millrace_committed_offset', records)
      assert.equal(await daemon.metric('millrace_rebalances_total'), 1)
      assert.equal(await daemon.stop(), 0, daemon.output)
      assert.ok((await broker.endOffsets(dead))[0]! >= broken.size)
    })
  })
}
