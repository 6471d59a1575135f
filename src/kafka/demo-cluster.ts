import { once } from 'node:events'
import kafka from '@confluentinc/kafka-javascript'
import type { Producer } from '@confluentinc/kafka-javascript'
import { KafkaUnavailableError } from '../errors.ts'
import { errorCodes, kafkaErrorCode } from './binding.ts'
import { connectClient, disconnectClient } from './client-connection.ts'
import type { Topics } from './topic-directory.ts'

interface BrokerStatistics {
  brokers: Record<string, { nodeid: number; nodename: string }>
}

/**
 * librdkafka's mock cluster and the producer that hosts it, for the demo: topics make themselves, with 4 partitions of at
 * most 5 MiB or 100,000 records each, of which the oldest are dropped. It lives as long as this client. The producer is as a
 * device gateway's should be: idempotent, keyed, compressing.
 */
export class DemoCluster {
  readonly brokers: string
  readonly #producer: Producer
  #queued = 0
  #delivered = 0
  #failed = 0

  private constructor(producer: Producer, brokers: string) {
    this.#producer = producer
    this.brokers = brokers
    producer.on('delivery-report', (error) => {
      if (error) this.#failed++
      else this.#delivered++
    })
    producer.setPollInBackground(true)
  }

  /** With topics of these names. */
  static async start(topics: readonly string[]): Promise<DemoCluster> {
    const settings = {
      'test.mock.num.brokers': 1,
      'statistics.interval.ms': 50,
      'enable.idempotence': true,
      'compression.type': 'lz4' as const,
      'linger.ms': 5,
      dr_cb: true,
    }
    const producer = new kafka.Producer(settings, undefined)
    await connectClient(producer, 10_000)
    // The mock cluster's address is told nowhere else. https://github.com/confluentinc/librdkafka/blob/v2.15.1/src/rdkafka_mock.h
    producer.setPollInterval(20)
    const [{ message }] = (await once(producer, 'event.stats')) as [{ message: string }]
    producer.setPollInterval(0)
    const { brokers } = JSON.parse(message) as BrokerStatistics
    const broker = Object.values(brokers).find(({ nodeid }) => nodeid >= 1)
    if (broker === undefined) throw new KafkaUnavailableError('the embedded broker tells no address')
    for (const topic of topics) await makeTopic(producer, topic)
    return new DemoCluster(producer, broker.nodename)
  }

  /** Records acknowledged by the cluster. */
  get delivered(): number {
    return this.#delivered
  }

  /** Queues a record; false when the producer's queue is full: try again later. */
  produce(topic: string, key: string, value: Buffer): boolean {
    try {
      this.#producer.produce(topic, null, value, key, null)
      this.#queued++
      return true
    } catch (cause) {
      if (kafkaErrorCode(cause) === errorCodes.queueFull) return false
      throw new KafkaUnavailableError(`${topic}: the record cannot be produced`, { cause })
    }
  }

  /** Waits until every record is acknowledged or given up. */
  async flush(timeoutMs: number): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#producer.flush(timeoutMs, (cause: unknown) => {
        if (cause) reject(new KafkaUnavailableError('not every record was acknowledged in time', { cause }))
        else resolve()
      })
    })
    // The reports come to this thread some time after the records are through.
    while (this.#delivered + this.#failed < this.#queued) await once(this.#producer, 'delivery-report')
  }

  async stop(): Promise<void> {
    await disconnectClient(this.#producer, 5_000)
  }
}

/** To ask the mock cluster for a topic is to make it. */
async function makeTopic(producer: Producer, topic: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    producer.getMetadata({ topic, timeout: 10_000 }, (cause: unknown) => {
      if (cause) reject(new KafkaUnavailableError(`topic ${topic} cannot be made in the embedded broker`, { cause }))
      else resolve()
    })
  })
}

/** The demo's own topics. The mock cluster has no controller, which every admin request would wait for, and no topic ids. */
export const demoTopics: Topics = {
  list: () => Promise.resolve([]),
  describe: (names) => Promise.resolve(names.map((name) => ({ name, id: undefined, partitions: 4 }))),
  close: () => undefined,
}
