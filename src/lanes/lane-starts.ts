import type { TopicPartition } from '../kafka/partition-reader.ts'
import type { TopicInfo } from '../kafka/topic-directory.ts'
import type { Claimed, SinkPartition } from '../sinks/sink.ts'
import type { Lane } from './lane.ts'
import { findGap, passGap } from './log-gap.ts'
import type { Gap, GapRule, LogRange } from './log-gap.ts'

/** Who is asked where lanes begin. */
export interface StartSources {
  /** Topics by name, with Kafka's own id of each. */
  readonly describeTopics: (names: readonly string[]) => Promise<readonly TopicInfo[]>
  /** `Sink.claim` for the partitions of one route. */
  readonly claim: (route: string, partitions: readonly SinkPartition[]) => Promise<readonly Claimed[]>
  readonly member: {
    committed(partitions: readonly TopicPartition[]): Promise<(number | undefined)[]>
    logRange(partition: TopicPartition): Promise<LogRange>
  }
  readonly startAt: 'earliest' | 'latest'
  readonly onGap: GapRule
}

/** Where a lane begins, and who says so. `offset` undefined: the beginning of the log, wherever that is. */
export interface Start {
  readonly epoch: number
  readonly offset: number | undefined
  readonly from: 'sink' | 'group' | 'config'
  readonly topicId: string | undefined
  /** The log does not have `offset`: what the rule makes of it. */
  readonly gap: { readonly found: Gap; readonly lost: number; readonly readFrom: number } | undefined
}

/** The lane cannot begin until an operator acts. */
export interface Standstill {
  readonly gap: { readonly found: Gap; readonly error: Error }
}

/**
 * Claims lanes in their sinks and decides where each begins: the sink's position, else where it stood before (`topicIds` has
 * the lanes that flowed already), else the group's offset, else the configuration's; and whether the log has that. Lanes that
 * are given up before they are claimed are left out.
 */
export async function findStarts(
  lanes: readonly Lane[],
  sources: StartSources,
  topicIds: { get(lane: Lane): string | undefined },
): Promise<Map<Lane, Start | Standstill>> {
  const { member, describeTopics, claim, onGap } = sources
  const topics = await describeTopics([...new Set(lanes.map(({ topic }) => topic))])
  const ids = new Map(topics.map(({ name, id }) => [name, id]))
  const starts = new Map<Lane, Start | Standstill>()
  for (const route of new Set(lanes.map((lane) => lane.route))) {
    // Asked anew: a claim for a partition that was given up meanwhile would fence whoever has it now.
    const own = lanes.filter((lane) => lane.route === route && !lane.closed && lane.draining === undefined)
    if (own.length === 0) continue
    const wanted = own.map(({ topic, partition }) => ({ route, topic, partition, topicId: ids.get(topic) }))
    const claims = await claim(route, wanted)
    const positionless = own.filter((_, index) => claims[index]!.position === null)
    const committed = await member.committed(positionless.map(({ topic, partition }) => ({ topic, partition })))
    const found = own.map(async (lane, index) => {
      const { epoch, position, formerPosition } = claims[index]!
      const topicId = ids.get(lane.topic)
      const before = topicIds.get(lane)
      const former = formerPosition ?? (before !== undefined && before !== topicId ? lane.watermark : undefined)
      const stood = former === undefined ? lane.watermark : undefined
      const from = position === null ? ('group' as const) : ('sink' as const)
      const offset = position ?? stood ?? (former === undefined ? committed[positionless.indexOf(lane)] : undefined)
      const begin = { epoch, offset, from, topicId, gap: undefined }
      if (offset === undefined && former === undefined) {
        return starts.set(lane, { ...begin, offset: await firstStart(lane, topics, sources), from: 'config' })
      }
      const log = await member.logRange(lane)
      const gap: Gap | undefined =
        offset === undefined
          ? { kind: 'made anew', position: former!, of: formerPosition === undefined ? 'group' : 'sink', log }
          : findGap(offset, from, log)
      if (gap === undefined) return starts.set(lane, begin)
      const passage = passGap(gap, onGap, `${lane.topic}/${lane.partition}`)
      if (passage instanceof Error) return starts.set(lane, { gap: { found: gap, error: passage } })
      const { base, readFrom, lost } = passage
      return starts.set(lane, { ...begin, offset: base, gap: { found: gap, lost, readFrom } })
    })
    await Promise.all(found)
  }
  return starts
}

/** Where a partition begins that nobody has read: by the config, unless it was added to a topic that is being read. */
async function firstStart(
  lane: Lane,
  topics: readonly TopicInfo[],
  { member, startAt }: StartSources,
): Promise<number | undefined> {
  if (startAt === 'earliest') return undefined
  const { partitions } = topics.find(({ name }) => name === lane.topic)!
  const siblings = Array.from({ length: partitions }, (_, partition) => ({ topic: lane.topic, partition }))
  // Its first records came after the reading of the topic began: `latest` would skip them.
  if ((await member.committed(siblings)).some((offset) => offset !== undefined)) return undefined
  // Asked for now and kept, because `latest` after a crash would be a later one and skip what came between.
  return (await member.logRange(lane)).end
}
