/** What we use of librdkafka's statistics. https://github.com/confluentinc/librdkafka/blob/v2.15.1/STATISTICS.md */
export interface PartitionStatistics {
  readonly topic: string
  readonly partition: number
  /** The log's end for our isolation level, as of the last fetch; undefined while it is not known. */
  readonly end: number | undefined
  /** Why nothing can come of it now; undefined while its leader is connected. */
  readonly trouble: string | undefined
}

interface Statistics {
  brokers: Record<string, { nodeid: number; state: string }>
  topics: Record<string, { partitions: Record<string, { leader: number; ls_offset: number; hi_offset: number }> }>
}

/** The partitions that one statistics event tells of. */
export function parseStatistics(json: string): PartitionStatistics[] {
  const { brokers, topics } = JSON.parse(json) as Statistics
  // Connecting, authenticating and updating states are short ones; those of a broker that is away last.
  const away = new Map(
    Object.entries(brokers)
      .filter(([, { state }]) => state !== 'UP' && state !== 'UPDATE')
      .map(([name, { nodeid, state }]) => [nodeid, `its leader, broker ${name}, is not connected (${state})`]),
  )
  return Object.entries(topics).flatMap(([topic, { partitions }]) =>
    Object.entries(partitions)
      // librdkafka keeps records without a known partition under -1.
      .filter(([partition]) => partition !== '-1')
      .map(([partition, { leader, ls_offset: stable, hi_offset: high }]) => {
        // The last stable offset is the end for readers of committed records; -1001 is librdkafka's "unknown".
        const end = stable >= 0 ? stable : high
        const trouble = leader < 0 ? 'it has no leader' : away.get(leader)
        return { topic, partition: Number(partition), end: end >= 0 ? end : undefined, trouble }
      }),
  )
}
