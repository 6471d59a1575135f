import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { Daemon } from '../support/daemon.ts'
import { sharedKafkaBroker, uniqueName } from '../support/kafka-broker.ts'
import type { SharedKafkaBroker } from '../support/kafka-broker.ts'
import { readingsConfig } from '../support/readings-config.ts'
import { writeReadings } from '../support/readings.ts'

const partitions = 4
const recordsAStage = 2_000

let broker: SharedKafkaBroker
let folder: string

before(async () => {
  broker = await sharedKafkaBroker()
  folder = mkdtempSync(join(tmpdir(), 'millrace-static-'))
})
after(async () => {
  await Daemon.endAll()
  rmSync(folder, { recursive: true, force: true })
  await broker.stop()
})

const endings: { name: string; end: (daemon: Daemon) => Promise<unknown> }[] = [
  { name: 'stopped', end: (daemon) => daemon.stop() },
  { name: 'killed', end: (daemon) => daemon.kill() },
]

describe('a member with a group.instance.id', () => {
  for (const { name, end } of endings) {
    test(`that is ${name} and comes back within its session takes its partitions up, and the others notice nothing`, async () => {
      const topic = uniqueName('readings')
      const deadLetterTopic = uniqueName('dead')
      const group = uniqueName('static')
      await broker.createTopic(topic, partitions)
      await broker.createTopic(deadLetterTopic, 1)
      const start = (member: string) => {
        const properties = {
          'group.instance.id': `${group}-${member}`,
          'session.timeout.ms': 30_000,
          'heartbeat.interval.ms': 300,
        }
        const sink = { type: 'blackhole' }
        const config = readingsConfig({ bootstrap: broker.bootstrap, group, topic, deadLetterTopic, sink, properties })
        return Daemon.start(join(folder, `${group}-${member}.json`), config)
      }
      const steady = await start('steady')
      await steady.logged('partition started', ({ partition }) => partition === `${topic}/${partitions - 1}`)
      const first = await start('restarted')
      await first.logged('partition started')
      await writeReadings(broker.bootstrap, topic, partitions, recordsAStage)
      await committedReach(group, topic, recordsAStage)
      const rebalances = await steady.metric('millrace_rebalances_total')

      await end(first)
      const second = await start('restarted')
      await second.logged('partition started')
      await writeReadings(broker.bootstrap, topic, partitions, recordsAStage)
      await committedReach(group, topic, 2 * recordsAStage)
      assert.equal(await steady.metric('millrace_rebalances_total'), rebalances, steady.output)
      assert.equal(await second.stop(), 0, second.output)
      assert.equal(await steady.stop(), 0, steady.output)
    })
  }
})

async function committedReach(group: string, topic: string, records: number): Promise<void> {
  const deadline = performance.now() + 60_000
  for (;;) {
    const committed = (await broker.committed(group, topic)).reduce<number>((sum, offset) => sum + (offset ?? 0), 0)
    if (committed === records) return
    if (performance.now() > deadline) throw new Error(`${committed} of ${records} are committed`)
  }
}
