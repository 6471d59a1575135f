import kafka from '@confluentinc/kafka-javascript'
import type { KafkaConsumer, LibrdKafkaError, TopicPartitionOffset } from '@confluentinc/kafka-javascript'

/** What the binding's low-level consumer has and its type declarations lack. */
export type BindingConsumer = KafkaConsumer & {
  incrementalAssign(partitions: readonly TopicPartitionOffset[]): void
  incrementalUnassign(partitions: readonly { topic: string; partition: number }[]): void
  /** Valid from the revoke callback until the unassign call. */
  assignmentLost(): boolean
  /** `NONE` before the first rebalance and while disconnecting. */
  rebalanceProtocol(): 'NONE' | 'EAGER' | 'COOPERATIVE'
  /** With true only the first message of `consume(n)` is waited for; without it the time-out counts for each one. */
  setDefaultIsTimeoutOnlyForFirstMessage(only: boolean): void
}

export const createBindingConsumer = (settings: object): BindingConsumer =>
  // The second argument must be undefined: `{}` there throws away topic-level keys such as auto.offset.reset.
  new kafka.KafkaConsumer(settings, undefined) as BindingConsumer

/** librdkafka's error codes that we decide on. https://github.com/confluentinc/librdkafka/blob/v2.15.1/src/rdkafka.h */
export const errorCodes = {
  assignPartitions: -175,
  queueFull: -184,
  fatal: -150,
  autoOffsetReset: -140,
  logTruncation: -139,
  badCompression: -198,
  offsetOutOfRange: 1,
  messageTooLarge: 10,
  invalidMessageSize: 4,
  unknownTopicOrPartition: 3,
  topicAuthorizationFailed: 29,
} as const

/** The code of an error that the binding threw or handed to a callback; undefined when it is another kind of error. */
export function kafkaErrorCode(error: unknown): number | undefined {
  const code = (error as Partial<LibrdKafkaError> | null)?.code
  return typeof code === 'number' ? code : undefined
}
