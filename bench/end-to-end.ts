// Asks: how many records a second go from Kafka into nothing, by either reader and either decoder, and into DuckDB, next to the
// binding's own eachBatch that only decodes? One topic, the same bytes, one run; the order of the ways changes from round to
// round.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sharedKafkaBroker, uniqueName } from '../test/support/kafka-broker.ts'
import { readingMessage, readingProto, writeReadings } from '../test/support/readings.ts'
import { figure, print } from './support/figures.ts'
import { inTurns } from './support/turns.ts'
import { daemonSample, scriptSample } from './support/ways.ts'

const smoke = Boolean(process.env['BENCH_SMOKE'])
const records = Number(process.env['BENCH_RECORDS'] ?? (smoke ? 20_000 : 1_000_000))
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
  const daemon = (sink: object, reader: string, decoder = 'compiled') => {
    const decode = { files: [readingProto], message: readingMessage, decoder }
    const route = { topics: [topic], decode, sink: 'sink', table: 'readings', metadata: ['partition', 'offset'] }
    const over = { reader, routes: [route] }
    return daemonSample({ bootstrap: broker.bootstrap, topic, deadLetterTopic, records, good, sink, over, folder })
  }
  const file = () => ({ type: 'duckdb', path: join(folder, `${uniqueName('bench')}.duckdb`) })
  const samples = await inTurns(rounds, {
    'eachBatch, decode only': () => scriptSample('rivals/each-batch.js', [broker.bootstrap, topic, String(records)]),
    'millrace, binding reader, blackhole': () => daemon({ type: 'blackhole' }, 'binding'),
    'millrace, native reader, blackhole': () => daemon({ type: 'blackhole' }, 'native'),
    'millrace, binding reader, protobufjs, blackhole': () => daemon({ type: 'blackhole' }, 'binding', 'reference'),
    'millrace, native reader, protobufjs, blackhole': () => daemon({ type: 'blackhole' }, 'native', 'reference'),
    'millrace, native reader, duckdb': () => daemon(file(), 'native'),
  })
  const figures = [...samples].map(([name, each]) => figure(name, each))
  print('records/s from Kafka, broker on the same machine', figures, { records, rounds, partitions })
} finally {
  rmSync(folder, { recursive: true, force: true })
  await broker.stop()
}
process.exit(0)
