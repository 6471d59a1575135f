import assert from 'node:assert/strict'
import { WorkerError } from '../../src/errors.ts'
import type { PartitionOffset } from '../../src/kafka/consumer.ts'
import { OffsetCommitter } from '../../src/kafka/offset-committer.ts'
import type { PartitionReader, SlabReceiver, TopicPartition } from '../../src/kafka/partition-reader.ts'
import { Assignment } from '../../src/lanes/assignment.ts'
import type { GroupMember } from '../../src/lanes/assignment.ts'
import { Books } from '../../src/lanes/books.ts'
import { Dispatcher } from '../../src/lanes/dispatcher.ts'
import type { LoadRunner } from '../../src/lanes/dispatcher.ts'
import { LaneSet } from '../../src/lanes/lane-set.ts'
import type { Lane, LaneSlab } from '../../src/lanes/lane.ts'
import type { GapRule } from '../../src/lanes/log-gap.ts'
import type { Claimed, SinkPartition } from '../../src/sinks/sink.ts'
import type { LoadResult, PartOutcome, TaskPart } from '../../src/workers/messages.ts'

export const partitionCount = 3
export const lanesBytesMax = 900
export const drainMs = 30_000
export const backoffMs = 100
const bytesPerRecord = 10
const beginningOfLog = -2
const topic = 't'
const firstTopicId = 'id'
const error = {
  name: 'SinkUnavailableError',
  code: 'SINK_UNAVAILABLE',
  retryable: true,
  message: 'away',
  stack: undefined,
}
const retry = ({ slabs }: TaskPart): PartOutcome => ({ kind: 'retry', error, slabs, deadLettered: [] })

interface Opening {
  readonly receive: SlabReceiver
  grantBytes: number
  /** Undefined until the consumer assigned it, and while it is rewound. */
  position: number | undefined
  /** A fetch was refused: librdkafka reads the partition no more, and refuses to seek. */
  halted: boolean
}

/** What Kafka and the sink know of one partition. */
interface Place {
  /** Offsets that the log has: ascending, with holes. */
  readonly log: number[]
  /** Below it retention has taken all away. */
  logStart: number
  /** In the sink: the position and who may write. */
  position: number | null
  /** The id of the topic that the position is of. */
  positionOf: string
  epoch: number
  readonly rows: number[]
  committed: number | undefined
  opening: Opening | undefined
  /** From the answer to an assign until the answer to a revoke. */
  assigned: boolean
  /** Another member has it, or may have it: we were told that it is lost, or gave it up. */
  foreign: boolean
  /** Loads that run, of this assignment: those of an earlier one, given up at its deadline, are the sink's to refuse. */
  loads: Set<object>
}

/** What may still be on its way when a partition is given up. */
export const loadQuestions: readonly Question['what'][] = ['load', 'written']

/** Something that the world has been asked and not yet answered. */
export interface Question {
  readonly what: 'claim' | 'committed' | 'range' | 'rewind' | 'load' | 'written' | 'commit' | 'topics'
  readonly answer: () => void
  readonly fail: (how: Failure) => void
}

/** Of a load: the sink is away, the worker dies, or a record can be neither written nor dead-lettered. */
export type Failure = 'away' | 'dies' | 'poison'

/**
 * Kafka, a reader and a sink, as the classes under test see them, small enough to be asked about everything at any time.
 * It answers only when the test says so, in any order, and asserts what must never be asked of it. The wiring of dispatcher,
 * assignment and committer is the pipeline's.
 */
export class GroupWorld implements GroupMember, LoadRunner {
  readonly places: Place[] = Array.from({ length: partitionCount }, () => ({
    log: [],
    logStart: 0,
    position: null,
    positionOf: firstTopicId,
    epoch: 0,
    rows: [],
    committed: undefined,
    opening: undefined,
    assigned: false,
    foreign: true,
    loads: new Set(),
  }))
  readonly questions: Question[] = []
  readonly books = new Books()
  readonly lanes = new LaneSet()
  readonly loadsMax = 2
  readonly threadsShared = false
  readonly limits = { maxBytes: 100, maxRecords: 8, lingerMs: 0 }
  /** Every lane there ever was, and what it looked like when it was closed. */
  readonly closedLanes = new Map<Lane, string>()
  readonly assignment: Assignment
  readonly committer: OffsetCommitter
  readonly dispatcher: Dispatcher
  readonly #slabs = new WeakMap<ArrayBuffer, LaneSlab>()
  /** Rebalances that were sent and not yet answered. */
  readonly unanswered: { kind: 'assign' | 'revoke'; partitions: readonly number[]; lost: boolean; sentAt: number }[] =
    []
  lost = false
  topicId: string | undefined = firstTopicId
  /** What an operator was told, in order: of which partition, and the rest in a word. */
  readonly told: (readonly unknown[])[] = []
  /** Which attempts were followed by a backoff. */
  readonly attempts: number[] = []
  /** Moved by the test together with its timers. */
  clockMs = 0

