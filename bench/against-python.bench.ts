// Asks: is the whole path, from Kafka into nothing with commits, faster than Python's confluent-kafka that only decodes? One
// topic, the same bytes, one run, by turns. The Python side is installed at full size only.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sharedKafkaBroker, uniqueName } from '../test/support/kafka-broker.ts'
import { writeReadings } from '../test/support/readings.ts'
import { figure, print } from './support/figures.ts'
import { PythonRival } from './support/python-rival.ts'
import { inTurns } from './support/turns.ts'
import { daemonSample } from './support/ways.ts'

const smoke = Boolean(process.env['BENCH_SMOKE'])
const records = Number(process.env['BENCH_RECORDS'] ?? (smoke ? 20_000 : 2_000_000))
const rounds = Number(process.env['BENCH_ROUNDS'] ?? (smoke ? 1 : 5))
const partitions = 8

const python = smoke ? undefined : PythonRival.install()
const broker = await sharedKafkaBroker()
const folder = mkdtempSync(join(tmpdir(), 'millrace-bench-'))
try {
  const { bootstrap } = broker
  const topic = uniqueName('bench')
  const deadLetterTopic = `${topic}.dead`
  await broker.createTopic(topic, partitions)
  await broker.createTopic(deadLetterTopic, 1)
  const { broken } = await writeReadings(bootstrap, topic, partitions, records)
  const good = records - broken.size
  const over = { reader: 'native' }
  const samples = await inTurns(rounds, {
    ...(python && {
      "Python's confluent-kafka, upb decode only": () =>
        python.sample('confluent-kafka.py', bootstrap, topic, partitions, records),
    }),
    'millrace, native reader, blackhole': () =>
      daemonSample({ bootstrap, topic, deadLetterTopic, records, good, sink: { type: 'blackhole' }, over, folder }),
  })
  const figures = [...samples].map(([name, each]) => figure(name, each))
  print('records/s from Kafka, decoded, next to Python', figures, { records, rounds, partitions })
} finally {
  rmSync(folder, { recursive: true, force: true })
  await broker.stop()
}
process.exit(0)
