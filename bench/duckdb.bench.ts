// Asks: how near does a record on its way from Kafka into a DuckDB file come to DuckDB's appender alone, which gets the same
// columns, decoded before, in transactions of the same size? One run; the ways take turns.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sharedKafkaBroker, uniqueName } from '../test/support/kafka-broker.ts'
import { writeReadings } from '../test/support/readings.ts'
import { figure, print } from './support/figures.ts'
import { inTurns } from './support/turns.ts'
import { daemonSample, scriptSample } from './support/ways.ts'

const smoke = Boolean(process.env['BENCH_SMOKE'])
const records = Number(process.env['BENCH_RECORDS'] ?? (smoke ? 20_000 : 2_000_000))
const rounds = Number(process.env['BENCH_ROUNDS'] ?? (smoke ? 1 : 3))
const partitions = 8

const broker = await sharedKafkaBroker()
const folder = mkdtempSync(join(tmpdir(), 'millrace-bench-'))
try {
  const topic = uniqueName('bench')
  const deadLetterTopic = `${topic}.dead`
  await broker.createTopic(topic, partitions)
  await broker.createTopic(deadLetterTopic, 1)
  const { broken } = await writeReadings(broker.bootstrap, topic, partitions, records)
  const good = records - broken.size
  const newFile = () => join(folder, `${uniqueName('bench')}.duckdb`)
  const daemon = (over: object) => {
    const sink = { type: 'duckdb', path: newFile() }
    return daemonSample({ bootstrap: broker.bootstrap, topic, deadLetterTopic, records, good, sink, over, folder })
  }
  const samples = await inTurns(rounds, {
    "DuckDB's appender alone": () => scriptSample('support/append-alone.js', [newFile(), String(good)]),
    'millrace, Kafka to DuckDB': () => daemon({}),
    'millrace, loads of 50,000 records': () => daemon({ batch: { maxRecords: 50_000 } }),
  })
  const figures = [...samples].map(([name, each]) => figure(name, each))
  print('records/s into a DuckDB file, broker on the same machine', figures, { records, rounds, partitions })
} finally {
  rmSync(folder, { recursive: true, force: true })
  await broker.stop()
}
process.exit(0)