  constructor(onGap: GapRule = 'stop') {
    this.committer = new OffsetCommitter(
      (offsets) => this.#send(offsets),
      () =>
        [...this.lanes].flatMap(({ topic, partition, watermark }) =>
          watermark === undefined ? [] : [{ topic, partition, offset: watermark }],
        ),
      // The committer takes whatever a commit ends with for the broker's answer.
      (error) => void (error instanceof assert.AssertionError && this.failures.push(error)),
    )
    this.dispatcher = new Dispatcher({
      lanes: this.lanes,
      runnerOf: () => this,
      waitMs: () => 0,
      reviveError: ({ error }) => new WorkerError(error),
      split: () => assert.fail('no record ends a worker here'),
      events: {
        departed: () => undefined,
        finished: () => undefined,
        durable: (lane, part) => this.assignment.release(lane, part.bytes),
        retry: () => undefined,
        lost: (lane) => void this.assignment.recover(lane, 0),
        stopped: (lane) => this.reader.halt(lane),
      },
    })
    this.assignment = new Assignment({
      member: this,
      describeTopics: (names) =>
        this.#ask('topics', () => names.map((name) => ({ name, id: this.topicId, partitions: partitionCount }))),
      reader: this.reader,
      lanes: this.lanes,
      books: this.books,
      routeOf: () => 'route',
      claim: (_, wanted) => this.#ask('claim', () => this.#claim(wanted)),
      describe: (buffer) => this.#slabs.get(buffer)!,
      commit: () => this.committer.commit(),
      startAt: 'earliest',
      onGap,
      beginningOfLog,
      drainMs,
      drainLimits: { maxBytes: 100, maxRecords: 8 },
      lanesBytesMax,
      backoffMs: (attempt) => {
        this.attempts.push(attempt)
        return backoffMs
      },
      events: {
        started: ({ partition }, { offset }) => this.told.push(['started', partition, offset]),
        received: () => this.dispatcher.wake(),
        waiting: ({ partition }, { message }, waitMs) => this.told.push(['waiting', partition, message, waitMs]),
        gap: ({ partition }, { kind }, lost) => this.told.push(['gap', partition, kind, lost]),
        stopped: (lane) => {
          this.told.push(['stopped', lane.partition])
          this.reader.halt(lane)
        },
        revoked: (lanes, how) => this.told.push(['revoked', lanes.map(({ partition }) => partition), how]),
        closed: (lane) => {
          this.committer.forget(lane)
          this.closedLanes.set(lane, describeLane(lane))
        },
        changed: () => this.dispatcher.wake(),
      },
    })
  }

  /** Of a shutdown; undefined before. */
  closing: Promise<boolean> | undefined
  #closedAt = Infinity

  close(): void {
    if (this.closing) return
    this.#closedAt = this.clockMs
    this.closing = this.assignment.close(drainMs)
  }

  // The group: sends rebalances, and is answered.

  rebalance(kind: 'assign' | 'revoke', partitions: readonly number[], lost = false): void {
    this.unanswered.push({ kind, partitions, lost, sentAt: this.clockMs })
    if (lost) for (const partition of partitions) this.places[partition]!.foreign = true
    const event = { kind, partitions: partitions.map((partition) => ({ topic, partition })), lost }
    this.assignment.rebalance(event, (error) => this.failures.push(error))
  }
  readonly failures: Error[] = []

  assign(partitions: readonly PartitionOffset[]): void {
    const event = this.unanswered.shift()
    assert.equal(event?.kind, 'assign', 'an assign answers an assign')
    const given = partitions.map(({ partition }) => partition)
    if (!this.closing) assert.deepEqual(given, event.partitions, 'all that the group gives is taken')
    for (const { partition, offset } of partitions) {
      const place = this.places[partition]!
      assert(place.opening, 'opened before it is assigned')
      assert(!place.assigned)
      Object.assign(place, { assigned: true, foreign: false })
      place.opening.position = offset === beginningOfLog ? 0 : offset
    }
  }

  retake({ partition }: TopicPartition, offset: number, open: () => void): void {
    const place = this.places[partition]!
    assert(place.assigned && !place.foreign, 'only what is ours is taken again')
    assert(!place.opening, 'closed before it is given up')
    open()
    place.opening!.position = offset
  }

