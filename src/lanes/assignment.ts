import { failPoint, failPointsArmed } from '../fail-points.ts'
import type { PartitionOffset, Rebalance } from '../kafka/consumer.ts'
import type { PartitionReader, TopicPartition } from '../kafka/partition-reader.ts'
import type { TopicInfo } from '../kafka/topic-directory.ts'
import type { Claimed, SinkPartition } from '../sinks/sink.ts'
import type { Books } from './books.ts'
import type { LaneSet } from './lane-set.ts'
import { Lane } from './lane.ts'
import type { LaneSlab } from './lane.ts'

/** The group member, as far as the assignment needs it. */
export interface GroupMember {
  assign(partitions: readonly PartitionOffset[]): void
  unassign(partitions: readonly TopicPartition[]): void
  committed(partitions: readonly TopicPartition[]): Promise<(number | undefined)[]>
  logRange(partition: TopicPartition): Promise<{ start: number; end: number }>
  /** The group gave away what we have not yet answered for: a commit would be refused, or move another's offset back. */
  assignmentLost(): boolean
}

export interface AssignmentOptions {
  readonly member: GroupMember
  /** Topics by name, with Kafka's own id of each. */
  readonly describeTopics: (names: readonly string[]) => Promise<readonly TopicInfo[]>
  readonly reader: PartitionReader
  readonly lanes: LaneSet
  readonly books: Books
  /** The route of a topic; the group only ever assigns topics that have one. */
  readonly routeOf: (topic: string) => string
  /** `Sink.claim` for the partitions of one route. */
  readonly claim: (route: string, partitions: readonly SinkPartition[]) => Promise<readonly Claimed[]>
  /** What the lane must know of a slab. */
  readonly describe: (slab: ArrayBuffer) => LaneSlab
  /** Commits the watermarks of all lanes; true when they are committed. */
  readonly commit: () => Promise<boolean>
  readonly startAt: 'earliest' | 'latest'
  readonly beginningOfLog: number
  readonly drainMs: number
  /** What a lane keeps for a last load when it is drained. */
  readonly drainLimits: { readonly maxBytes: number; readonly maxRecords: number }
  /** Bytes that all lanes together may hold, read and not yet durable. */
  readonly lanesBytesMax: number
  readonly backoffMs: (attempt: number) => number
  readonly events: AssignmentEvents
}

export interface AssignmentEvents {
  started(lane: Lane, start: Start): void
  received(lane: Lane, records: number): void
  closed(lane: Lane): void
  /** A lane cannot begin for now: it is tried again in `waitMs`. */
  waiting(lane: Lane, error: Error, waitMs: number): void
  revoked(lanes: readonly Lane[], how: 'drained' | 'deadline' | 'lost'): void
  /** Something a load may be waiting for has changed. */
  changed(): void
}

/** Where a lane begins, and who says so. `offset` undefined: the beginning of the log, wherever that is. */
export interface Start {
  readonly epoch: number
  readonly offset: number | undefined
  readonly from: 'sink' | 'group' | 'config'
}

/** Claims are waited for this long before the partitions are assigned without them: the group must not stand still longer. */
const claimBeforeAssignMs = 5000
const commitBeforeRevokeMs = 5000

/**
 * Opens, drains and drops partitions, as the group says. Rebalances are answered one after the other, each of them always:
 * librdkafka stands still until then, and an unanswered one hangs the exit.
 */
export class Assignment {
  readonly #options: AssignmentOptions
  #queue: Promise<void> = Promise.resolve()
  /** What each lane that flows has been granted at all, beside what came back: its share. */
  readonly #shares = new Map<Lane, number>()
  /** Set at shutdown: from then on partitions are only given up. */
  #closing = false
  #answered = 0

  constructor(options: AssignmentOptions) {
    this.#options = options
  }

  /** How many rebalances were answered: 0 while the group has not been joined. */
  get answered(): number {
    return this.#answered
  }

