import kafka from '@confluentinc/kafka-javascript'
import type { Producer } from '@confluentinc/kafka-javascript'
import { fileURLToPath } from 'node:url'
import { simulatedReadings } from '../../src/commands/simulated-readings.ts'
import { loadMessageType } from '../../src/decode/schema-source.ts'
import { packageRoot } from '../../src/package-root.ts'

export const readingProto = fileURLToPath(new URL('proto/telemetry.proto', packageRoot))
export const readingMessage = 'telemetry.v1.Reading'

/** What was written to a topic: record i went to partition i % partitions, as its next offset. */
export interface Written {
  readonly records: number
  /** `partition/offset` of each record that is no Reading. */
  readonly broken: ReadonlySet<string>
}

/** Writes readings to a topic as fast as the broker takes them, round robin over its partitions; one in 999 is broken. */
export async function writeReadings(
  bootstrap: string,
  topic: string,
  partitions: number,
  records: number,
): Promise<Written> {
  const type = await loadMessageType({ files: [readingProto], message: readingMessage })
  const readings = simulatedReadings(type, 7)
  const broken = new Set<string>()
  function* all() {
    for (let index = 0; index < records; index++) {
      const { key, value, broken: isBroken } = readings.next().value
      const partition = index % partitions
      if (isBroken) broken.add(`${partition}/${Math.floor(index / partitions)}`)
      yield { partition, value, key }
    }
  }
  await produceAll(bootstrap, topic, all())
  return { records, broken }
}

/** Writes records as fast as the broker takes them. */
export async function produceAll(
  bootstrap: string,
  topic: string,
  records: Iterable<{ readonly partition: number; readonly value: Buffer; readonly key?: string }>,
): Promise<void> {
  await withProducer(bootstrap, async (producer, room) => {
    for (const { partition, value, key } of records) {
      while (!tryProduce(producer, topic, partition, value, key)) await room()
    }
  })
}

/** Runs `write` with an idempotent producer, then waits until all is acknowledged. `room` resolves when some of it was. */
export async function withProducer(
  bootstrap: string,
  write: (producer: Producer, room: () => Promise<void>) => Promise<void>,
): Promise<void> {
  const producer = new kafka.Producer(
    {
      'bootstrap.servers': bootstrap,
      'enable.idempotence': true,
      'compression.type': 'lz4',
      'linger.ms': 5,
      'queue.buffering.max.messages': 500_000,
      dr_cb: true,
    },
    undefined,
  )
  let failure: unknown
  let wake: () => void = () => undefined
  producer.on('delivery-report', (error) => {
    failure ??= error
    wake()
  })
  await new Promise<void>((resolve, reject) => producer.connect({}, (error) => (error ? reject(error) : resolve())))
  producer.setPollInBackground(true)
  await write(producer, () => new Promise((resolve) => (wake = resolve)))
  await new Promise<void>((resolve, reject) => producer.flush(60_000, (error) => (error ? reject(error) : resolve())))
  await new Promise<void>((resolve) => void producer.disconnect(() => resolve()))
  if (failure) throw new Error('a record was not acknowledged', { cause: failure })
}

/** False when librdkafka's queue is full. */
export function tryProduce(
  producer: Producer,
  topic: string,
  partition: number,
  value: Buffer,
  key: string | undefined,
): boolean {
  try {
    producer.produce(topic, partition, value, key)
    return true
  } catch (error) {
    if ((error as { code?: number }).code === kafka.CODES.ERRORS.ERR__QUEUE_FULL) return false
    throw error
  }
}
