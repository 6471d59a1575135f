/** What we use of librdkafka's statistics. https://github.com/confluentinc/librdkafka/blob/v2.15.1/STATISTICS.md */
export interface PartitionStatistics {
  readonly topic: string
  readonly partition: number
  /** The log's end for our isolation level, as of the last fetch; undefined while it is not known. */
  readonly end: number | undefined
}

interface Statistics {
  topics: Record<string, { partitions: Record<string, { ls_offset: number; hi_offset: number }> }>
}

/** The partitions that one statistics event tells of. */
export function parseStatistics(json: string): PartitionStatistics[] {
  const { topics } = JSON.parse(json) as Statistics
  return Object.entries(topics).flatMap(([topic, { partitions }]) =>
    Object.entries(partitions)
      // librdkafka keeps records without a known partition under -1.
      .filter(([partition]) => partition !== '-1')
      .map(([partition, { ls_offset: stable, hi_offset: high }]) => {
        // The last stable offset is the end for readers of committed records; -1001 is librdkafka's "unknown".
        const end = stable >= 0 ? stable : high
        return { topic, partition: Number(partition), end: end >= 0 ? end : undefined }
      }),
  )
}
