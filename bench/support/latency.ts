import { setTimeout as pause } from 'node:timers/promises'
import { simulatedReadings } from '../../src/commands/simulated-readings.ts'
import { loadMessageType } from '../../src/decode/schema-source.ts'
import { Daemon } from '../../test/support/daemon.ts'
import { uniqueName } from '../../test/support/kafka-broker.ts'
import type { SharedKafkaBroker } from '../../test/support/kafka-broker.ts'
import type { PostgresServer } from '../../test/support/postgres-server.ts'
import { readingMessage, readingProto, withProducer } from '../../test/support/readings.ts'
import { readingsConfig } from '../../test/support/readings-config.ts'

export interface LatencyWay {
  readonly server: PostgresServer
  readonly broker: SharedKafkaBroker
  readonly sink: object
  readonly over: { readonly routes: readonly object[] }
  readonly folder: string
  readonly seconds: number
  readonly perSecond: number
}

const partitions = 4
const tickMs = 5
const askAgainMs = 3

/**
 * Produces at a steady rate, and asks the database all the time which offsets are visible: the position is, in the
 * transaction of the rows. What is asked for a moment later makes a row look older, never younger.
 */
export async function measureLatency(
  way: LatencyWay,
): Promise<{ p50: number; p99: number; max: number; records: number }> {
  const topic = uniqueName('latency')
  const deadLetterTopic = `${topic}.dead`
  await way.broker.createTopic(topic, partitions)
  await way.broker.createTopic(deadLetterTopic, 1)
  const { bootstrap } = way.broker
  const base = readingsConfig({ bootstrap, group: topic, topic, deadLetterTopic, sink: way.sink }, way.over)
  const routes = way.over.routes.map((route) => ({ ...route, topics: [topic] }))
  const daemon = await Daemon.start(`${way.folder}/${topic}.json`, { ...base, routes })
  await daemon.logged('partition started')
  const producedAt: number[][] = Array.from({ length: partitions }, () => [])
  const type = await loadMessageType({ files: [readingProto], message: readingMessage })
  const readings = simulatedReadings(type, 11)
  let done = false
  const ages: number[] = []
  const watching = watch(way.server, topic, producedAt, ages, () => done)
  await withProducer(bootstrap, async (producer) => {
    const startedAt = performance.now()
    let produced = 0
    while (produced < way.seconds * way.perSecond) {
      const due = Math.min(way.seconds, (performance.now() - startedAt) / 1000) * way.perSecond
      for (; produced < due; produced++) {
        const partition = produced % partitions
        const { value } = readings.next().value
        producedAt[partition]!.push(performance.now())
        producer.produce(topic, partition, value)
      }
      await pause(tickMs)
    }
  })
  await daemon.metricReaches('millrace_records_read_total', way.seconds * way.perSecond).catch(() => undefined)
  done = true
  await watching
  await daemon.stop()
  // The first second is that of connections and of code that is not compiled yet.
  const sorted = ages.slice(way.perSecond).sort((one, other) => one - other)
  const at = (part: number) => Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? NaN)
  return { p50: at(0.5), p99: at(0.99), max: at(1), records: sorted.length }
}

/** Ends when all that was produced is visible. */
async function watch(
  server: PostgresServer,
  topic: string,
  producedAt: readonly number[][],
  ages: number[],
  done: () => boolean,
): Promise<void> {
  const seen = producedAt.map(() => 0)
  for (;;) {
    const complete = done()
    const rows = await server.query<{ partition: number; next: number }>(
      `select partition, next_offset::int as next from millrace_position where topic = '${topic}' and next_offset is not null`,
    )
    const now = performance.now()
    for (const { partition, next } of rows) {
      for (; seen[partition]! < next; seen[partition]!++) ages.push(now - producedAt[partition]![seen[partition]!]!)
    }
    if (complete && producedAt.every((times, partition) => seen[partition]! >= times.length)) return
    await pause(askAgainMs)
  }
}