  /** Answers after the ones before it. `onFailure` hears what must not happen: the process cannot go on then. */
  rebalance(event: Rebalance, onFailure: (error: Error) => void): void {
    this.#queue = this.#queue
      .then(() =>
        event.kind === 'assign' ? this.#assign(event.partitions) : this.#revoke(event.partitions, event.lost),
      )
      .then(() => void this.#answered++)
      .catch(onFailure)
  }

  /**
   * Ends every lane in order: no more reading, the head of each lane written, watermarks committed. Resolves when that is
   * done or the deadline passed; true when everything buffered was written and committed.
   */
  async close(deadlineMs: number): Promise<boolean> {
    this.#closing = true
    const lanes = [...this.#options.lanes]
    const drained = await this.#drain(lanes, 'shutdown', deadlineMs)
    const committed = await this.#commit()
    for (const lane of lanes) this.#drop(lane)
    // A rebalance that came meanwhile is answered before the consumer leaves; with its lanes dropped it has little to do.
    await withDeadline(this.#queue, claimBeforeAssignMs + commitBeforeRevokeMs)
    return drained && committed
  }

  /** Bytes of a lane are durable: as many may be read again. A partition that came back owes nothing to its former lane. */
  release(lane: Lane, bytes: number): void {
    if (!lane.closed) this.#options.reader.grant(lane, bytes)
  }

  /** Claims a lane anew and reads on from where its sink stands then; for lanes whose load was lost, fenced or resynced. */
  async recover(lane: Lane, firstWaitMs: number): Promise<void> {
    const { reader, events } = this.#options
    lane.reclaim()
    this.#shares.delete(lane)
    let waitMs = firstWaitMs
    // Asked after every wait: the partition may have another lane by then, and its reading is not ours to rewind.
    const over = () => lane.waiting !== 'claim' || lane.draining !== undefined || this.#closing
    for (let attempt = 1; !over(); attempt++) {
      await delay(waitMs)
      if (over()) return
      try {
        const start = (await this.#starts([lane])).get(lane)!
        const offset = start.offset ?? (await this.#options.member.logRange(lane)).start
        if (over()) return
        await reader.rewind(lane, offset)
        if (over()) return
        this.#begin(lane, { ...start, offset })
        this.#shareOut()
        return
      } catch (error) {
        waitMs = this.#options.backoffMs(attempt)
        lane.failed(error as Error, performance.now() + waitMs)
        events.waiting(lane, error as Error, waitMs)
      }
    }
  }

  async #assign(partitions: readonly TopicPartition[]): Promise<void> {
    const { member, reader, lanes, books, routeOf, events } = this.#options
    if (this.#closing) return member.assign([])
    const fresh = partitions.map(({ topic, partition }) => new Lane(topic, partition, routeOf(topic), books))
    const starts = await withDeadline(this.#starts(fresh), claimBeforeAssignMs).catch((error: Error) => {
      for (const lane of fresh) events.waiting(lane, error, 0)
      return undefined
    })
    if (this.#closing) return member.assign([])
    for (const lane of fresh) {
      lanes.add(lane)
      // Before assign: only then can no record slip past the reader.
      reader.open(lane, (slab) => this.#receive(lane, slab))
    }
    member.assign(
      fresh.map((lane) => ({
        topic: lane.topic,
        partition: lane.partition,
        // Without a claim the start is provisional: the lane gets no grant until it is claimed and rewound.
        offset: starts?.get(lane)?.offset ?? this.#options.beginningOfLog,
      })),
    )
    for (const lane of fresh) {
      const start = starts?.get(lane)
      if (start) this.#begin(lane, start)
      else void this.recover(lane, 0)
    }
    this.#shareOut()
  }

  async #revoke(partitions: readonly TopicPartition[], lost: boolean): Promise<void> {
    if (failPointsArmed) await failPoint('in-revoke')
    const { member, events } = this.#options
    const given = partitions.flatMap(({ topic, partition }) => this.#options.lanes.get(topic, partition) ?? [])
    const drained = !lost && (await this.#drain(given, 'revoke', this.#options.drainMs))
    // Another member may write them already: nothing of ours is written or committed after this.
    const gone = lost || member.assignmentLost()
    if (!gone) await this.#commit()
    events.revoked(given, gone ? 'lost' : drained ? 'drained' : 'deadline')
    for (const lane of given) this.#drop(lane)
    this.#shareOut()
    member.unassign(partitions)
  }

  /** True when all of them ended before the deadline. */
  async #drain(lanes: readonly Lane[], why: 'revoke' | 'shutdown', deadlineMs: number): Promise<boolean> {
    const { reader, drainLimits, events } = this.#options
    for (const lane of lanes) reader.close(lane)
    if (failPointsArmed) await failPoint('in-drain')
    const all = Promise.all(lanes.map((lane) => lane.drain(why, drainLimits.maxBytes, drainLimits.maxRecords)))
    events.changed()
    return (await withDeadline(all, deadlineMs)) !== undefined
  }

  /** Commits the watermarks, while they are ours to commit; true when they are committed. */
  async #commit(): Promise<boolean> {
    if (this.#options.member.assignmentLost()) return false
    return (await withDeadline(this.#options.commit(), commitBeforeRevokeMs)) === true
  }

  #drop(lane: Lane): void {
    this.#options.reader.close(lane)
    lane.close()
    this.#options.lanes.delete(lane)
    this.#shares.delete(lane)
    this.#options.events.closed(lane)
  }

  #begin(lane: Lane, start: Start): void {
    lane.start(start.epoch, start.offset)
    this.#shares.set(lane, 0)
    this.#options.events.started(lane, start)
  }

  /** Divides the memory anew among the lanes that flow. A share that shrinks is a grant below zero: reading waits for it. */
  #shareOut(): void {
    const { reader, lanesBytesMax } = this.#options
    const share = Math.floor(lanesBytesMax / this.#shares.size)
    for (const [lane, granted] of this.#shares) {
      if (granted === share) continue
      reader.grant(lane, share - granted)
      this.#shares.set(lane, share)
    }
  }

  #receive(lane: Lane, buffer: ArrayBuffer): void {
    const slab = this.#options.describe(buffer)
    lane.push(slab, performance.now())
    this.#options.events.received(lane, slab.records)
  }

  /** Claims lanes in their sinks and decides where each begins: the sink's position, else the group's, else the config's. */
  async #starts(lanes: readonly Lane[]): Promise<Map<Lane, Start>> {
    const { member, describeTopics, claim } = this.#options
    const topics = await describeTopics([...new Set(lanes.map(({ topic }) => topic))])
    const ids = new Map(topics.map(({ name, id }) => [name, id]))
    const starts = new Map<Lane, Start>()
    for (const route of new Set(lanes.map((lane) => lane.route))) {
      const own = lanes.filter((lane) => lane.route === route)
      const wanted = own.map(({ topic, partition }) => ({ route, topic, partition, topicId: ids.get(topic) }))
      const claims = await claim(route, wanted)
      const positionless = own.filter((_, index) => claims[index]!.position === null)
      const committed = await member.committed(positionless.map(({ topic, partition }) => ({ topic, partition })))
      for (const [index, lane] of own.entries()) {
        const { epoch, position } = claims[index]!
        const offset = position ?? committed[positionless.indexOf(lane)]
        if (position !== null) starts.set(lane, { epoch, offset, from: 'sink' })
        else if (offset !== undefined) starts.set(lane, { epoch, offset, from: 'group' })
        else starts.set(lane, { epoch, offset: await this.#firstStart(lane, topics), from: 'config' })
      }
    }
    return starts
  }

  /** Where a partition begins that nobody has read: by the config, unless it was added to a topic that is being read. */
  async #firstStart(lane: Lane, topics: readonly TopicInfo[]): Promise<number | undefined> {
    const { member, startAt } = this.#options
    if (startAt === 'earliest') return undefined
    const { partitions } = topics.find(({ name }) => name === lane.topic)!
    const siblings = Array.from({ length: partitions }, (_, partition) => ({ topic: lane.topic, partition }))
    // Its first records came after the reading of the topic began: `latest` would skip them.
    if ((await member.committed(siblings)).some((offset) => offset !== undefined)) return undefined
    // Asked for now and kept, because `latest` after a crash would be a later one and skip what came between.
    return (await member.logRange(lane)).end
  }
}

/** The value, or undefined once the deadline has passed. */
async function withDeadline<T>(work: Promise<T>, deadlineMs: number): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined
  const deadline = new Promise<undefined>((resolve) => (timer = setTimeout(() => resolve(undefined), deadlineMs)))
  return Promise.race([work, deadline]).finally(() => clearTimeout(timer))
}

const delay = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
