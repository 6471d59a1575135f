import type { KafkaConsumer } from '@confluentinc/kafka-javascript'
import { partitionKey } from './partition-reader.ts'
import type { TopicPartition } from './partition-reader.ts'

/**
 * The partitions that librdkafka was told to fetch nothing of. It remembers that past the partition's assignment, so this
 * outlives an opening: one that comes back to us paused would never be read again.
 */
export class PausedPartitions {
  readonly #consumer: Pick<KafkaConsumer, 'pause' | 'resume'>
  readonly #keys = new Set<string>()

  constructor(consumer: Pick<KafkaConsumer, 'pause' | 'resume'>) {
    this.#consumer = consumer
  }

  has(partition: TopicPartition): boolean {
    return this.#keys.has(partitionKey(partition))
  }

  pause({ topic, partition }: TopicPartition): void {
    this.#keys.add(partitionKey({ topic, partition }))
    this.#consumer.pause([{ topic, partition }])
  }

  /** Only what is paused: a needless resume makes librdkafka drop what it has fetched, and go on after it. */
  resume({ topic, partition }: TopicPartition): void {
    if (this.#keys.delete(partitionKey({ topic, partition }))) this.#consumer.resume([{ topic, partition }])
  }
}
