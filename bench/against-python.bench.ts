// Asks: is the whole path, from Kafka into nothing with commits, faster than Python's confluent-kafka that only decodes? One
// topic, the same bytes, one run, by turns. The Python side is installed at full size only.
import { figure, print } from './support/figures.ts'
import { PythonRival } from './support/python-rival.ts'
import { onReadings } from './support/readings-stage.ts'
import { size, smoke } from './support/size.ts'
import { inTurns } from './support/turns.ts'
import { daemonSample } from './support/ways.ts'

const wanted = size({ records: 2_000_000, rounds: 5 })
const python = smoke ? undefined : PythonRival.install()
await onReadings(wanted, async (stage) => {
  const { bootstrap, topic, records } = stage
  const samples = await inTurns(wanted.rounds, {
    ...(python && {
      "Python's confluent-kafka, upb decode only": () =>
        python.sample('confluent-kafka.py', bootstrap, topic, wanted.partitions, records),
    }),
    'millrace, native reader, blackhole': () =>
      daemonSample({ ...stage, sink: { type: 'blackhole' }, over: { reader: 'native' } }),
  })
  const figures = [...samples].map(([name, each]) => figure(name, each))
  print('records/s from Kafka, decoded, next to Python', figures, wanted)
})
process.exit(0)
