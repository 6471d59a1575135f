import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { after, before, test } from 'node:test'
import { Daemon } from '../support/daemon.ts'
import { sharedKafkaBroker, uniqueName } from '../support/kafka-broker.ts'
import type { SharedKafkaBroker } from '../support/kafka-broker.ts'
import { startPostgres } from '../support/postgres-server.ts'
import type { PostgresServer } from '../support/postgres-server.ts'
import { readingsConfig } from '../support/readings-config.ts'
import { writeReadings } from '../support/readings.ts'

const partitions = 4
/** Written each second while the sink is away. */
const records = Number(process.env['MILLRACE_TEST_RECORDS'] ?? 20_000)
/** Longer than the group waits for a member that does not poll, so that only polling keeps it. Ten minutes on demand. */
const awayMs = Number(process.env['MILLRACE_TEST_AWAY_MS'] ?? 12_000)
const memoryMaxBytes = 64 * 2 ** 20
/** What Node with two workers, the binding and our code take beside: the README tells it to operators. */
const baseBytesMax = 300 * 2 ** 20
const lookEveryMs = 1000

let broker: SharedKafkaBroker
let postgres: PostgresServer
let folder: string
before(async () => {
  broker = await sharedKafkaBroker()
  postgres = await startPostgres()
  folder = mkdtempSync(join(tmpdir(), 'millrace-sink-away-'))
})
after(async () => {
  await Daemon.endAll()
  rmSync(folder, { recursive: true, force: true })
  await postgres.stop()
  await broker.stop()
})

test('while PostgreSQL is away and records keep coming, the membership is kept and memory is bounded; then all is written once', async () => {
  const [topic, dead, group] = [uniqueName('readings'), uniqueName('dead'), uniqueName('group')]
  await broker.createTopic(topic, partitions)
  await broker.createTopic(dead, 1)
  const daemon = await Daemon.start(
    join(folder, 'away.json'),
    readingsConfig(
      {
        bootstrap: broker.bootstrap,
        group,
        topic,
        deadLetterTopic: dead,
        sink: { type: 'postgres', url: postgres.url },
        properties: { 'session.timeout.ms': 3000, 'max.poll.interval.ms': 6000 },
      },
      { memory: { maxBytes: memoryMaxBytes }, rebalance: { drainMs: 2000 } },
    ),
  )
  let broken = 0
  let written = 0
  const write = async () => {
    const { broken: some } = await writeReadings(broker.bootstrap, topic, partitions, records)
    broken += some.size
    written += records
  }
  await write()
  await daemon.metricReaches('millrace_committed_offset', written)
  await postgres.shutDown('immediate')
  const until = performance.now() + awayMs
  while (performance.now() < until) {
    const next = pause(lookEveryMs)
    await write()
    const resident = await daemon.metric('process_resident_memory_bytes')
    assert.ok(resident <= memoryMaxBytes + baseBytesMax, `${resident} bytes are resident`)
    await next
  }
  assert.ok((await daemon.metric('millrace_committed_offset')) < written / 2, 'nothing passes')
  assert.equal(await daemon.metric('millrace_rebalances_total'), 1, 'it is the member it was')

  await postgres.start()
  await daemon.metricReaches('millrace_committed_offset', written, awayMs + 120_000)
  assert.equal(await daemon.metric('millrace_rebalances_total'), 1)
  assert.equal(await daemon.stop(), 0, daemon.output)
  const [found] = await postgres.query(
    'select count(*)::int as rows, count(distinct (_partition, _offset))::int as places from readings',
  )
  assert.deepEqual(found, { rows: written - broken, places: written - broken })
  assert.deepEqual(await broker.endOffsets(dead), [broken], 'no good record is a dead letter')
})
