export interface TopicPartition {
  readonly topic: string
  readonly partition: number
}

/** A partition as one string, for maps and messages: `telemetry.readings/7`. A topic's name holds no slash. */
export const partitionKey = ({ topic, partition }: TopicPartition): string => `${topic}/${partition}`

/** Takes a partition's slabs, in order. Owns the buffer from then on. */
export type SlabReceiver = (slab: ArrayBuffer) => void

/**
 * Hands over the records of assigned partitions as slabs (see slab.ts), each partition in order and only as fast as its
 * lane grants. Two implementations behind one contract: `native` reads librdkafka's partition queues through our addon,
 * `binding` groups what `consume(n)` returns. Main thread only.
 */
export interface PartitionReader {
  readonly name: 'native' | 'binding'

  /**
   * Opens a partition, with no grant yet. Must be called BEFORE the consumer assigns it, because only then can no record
   * slip past; throws when it is open already: a partition assigned again gets a new opening that shares nothing with
   * the old one.
   */
  open(partition: TopicPartition, receive: SlabReceiver): void

  /**
   * Lets the reader hand over about `bytes` more of this partition; below zero: less. Grants add up; each slab uses up its size, and the
   * last one may overdraw by one read. Without a grant left the partition is simply not read. Ignored when not open.
   */
  grant(partition: TopicPartition, bytes: number): void

  /**
   * Ends a partition, before or after the consumer gave it up: no slab of it arrives once this returned, and what was
   * read but not handed over is dropped. Ignored when not open.
   */
  close(partition: TopicPartition): void

  /**
   * Closes a partition that stays assigned, and has librdkafka fetch nothing more of it: a batch that cannot be unpacked
   * would else be fetched and unpacked for ever. Opened again it is fetched again. Ignored when not open.
   */
  halt(partition: TopicPartition): void

  /**
   * Drops what was read of an open partition and reads on from `offset`, with no grant: as if opened anew, for the same
   * receiver. For a partition that the consumer has assigned. Rejects with KafkaUnavailableError; the partition is open
   * then, without a grant, to be rewound again. Between the call and its end no slab arrives.
   */
  rewind(partition: TopicPartition, offset: number): Promise<void>

  /**
   * Where the reader stands in the log: the offset after everything handed over, control records included (transaction
   * markers, which no slab holds). Undefined until something was read.
   */
  position(partition: TopicPartition): number | undefined

  /**
   * Serves the consumer's common queue once: rebalances, errors, statistics, commit answers; for `binding` the records
   * too. Called in a loop, never twice at once, until the consumer is closed: it keeps `max.poll.interval.ms` alive.
   * Waits at most some 250 ms. Rejects with what Kafka reported (an error event of the consumer).
   */
  poll(): Promise<void>

  /** Closes every partition and ends the reader's threads. Called before the consumer disconnects. */
  stop(): Promise<void>
}
