// Asks: what do bad records cost? One topic of good readings, one with 2 % bad ones of 25 kinds, each of which becomes a dead
// letter that is acknowledged before anything passes it. One run; the two take turns. The first fifth warms up.
import { join } from 'node:path'
import { sharedKafkaBroker, uniqueName } from '../test/support/kafka-broker.ts'
import { badEvery, writePoisoned } from '../test/support/poisoned-readings.ts'
import { figure, print } from './support/figures.ts'
import { onBroker } from './support/on-broker.ts'
import { size } from './support/size.ts'
import { inTurns } from './support/turns.ts'
import { daemonSample } from './support/ways.ts'

const wanted = size({ records: 5_000_000, rounds: 3 })
const { records, partitions } = wanted

await onBroker(sharedKafkaBroker(), async (broker, folder) => {
  const { bootstrap } = broker
  const deadLetterTopic = uniqueName('bench.dead')
  await broker.createTopic(deadLetterTopic, 1)
  const way = async (every: number) => {
    const topic = uniqueName('bench')
    await broker.createTopic(topic, partitions)
    const bad = await writePoisoned(bootstrap, topic, partitions, records, every)
    const good = records - bad.length
    const stage = { bootstrap, topic, deadLetterTopic, records, good, folder }
    return (sink: object) => daemonSample({ ...stage, sink, over: {}, warmUp: 0.2 })
  }
  const [clean, poisoned] = [await way(Infinity), await way(badEvery)]
  const file = () => ({ type: 'duckdb', path: join(folder, `${uniqueName('bench')}.duckdb`) })
  const samples = await inTurns(wanted.rounds, {
    'blackhole, good records': () => clean({ type: 'blackhole' }),
    'blackhole, 2 % bad': () => poisoned({ type: 'blackhole' }),
    'duckdb, good records': () => clean(file()),
    'duckdb, 2 % bad': () => poisoned(file()),
  })
  const figures = [...samples].map(([name, each]) => figure(name, each))
  print('records/s with and without bad records, broker on the same machine', figures, wanted)
})
process.exit(0)
