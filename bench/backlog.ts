// Asks: does the memory stay within memory.maxBytes and the base that is stated for it while a daemon works off a long
// backlog of small records, and when it starts again in the middle of it after a kill -9?
//   BACKLOG_RECORDS=100000000 BACKLOG_SINKS=blackhole,duckdb npm run bench -- backlog
// With BACKLOG_TOPIC the topic is kept, and written on where it has fewer records; without a sink it is only written.
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { loadMessageType } from '../src/decode/schema-source.ts'
import { queryDuckDb } from '../src/sinks/duckdb/duckdb-query.ts'
import { Daemon } from '../test/support/daemon.ts'
import { sharedKafkaBroker, type SharedKafkaBroker, uniqueName } from '../test/support/kafka-broker.ts'
import { readingsConfig } from '../test/support/readings-config.ts'
import { produceAll, readingMessage, readingProto } from '../test/support/readings.ts'
import { machine } from './support/figures.ts'
import { onBroker } from './support/on-broker.ts'
import { smoke } from './support/size.ts'

const records = Number(process.env['BACKLOG_RECORDS'] ?? (smoke ? 200_000 : 10_000_000))
const sinks = (process.env['BACKLOG_SINKS'] ?? 'blackhole,duckdb').split(',').filter(Boolean)
const partitions = 8
const mebibyte = 1024 * 1024
const maxBytes = 512 * mebibyte
/** What Node, the binding, and the threads take at rest, with what they leave unused of their arenas. */
const baseBytes = 300 * mebibyte
const sampleEveryMs = 200

await onBroker(sharedKafkaBroker(), async (broker, folder) => {
  const topic = process.env['BACKLOG_TOPIC'] ?? uniqueName('backlog')
  const ends = await broker.endOffsets(topic).catch(() => [])
  if (ends.length === 0) await broker.createTopic(topic, partitions, { 'retention.ms': '-1' })
  await writeMissing(broker, topic, sum(ends))
  const figures: object[] = []
  for (const sink of sinks) figures.push({ sink, ...(await workOff(broker, topic, sink, folder)) })
  console.table(figures)
  const question = 'MiB of resident memory at most, on a backlog and after a kill -9 in the middle of it'
  const bounds = { maxMebibytes: maxBytes / mebibyte, baseMebibytes: baseBytes / mebibyte }
  console.log(JSON.stringify({ question, records, partitions, ...bounds, ...machine(), figures }))
})
process.exit(0)

async function writeMissing(broker: SharedKafkaBroker, topic: string, written: number): Promise<void> {
  const type = await loadMessageType({ files: [readingProto], message: readingMessage })
  // Some 30 bytes each, as many sensors send: the smaller a record, the more librdkafka keeps of it beside its payload.
  const values = Array.from({ length: 1000 }, (_, index) =>
    Buffer.from(type.encode({ device_id: `device-${index}`, sequence: index, value: index / 7 }).finish()),
  )
  function* missing() {
    for (let index = written; index < records; index++) {
      yield { partition: index % partitions, value: values[index % values.length]! }
    }
  }
  await produceAll(broker.bootstrap, topic, missing())
}

async function workOff(broker: SharedKafkaBroker, topic: string, sink: string, folder: string): Promise<object> {
  const group = uniqueName('backlog')
  const database = join(folder, `${group}.duckdb`)
  const deadLetterTopic = `${group}.dead`
  await broker.createTopic(deadLetterTopic, 1)
  const options = sink === 'duckdb' ? { type: sink, path: database } : { type: sink }
  // The group waits so long for the one that was killed.
  const properties = { 'session.timeout.ms': 6000 }
  const config = readingsConfig(
    { bootstrap: broker.bootstrap, group, topic, deadLetterTopic, sink: options, properties },
    { commit: { intervalMs: 1000 }, memory: { maxBytes } },
  )
  const start = () => Daemon.start(join(folder, `${group}.json`), config)

  const startedAt = performance.now()
  const first = await start()
  const beforeKill = await watch(first, (rows) => rows >= records / 2)
  await first.kill()
  const second = await start()
  const afterKill = await watch(second, (_, committed) => committed >= records)
  const seconds = (performance.now() - startedAt) / 1000
  if ((await second.stop()) !== 0) throw new Error(`the daemon did not end in order:\n${second.output}`)
  if (sink === 'duckdb') await assertExact(database)
  rmSync(database, { force: true })
  const mebibytes = (bytes: number) => Math.round(bytes / mebibyte)
  return {
    beforeKill: mebibytes(beforeKill),
    afterKill: mebibytes(afterKill),
    'records/s': Math.round(records / seconds),
  }
}

/** The most that was resident until it was done. Throws at once when that is beyond the bound. */
async function watch(daemon: Daemon, done: (rows: number, committed: number) => boolean): Promise<number> {
  for (;;) {
    const peak = peakBytes(daemon.pid)
    if (peak > maxBytes + baseBytes) throw new Error(`${peak} bytes are resident:\n${daemon.output}`)
    const rows = await daemon.metric('millrace_rows_written_total')
    if (done(rows, await daemon.metric('millrace_committed_offset'))) return peak
    await pause(sampleEveryMs)
  }
}

/** As the kernel kept it, so nothing is missed between two looks. */
function peakBytes(pid: number): number {
  const kibibytes = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  return Number(kibibytes) * 1024
}

async function assertExact(database: string): Promise<void> {
  const [found] = await queryDuckDb(
    database,
    'select count(*) as rows, count(distinct (_partition, _offset)) as places from readings',
  )
  const expected = BigInt(records)
  if (found?.['rows'] !== expected || found['places'] !== expected) {
    throw new Error(
      `${records} records became ${String(found?.['rows'])} rows, ${String(found?.['places'])} of them different`,
    )
  }
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0)
}
