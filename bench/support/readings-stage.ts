import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sharedKafkaBroker, uniqueName } from '../../test/support/kafka-broker.ts'
import type { SharedKafkaBroker } from '../../test/support/kafka-broker.ts'
import { writeReadings } from '../../test/support/readings.ts'
import type { DaemonWay } from './ways.ts'

/** The test run's size, at which a benchmark shows only that it works. */
export const smoke = Boolean(process.env['BENCH_SMOKE'])

export interface Size {
  readonly records: number
  readonly rounds: number
  readonly partitions: number
}

/** Of a benchmark; BENCH_RECORDS and BENCH_ROUNDS have the last word. */
export function size(full: Omit<Size, 'partitions'>): Size {
  return {
    records: Number(process.env['BENCH_RECORDS'] ?? (smoke ? 20_000 : full.records)),
    rounds: Number(process.env['BENCH_ROUNDS'] ?? (smoke ? 1 : full.rounds)),
    partitions: 8,
  }
}

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
  const broker = await sharedKafkaBroker()
  const folder = mkdtempSync(join(tmpdir(), 'millrace-bench-'))
  try {
    const { bootstrap } = broker
    const topic = uniqueName('bench')
    const deadLetterTopic = `${topic}.dead`
    await broker.createTopic(topic, partitions)
    await broker.createTopic(deadLetterTopic, 1)
    const { broken } = await writeReadings(bootstrap, topic, partitions, records)
    const newFile = () => join(folder, `${uniqueName('bench')}.duckdb`)
    const good = records - broken.size
    await play({ broker, bootstrap, topic, deadLetterTopic, records, good, folder, newFile })
  } finally {
    rmSync(folder, { recursive: true, force: true })
    await broker.stop()
  }
}
