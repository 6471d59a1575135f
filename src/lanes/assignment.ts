import { failPoint, failPointsArmed } from '../fail-points.ts'
import type { PartitionOffset, Rebalance } from '../kafka/consumer.ts'
import type { PartitionReader, TopicPartition } from '../kafka/partition-reader.ts'
import type { Books } from './books.ts'
import type { LaneSet } from './lane-set.ts'
import { Lane } from './lane.ts'
import type { LaneSlab } from './lane.ts'
import { findStarts } from './lane-starts.ts'
import type { Standstill, Start, StartSources } from './lane-starts.ts'
import type { Gap } from './log-gap.ts'

/** The group member, as far as the assignment needs it. */
export type GroupMember = StartSources['member'] & {
  assign(partitions: readonly PartitionOffset[]): void
  unassign(partitions: readonly TopicPartition[]): void
  /** Gives one partition up and takes it again from `offset`, outside of a rebalance. `open` is called between the two. */
  retake(partition: TopicPartition, offset: number, open: () => void): void
  /** The group gave away what we have not yet answered for: a commit would be refused, or move another's offset back. */
  assignmentLost(): boolean
}

export interface AssignmentOptions extends StartSources {
  readonly member: GroupMember
  /** What stops is halted by whoever hears of it. */
  readonly reader: Omit<PartitionReader, 'halt'>
  readonly lanes: LaneSet
  readonly books: Books
  /** The route of a topic; the group only ever assigns topics that have one. */
  readonly routeOf: (topic: string) => string
  /** What the lane must know of a slab. */
  readonly describe: (slab: ArrayBuffer) => LaneSlab
  /** Commits the watermarks of all lanes; true when they are committed. */
  readonly commit: () => Promise<boolean>
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
  /** The log lacks what a lane is to be read from; `lost` records are passed by the rule, none when it stops. */
  gap(lane: Lane, gap: Gap, lost: number): void
  /** The lane stands still until an operator acts. */
  stopped(lane: Lane, error: Error): void
  revoked(lanes: readonly Lane[], how: 'drained' | 'deadline' | 'lost'): void
  /** Something a load may be waiting for has changed. */
  changed(): void
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
  /** Kafka's id of the topic that each lane began to read. */
  readonly #topicIds = new WeakMap<Lane, string>()
  /** Lanes whose position the log may not have; looked at once what they hold is written. */
  readonly #doubted = new Set<Lane>()
  /** Lanes whose partition librdkafka reads no more, and refuses to seek. */
  readonly #halted = new WeakSet<Lane>()
  /** Set at shutdown: from then on partitions are only given up. */
  #closing = false
  #answered = 0
  /** Each ends a drain that is under way. */
  readonly #endDrain = new Set<() => void>()

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
    const { events } = this.#options
    lane.reclaim()
    this.#shares.delete(lane)
    let waitMs = firstWaitMs
    // Asked after every wait: the partition may have another lane by then, and its reading is not ours to rewind.
    const over = () => lane.waiting !== 'claim' || lane.draining !== undefined || this.#closing
    for (let attempt = 1; !over(); attempt++) {
      await delay(waitMs)
      if (over()) return
      try {
        const start = (await this.#starts([lane])).get(lane)
        if (start === undefined || over()) return
        if (!isStart(start)) return this.#stop(lane, start)
        const offset = start.gap?.readFrom ?? start.offset ?? (await this.#options.member.logRange(lane)).start
        if (over()) return
        await this.#readFrom(lane, offset)
        if (over()) return
        this.#begin(lane, { ...start, offset: start.offset ?? offset })
        this.#shareOut()
        return
      } catch (error) {
        waitMs = this.#options.backoffMs(attempt)
        lane.failed(error as Error, performance.now() + waitMs)
        events.waiting(lane, error as Error, waitMs)
      }
    }
  }

  /**
   * The log may not have what the lane is to read next: it is asked again once the lane has written what it holds. `halted`:
   * librdkafka has said so, and reads the partition no more.
   */
  doubt(lane: Lane, halted: boolean): void {
    this.#doubted.add(lane)
    if (halted) this.#halted.add(lane)
  }

  /** Doubts lanes whose topic has another id than when they began. Rejects when the topics cannot be described. */
  async compareTopics(): Promise<void> {
    const flowing = [...this.#options.lanes].filter((lane) => this.#shares.has(lane))
    const topics = await this.#options.describeTopics([...new Set(flowing.map(({ topic }) => topic))])
    const ids = new Map(topics.map(({ name, id }) => [name, id]))
    for (const lane of flowing) {
      const [was, is] = [this.#topicIds.get(lane), ids.get(lane.topic)]
      if (was !== undefined && is !== undefined && was !== is) this.doubt(lane, false)
    }
  }

  /** Called after every poll: what the group has given to others while it was drained is waited for no more. */
  heedLoss(): void {
    if (this.#endDrain.size > 0 && this.#options.member.assignmentLost()) for (const end of this.#endDrain) end()
  }

  /** Called with each statistics: begins anew with doubted lanes that have nothing left to write. */
  settleDoubts(): void {
    for (const lane of this.#doubted) {
      if (lane.waiting === 'scheduler' || lane.waiting === 'load') continue
      this.#doubted.delete(lane)
      if (lane.waiting === 'nothing to read' && lane.draining === undefined) void this.recover(lane, 0)
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
        offset: readFrom(starts?.get(lane)) ?? this.#options.beginningOfLog,
      })),
    )
    for (const lane of fresh) {
      const start = starts?.get(lane)
      if (start === undefined) void this.recover(lane, 0)
      else if (isStart(start)) this.#begin(lane, start)
      else this.#stop(lane, start)
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

  /** True when all of them ended before the deadline, and before the group gave them to others. */
  async #drain(lanes: readonly Lane[], why: 'revoke' | 'shutdown', deadlineMs: number): Promise<boolean> {
    const { reader, drainLimits, events } = this.#options
    for (const lane of lanes) reader.close(lane)
    if (failPointsArmed) await failPoint('in-drain')
    const all = Promise.all(lanes.map((lane) => lane.drain(why, drainLimits.maxBytes, drainLimits.maxRecords)))
    events.changed()
    let end!: () => void
    const lost = new Promise<undefined>((resolve) => (end = () => resolve(undefined)))
    this.#endDrain.add(end)
    const drained = await withDeadline(Promise.race([all, lost]), deadlineMs)
    this.#endDrain.delete(end)
    return drained !== undefined
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

  #starts(lanes: readonly Lane[]): Promise<Map<Lane, Start | Standstill>> {
    return findStarts(lanes, this.#options, this.#topicIds)
  }

  async #readFrom(lane: Lane, offset: number): Promise<void> {
    const { member, reader } = this.#options
    if (!this.#halted.has(lane)) return reader.rewind(lane, offset)
    reader.close(lane)
    member.retake(lane, offset, () => reader.open(lane, (slab) => this.#receive(lane, slab)))
    this.#halted.delete(lane)
  }

  #stop(lane: Lane, { gap }: Standstill): void {
    this.#shares.delete(lane)
    lane.stop(gap.error)
    this.#options.events.gap(lane, gap.found, 0)
    this.#options.events.stopped(lane, gap.error)
    this.#shareOut()
  }

  #begin(lane: Lane, start: Start): void {
    lane.start(start.epoch, start.offset)
    if (start.topicId !== undefined) this.#topicIds.set(lane, start.topicId)
    if (start.gap) {
      // The sink's position follows with the next rows; until then the gap is found again at every start.
      lane.skipTo(start.gap.readFrom)
      this.#options.events.gap(lane, start.gap.found, start.gap.lost)
    }
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
}

const isStart = (start: Start | Standstill): start is Start => 'epoch' in start

function readFrom(start: Start | Standstill | undefined): number | undefined {
  return start && isStart(start) ? (start.gap?.readFrom ?? start.offset) : undefined
}

/** The value, or undefined once the deadline has passed. */
async function withDeadline<T>(work: Promise<T>, deadlineMs: number): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined
  const deadline = new Promise<undefined>((resolve) => (timer = setTimeout(() => resolve(undefined), deadlineMs)))
  return Promise.race([work, deadline]).finally(() => clearTimeout(timer))
}

const delay = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
