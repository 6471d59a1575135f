// Asks: how fast do records come out of Kafka into Node, by our addon, by the binding's consume(n), and by its eachBatch,
// with nothing done to them? One topic, the same bytes, one run; CPU is the whole process's.
import { figure, print } from './support/figures.ts'
import { onReadings } from './support/readings-stage.ts'
import { size } from './support/size.ts'
import { inTurns } from './support/turns.ts'
import { scriptSample } from './support/ways.ts'

const wanted = size({ records: 1_000_000, rounds: 5 })
await onReadings(wanted, async ({ bootstrap, topic, records }) => {
  const alone = (reader: string) =>
    scriptSample('support/read-alone.js', [bootstrap, topic, String(wanted.partitions), String(records), reader])
  const samples = await inTurns(wanted.rounds, {
    'consume(n) into slabs': () => alone('binding'),
    'eachBatch, counted only': () => scriptSample('rivals/each-batch.js', [bootstrap, topic, String(records), 'count']),
    'native reader': () => alone('native'),
  })
  const figures = [...samples].map(([name, each]) => figure(name, each))
  print('records/s out of Kafka into Node, nothing else', figures, wanted)
})
process.exit(0)