  unassign(partitions: readonly TopicPartition[]): void {
    const event = this.unanswered.shift()
    assert.equal(event?.kind, 'revoke', 'an unassign answers a revoke')
    assert.deepEqual(
      partitions.map(({ partition }) => partition),
      event.partitions,
    )
    for (const { partition } of partitions) {
      const place = this.places[partition]!
      assert(!place.opening, 'closed before it is given up')
      assert(!this.lanes.get(topic, partition), 'no lane is left')
      const waited = this.clockMs - Math.min(event.sentAt, this.#closedAt) >= drainMs
      const excused = event.lost || this.lost || waited
      assert(place.loads.size === 0 || excused, 'given up only after its load has ended or its deadline has passed')
      // What is still on its way is of an assignment that has ended.
      Object.assign(place, { assigned: false, foreign: true, loads: new Set() })
    }
    this.lost = false
  }

  assignmentLost(): boolean {
    return this.lost
  }

  committed(partitions: readonly TopicPartition[]): Promise<(number | undefined)[]> {
    return this.#ask('committed', () => partitions.map(({ partition }) => this.places[partition]!.committed))
  }

  logRange({ partition }: TopicPartition): Promise<{ start: number; end: number }> {
    return this.#ask('range', () => ({ start: this.places[partition]!.logStart, end: this.#end(partition) }))
  }

  #send(offsets: readonly PartitionOffset[]): Promise<void> {
    assert(!this.lost, 'nothing is committed after the group gave it away')
    for (const { partition, offset } of offsets) {
      const place = this.places[partition]!
      assert(!place.foreign, 'nothing is committed of a partition that is not ours')
      assert(offset <= (place.position ?? place.committed ?? 0), 'nothing is committed before it is durable')
    }
    return this.#ask('commit', () => {
      // Brokers refuse the commit of a former generation.
      for (const { partition, offset } of offsets) {
        if (!this.places[partition]!.foreign) this.places[partition]!.committed = offset
      }
    })
  }

  // The reader.

  readonly reader: PartitionReader = {
    name: 'native',
    open: ({ partition }, receive) => {
      assert(!this.places[partition]!.opening, 'opened twice')
      this.places[partition]!.opening = { receive, grantBytes: 0, position: undefined, halted: false }
    },
    grant: ({ partition }, bytes) => {
      const opening = this.places[partition]!.opening
      if (opening) opening.grantBytes += bytes
    },
    close: ({ partition }) => void (this.places[partition]!.opening = undefined),
    // The pipeline's, for what stopped.
    halt: ({ partition }) => void (this.places[partition]!.opening = undefined),
    rewind: ({ partition }, offset) => {
      const place = this.places[partition]!
      const { opening } = place
      assert(opening && place.assigned, 'only what is open and assigned is rewound')
      assert(!opening.halted, 'librdkafka seeks no partition that it has stopped')
      opening.position = undefined
      return this.#ask('rewind', () => {
        if (place.opening !== opening) throw new Error('closed meanwhile')
        Object.assign(opening, { position: offset, grantBytes: 0 })
      })
    },
    position: () => undefined,
    poll: () => Promise.resolve(),
    stop: () => Promise.resolve(),
  }

  /** Hands over the next records of a partition, if it may. */
  deliver(partition: number, recordsMax: number): void {
    const { opening, log } = this.places[partition]!
    if (opening?.position === undefined || opening.halted || opening.grantBytes <= 0) return
    const at = opening.position
    const records = log.filter((offset) => offset >= at).slice(0, recordsMax)
    if (records.length === 0) return
    const buffer = new ArrayBuffer(records.length * bytesPerRecord)
    const next = records.at(-1)! + 1
    this.#slabs.set(buffer, { buffer, records: records.length, first: records[0]!, next })
    opening.position = next
    opening.grantBytes -= buffer.byteLength
    opening.receive(buffer)
  }

  produce(partition: number, hole: number, records: number): void {
    const from = this.#end(partition) + hole
    for (let index = 0; index < records; index++) this.places[partition]!.log.push(from + index)
  }

  // The sink, and other members that write into it.

  /** Another member owns the partition for a while and writes some of it. */
  writeElsewhere(partition: number, records: number): void {
    const place = this.places[partition]!
    if (!place.foreign) return
    place.epoch++
    place.position ??= place.committed ?? 0
    this.#write(partition, place.log.filter((offset) => offset >= place.position!).slice(0, records))
    if (records > 0) place.committed = place.position
  }

  /** Another member that thinks the partition is its own takes over the right to write. */
  fence(partition: number): void {
    this.places[partition]!.epoch++
  }

  #claim(wanted: readonly SinkPartition[]): Claimed[] {
    return wanted.map((each) => {
      const place = this.places[each.partition]!
      const claimed = { ...each, epoch: ++place.epoch }
      if (place.position === null || place.positionOf === each.topicId) return { ...claimed, position: place.position }
      return { ...claimed, position: null, formerPosition: place.position }
    })
  }

  load(_route: string, parts: readonly TaskPart[]): Promise<LoadResult> {
    for (const { partition } of parts) {
      const place = this.places[partition]!
      assert(place.assigned && !place.foreign, 'nothing is written of a partition that is not ours')
      place.loads.add(parts)
    }
    const ended = () => parts.forEach(({ partition }) => this.places[partition]!.loads.delete(parts))
    const toResult = (outcomes: PartOutcome[]) => ({ outcomes, decodeSeconds: 0, writeSeconds: 0 })
    return new Promise((resolve, reject) => {
      const die = () => (ended(), reject(new Error('worker exited')))
      const write = (outcome: (part: TaskPart) => PartOutcome) => {
        const outcomes = parts.map(outcome)
        // The answer takes its time too: much may have changed when it comes.
        this.questions.push({ what: 'written', answer: () => (ended(), resolve(toResult(outcomes))), fail: die })
      }
      this.questions.push({
        what: 'load',
        answer: () => write((part) => this.#writePart(part)),
        fail: (how) => {
          if (how === 'dies') die()
          else write((part) => (how === 'away' ? retry(part) : this.#writeUpToPoison(part)))
        },
      })
    })
  }

  /** A fetch is refused, as one is whose offset the log does not have. */
  haltReading(partition: number): void {
    const lane = this.lanes.get(topic, partition)
    const { opening } = this.places[partition]!
    if (lane === undefined || opening?.position === undefined) return
    opening.halted = true
    this.assignment.doubt(lane, true)
  }

  /** Retention takes the head of a log away. */
  expire(partition: number, below: number): void {
    const place = this.places[partition]!
    place.logStart = below
    place.log.splice(0, place.log.filter((offset) => offset < below).length)
  }

  /** Kafka says that the log does not have the position: the lane is stopped as the pipeline does it. */
  loseLog(partition: number): void {
    const lane = this.lanes.get(topic, partition)
    if (lane === undefined || this.places[partition]!.opening?.position === undefined) return
    lane.stop(new Error('no such offset'))
    this.reader.halt(lane)
  }

  #writeUpToPoison(part: TaskPart): PartOutcome {
    const [first] = this.places[part.partition]!.log.filter((offset) => offset >= part.base)
    const written = this.#writePart({ ...part, next: first! + 1 }, false)
    return written.kind === 'durable' ? { ...written, kind: 'stopped', error } : written
  }

  #writePart({ partition, epoch, base, next, slabs }: TaskPart, whole = true): PartOutcome {
    const place = this.places[partition]!
    if (epoch !== place.epoch) return { kind: 'fenced' }
    if (place.position !== null) assert.equal(base, place.position, 'under one epoch each load follows the one before')
    const records = place.log.filter((offset) => offset >= base && offset < next)
    const handed = slabs.reduce((sum, { byteLength }) => sum + byteLength / bytesPerRecord, 0)
    if (whole) assert.equal(handed, records.length, 'a load holds all that the log has of its range')
    this.#write(partition, records)
    place.position = next
    return { kind: 'durable', next, counts: { rows: records.length, deduplicated: 0, deadLettered: 0, skipped: 0 } }
  }

  #write(partition: number, records: readonly number[]): void {
    const place = this.places[partition]!
    place.rows.push(...records)
    if (records.length > 0) place.position = records.at(-1)! + 1
  }

  #end(partition: number): number {
    return (this.places[partition]!.log.at(-1) ?? -1) + 1
  }

  #ask<T>(what: Question['what'], answer: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      this.questions.push({
        what,
        answer: () => {
          try {
            resolve(answer())
          } catch (error) {
            reject(error)
          }
        },
        fail: () => reject(new Error(`${what} failed`)),
      })
    })
  }
}

/** All that may change of a lane. */
export function describeLane(lane: Lane): string {
  const { epoch, watermark, bufferedBytes, bufferedRecords, waiting, ready } = lane
  return JSON.stringify({ epoch, watermark, bufferedBytes, bufferedRecords, waiting, ready })
}
