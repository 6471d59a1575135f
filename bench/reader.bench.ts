// Asks: how fast do records come out of Kafka into Node, by our addon, by the binding's consume(n), and by its eachBatch,
// with nothing done to them? One topic, the same bytes, one run; CPU is the whole process's.
import { sharedKafkaBroker, uniqueName } from '../test/support/kafka-broker.ts'
import { writeReadings } from '../test/support/readings.ts'
import { figure, print } from './support/figures.ts'
import { inTurns } from './support/turns.ts'
import { scriptSample } from './support/ways.ts'

const smoke = Boolean(process.env['BENCH_SMOKE'])
const records = Number(process.env['BENCH_RECORDS'] ?? (smoke ? 20_000 : 1_000_000))
const rounds = Number(process.env['BENCH_ROUNDS'] ?? (smoke ? 1 : 5))
const partitions = 8

const broker = await sharedKafkaBroker()
try {
  const topic = uniqueName('bench')
  await broker.createTopic(topic, partitions)
  await writeReadings(broker.bootstrap, topic, partitions, records)
  const alone = (reader: string) =>
    scriptSample('support/read-alone.js', [broker.bootstrap, topic, String(partitions), String(records), reader])
  const samples = await inTurns(rounds, {
    'consume(n) into slabs': () => alone('binding'),
    'eachBatch, counted only': () =>
      scriptSample('rivals/each-batch.js', [broker.bootstrap, topic, String(records), 'count']),
    'native reader': () => alone('native'),
  })
  const figures = [...samples].map(([name, each]) => figure(name, each))
  print('records/s out of Kafka into Node, nothing else', figures, { records, rounds, partitions })
} finally {
  await broker.stop()
}
process.exit(0)
