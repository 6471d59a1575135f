// Asks: how near does a record on its way from Kafka into a DuckDB file come to DuckDB's appender alone, which gets the same
// columns, decoded before, in transactions of the same size? One run; the ways take turns.
import { figure, print } from './support/figures.ts'
import { onReadings } from './support/readings-stage.ts'
import { size } from './support/size.ts'
import { inTurns } from './support/turns.ts'
import { daemonSample, scriptSample } from './support/ways.ts'

const wanted = size({ records: 2_000_000, rounds: 3 })
await onReadings(wanted, async (stage) => {
  const daemon = (over: object) => daemonSample({ ...stage, sink: { type: 'duckdb', path: stage.newFile() }, over })
  const samples = await inTurns(wanted.rounds, {
    "DuckDB's appender alone": () => scriptSample('support/append-alone.js', [stage.newFile(), String(stage.good)]),
    'millrace, Kafka to DuckDB': () => daemon({}),
    'millrace, loads of 50,000 records': () => daemon({ batch: { maxRecords: 50_000 } }),
  })
  const figures = [...samples].map(([name, each]) => figure(name, each))
  print('records/s into a DuckDB file, broker on the same machine', figures, wanted)
})
process.exit(0)
