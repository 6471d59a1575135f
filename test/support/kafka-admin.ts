import kafka from '@confluentinc/kafka-javascript'
import type {
  KafkaConsumer,
  KafkaJS,
  LibrdKafkaError,
  TopicPartition,
  TopicPartitionOffset,
} from '@confluentinc/kafka-javascript'
import { setTimeout as pause } from 'node:timers/promises'

const {
  ERR_GROUP_COORDINATOR_NOT_AVAILABLE,
  ERR_GROUP_LOAD_IN_PROGRESS,
  ERR_LEADER_NOT_AVAILABLE,
  ERR_NOT_COORDINATOR_FOR_GROUP,
  ERR_NOT_LEADER_FOR_PARTITION,
  ERR_UNKNOWN_TOPIC_OR_PART,
} = kafka.CODES.ERRORS
const requestTimeoutMs = 15_000
const settledWithinMs = 60_000
const askAgainAfterMs = 10

/** What tests ask of a cluster beside reading and writing, in plain numbers. One connection, made when first needed. */
export class KafkaAdmin {
  readonly bootstrap: string
  #client: Promise<KafkaJS.Admin> | undefined

  constructor(bootstrap: string) {
    this.bootstrap = bootstrap
  }

  /** Resolves once every partition can be read, so that a client started next finds the topic whole. */
  async createTopic(topic: string, partitions = 1, config: Readonly<Record<string, string>> = {}): Promise<void> {
    const client = await this.#connected()
    const configEntries = Object.entries(config).map(([name, value]) => ({ name, value }))
    const created = await client.createTopics({
      topics: [{ topic, numPartitions: partitions, replicationFactor: 1, configEntries }],
      timeout: requestTimeoutMs,
    })
    if (!created) throw new Error(`topic ${topic} exists already: name it with uniqueName()`)
    await settled(`topic ${topic} has ${partitions} leaders`, async () => {
      return (await endOffsets(client, topic)).length === partitions
    })
  }

  /** Resolves once the brokers list it no longer. */
  async deleteTopic(topic: string): Promise<void> {
    const client = await this.#connected()
    await client.deleteTopics({ topics: [topic], timeout: requestTimeoutMs })
    await settled(`topic ${topic} is gone`, async () => !(await client.listTopics()).includes(topic))
  }

  /** Lets the log of a partition begin at `offset`, as retention does. */
  async deleteRecordsBelow(topic: string, partition: number, offset: number): Promise<void> {
    const client = await this.#connected()
    await client.deleteTopicRecords({
      topic,
      partitions: [{ partition, offset: String(offset) }],
      timeout: requestTimeoutMs,
    })
  }

  /** The next offset to be written, one for each partition in order. Transaction markers count. */
  async endOffsets(topic: string): Promise<number[]> {
    const client = await this.#connected()
    return settled(`every partition of ${topic} has a leader`, async () => {
      const offsets = await endOffsets(client, topic)
      return offsets.length > 0 && offsets
    })
  }

  /** What the group has committed, one for each partition in order; undefined where it never did. */
  async committed(group: string, topic: string): Promise<(number | undefined)[]> {
    const partitions = (await this.endOffsets(topic)).map((_, partition) => ({ topic, partition }))
    // Not the admin's fetchOffsets: librdkafka's admin client dies of a segmentation fault when the group is new to
    // the broker (confluent-kafka-javascript issue 374). A consumer that joins nothing may ask the same.
    const consumer = new kafka.KafkaConsumer({ 'bootstrap.servers': this.bootstrap, 'group.id': group }, undefined)
    await new Promise<void>((resolve, reject) => {
      consumer.connect({}, (error) => (error ? reject(error) : resolve()))
    })
    try {
      return await settled(`group ${group} has a coordinator`, () => committed(consumer, partitions))
    } finally {
      await new Promise<void>((resolve) => consumer.disconnect(() => resolve()))
    }
  }

  /** Resolves when the cluster answers. */
  async ping(): Promise<void> {
    await (await this.#connected()).listTopics({ timeout: requestTimeoutMs })
  }

  async disconnect(): Promise<void> {
    const client = this.#client
    this.#client = undefined
    await (await client)?.disconnect()
  }

  #connected(): Promise<KafkaJS.Admin> {
    this.#client ??= connect(this.bootstrap)
    return this.#client
  }
}

async function connect(bootstrap: string): Promise<KafkaJS.Admin> {
  const { Kafka, logLevel } = kafka.KafkaJS
  const admin = new Kafka({ kafkaJS: { brokers: [bootstrap], logLevel: logLevel.NOTHING } }).admin()
  await admin.connect()
  return admin
}

/** Empty while the topic is unknown to the broker or one of its partitions has no leader. */
async function endOffsets(client: KafkaJS.Admin, topic: string): Promise<number[]> {
  try {
    const offsets = await client.fetchTopicOffsets(topic, {
      isolationLevel: kafka.KafkaJS.IsolationLevel.READ_UNCOMMITTED,
      timeout: requestTimeoutMs,
    })
    const ends = offsets.sort((a, b) => a.partition - b.partition).map(({ high }) => Number(high))
    // -1 is the binding's word for a partition that answered with an error.
    return ends.includes(-1) ? [] : ends
  } catch (error) {
    if (isOneOf(error, [ERR_UNKNOWN_TOPIC_OR_PART, ERR_NOT_LEADER_FOR_PARTITION, ERR_LEADER_NOT_AVAILABLE])) return []
    throw error
  }
}

/** Undefined while the group has no coordinator: the first group makes the broker create the topic of offsets. */
async function committed(
  consumer: KafkaConsumer,
  partitions: TopicPartition[],
): Promise<(number | undefined)[] | undefined> {
  try {
    const offsets = await new Promise<TopicPartitionOffset[]>((resolve, reject) => {
      consumer.committed(partitions, requestTimeoutMs, (error, answer) => (error ? reject(error) : resolve(answer)))
    })
    return offsets.sort((a, b) => a.partition - b.partition).map(({ offset }) => (offset >= 0 ? offset : undefined))
  } catch (error) {
    const starting = [ERR_NOT_COORDINATOR_FOR_GROUP, ERR_GROUP_COORDINATOR_NOT_AVAILABLE, ERR_GROUP_LOAD_IN_PROGRESS]
    if (isOneOf(error, starting)) return undefined
    throw error
  }
}

const isOneOf = (error: unknown, codes: readonly number[]) => codes.includes((error as LibrdKafkaError).code)

/** The broker has no event for "this is known everywhere now": so it is asked until it gives a result. */
async function settled<T>(claim: string, ask: () => Promise<T | undefined | false>): Promise<T> {
  const deadline = performance.now() + settledWithinMs
  for (;;) {
    const result = await ask()
    if (result !== undefined && result !== false) return result
    if (performance.now() > deadline) throw new Error(`not so after ${settledWithinMs} ms: ${claim}`)
    await pause(askAgainAfterMs)
  }
}
