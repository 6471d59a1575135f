// Asks: how many records a second go from Kafka into nothing, by either reader and either decoder, and into DuckDB, next to the
// binding's own eachBatch that only decodes? One topic, the same bytes, one run; the order of the ways changes from round to
// round.
import { readingMessage, readingProto } from '../test/support/readings.ts'
import { figure, print } from './support/figures.ts'
import { onReadings } from './support/readings-stage.ts'
import { size } from './support/size.ts'
import { inTurns } from './support/turns.ts'
import { daemonSample, scriptSample } from './support/ways.ts'

const wanted = size({ records: 1_000_000, rounds: 3 })
await onReadings(wanted, async (stage) => {
  const { bootstrap, topic, records } = stage
  const daemon = (sink: object, reader: string, decoder = 'compiled') => {
    const decode = { files: [readingProto], message: readingMessage, decoder }
    const route = { topics: [topic], decode, sink: 'sink', table: 'readings', metadata: ['partition', 'offset'] }
    return daemonSample({ ...stage, sink, over: { reader, routes: [route] } })
  }
  const samples = await inTurns(wanted.rounds, {
    'eachBatch, decode only': () => scriptSample('rivals/each-batch.js', [bootstrap, topic, String(records)]),
    'millrace, binding reader, blackhole': () => daemon({ type: 'blackhole' }, 'binding'),
    'millrace, native reader, blackhole': () => daemon({ type: 'blackhole' }, 'native'),
    'millrace, binding reader, protobufjs, blackhole': () => daemon({ type: 'blackhole' }, 'binding', 'reference'),
    'millrace, native reader, protobufjs, blackhole': () => daemon({ type: 'blackhole' }, 'native', 'reference'),
    'millrace, native reader, duckdb': () => daemon({ type: 'duckdb', path: stage.newFile() }, 'native'),
  })
  const figures = [...samples].map(([name, each]) => figure(name, each))
  print('records/s from Kafka, broker on the same machine', figures, wanted)
})
process.exit(0)
