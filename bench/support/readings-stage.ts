import { join } from 'node:path'
import { sharedKafkaBroker, uniqueName } from '../../test/support/kafka-broker.ts'
import type { SharedKafkaBroker } from '../../test/support/kafka-broker.ts'
import { writeReadings } from '../../test/support/readings.ts'
import { onBroker } from './on-broker.ts'
import type { Size } from './size.ts'
import type { DaemonWay } from './ways.ts'

/** What daemons are measured on: a broker, a topic of readings of which one in a thousand is broken, a folder of its own. */
export interface ReadingsStage extends Omit<DaemonWay, 'sink' | 'over' | 'warmUp'> {
  readonly broker: SharedKafkaBroker
  /** The path of a DuckDB file that is not there yet. */
  newFile(): string
}

/** Sets the stage, and clears it away when `play` is done. */
export async function onReadings(
  { records, partitions }: Size,
  play: (stage: ReadingsStage) => Promise<void>,
): Promise<void> {
  await onBroker(sharedKafkaBroker(), async (broker, folder) => {
    const { bootstrap } = broker
    const topic = uniqueName('bench')
    const deadLetterTopic = `${topic}.dead`
    await broker.createTopic(topic, partitions)
    await broker.createTopic(deadLetterTopic, 1)
    const { broken } = await writeReadings(bootstrap, topic, partitions, records)
    const newFile = () => join(folder, `${uniqueName('bench')}.duckdb`)
    const good = records - broken.size
    await play({ broker, bootstrap, topic, deadLetterTopic, records, good, folder, newFile })
  })
}
