import assert from 'node:assert/strict'
import type { PartCounts, Quarantine } from '../workers/messages.ts'
import type { Books } from './books.ts'
import { Suspicion } from './suspicion.ts'

/** A slab as a lane keeps it: still packed, with what the lane must know of it. */
export interface LaneSlab {
  readonly buffer: ArrayBuffer
  readonly records: number
  /** Offset of the first record. */
  readonly first: number
  /** Offset of the last record + 1: what was delivered, never a count, because a log has holes. */
  readonly next: number
}

/** A lane's part of a load: whole slabs, the offset range they stand for, and what was already dead-lettered of it. */
export interface LanePart {
  readonly base: number
  readonly next: number
  readonly records: number
  readonly bytes: number
  readonly slabs: readonly LaneSlab[]
  /** Offsets of the range whose dead letters an earlier try has stored. */
  readonly deadLettered: readonly number[]
  /** When its oldest record arrived, on the monotonic clock in milliseconds. */
  readonly arrivedAt: number
  /** Set when the part is the one record that ends its worker. */
  readonly quarantine: Quarantine | undefined
}

/** The first `records` of a slab and the rest, as slabs of their own. */
export type SplitSlab = (slab: LaneSlab, records: number) => readonly [LaneSlab, LaneSlab]

/** Why a lane makes no step. `load` and `nothing to read` are ordinary. */
export type Waiting = 'nothing to read' | 'scheduler' | 'load' | 'claim' | 'operator' | 'closed'

/** What last went wrong with a lane; times on the monotonic clock. `until`: when it is tried again, if that is known. */
export interface LaneFailure {
  readonly error: Error
  readonly at: number
  readonly until: number | undefined
}

/**
 * One assigned partition's way through the process: in order, bounded, one load in flight.
 *
 * ```
 *          start()            take()                settle(durable)
 * claiming -------> flowing ---------> load in flight ---------> flowing ...
 *                      |  stop(reason): operator      | putBack(): the same range again, later
 *                      v                              v
 *                   stopped       close(): inert, late answers change nothing
 * ```
 * The bound is kept by grants: the reader hands over only what the lane has room for (see PartitionReader.grant), and room
 * comes back when bytes are durable. State belongs to one assignment; a partition assigned again gets a new lane.
 */
export class Lane {
  readonly topic: string
  readonly partition: number
  readonly route: string
  readonly #books: Books
  #epoch = 0
  /** Where the next part begins; undefined until the first record tells, when the log's beginning was asked for. */
  #base: number | undefined
  /** Everything below it is durable or dead-lettered; undefined until then. */
  #watermark: number | undefined
  /** Empty unless the lane flows. */
  #queue: { slab: LaneSlab; arrivedAt: number }[] = []
  #bufferedBytes = 0
  #bufferedRecords = 0
  #inFlight: LanePart | undefined
  #deadLettered: readonly number[] = []
  #state: 'claiming' | 'flowing' | 'stopped' | 'closed' = 'claiming'
  #stopReason: Error | undefined
  #changedAt = performance.now()
  #progressedAt = performance.now()
  #lastFailure: LaneFailure | undefined
  /** Survives a claim anew, as what it is about does. */
  readonly #suspicion = new Suspicion()
  #draining: 'revoke' | 'shutdown' | undefined
  readonly #drained: Promise<void>
  #resolveDrained: () => void = () => undefined

  constructor(topic: string, partition: number, route: string, books: Books) {
    this.topic = topic
    this.partition = partition
    this.route = route
    this.#books = books
    this.#drained = new Promise((resolve) => (this.#resolveDrained = resolve))
  }

  get epoch(): number {
    return this.#epoch
  }
  get watermark(): number | undefined {
    return this.#watermark
  }
  get bufferedBytes(): number {
    return this.#bufferedBytes
  }
  get bufferedRecords(): number {
    return this.#bufferedRecords
  }
  get inFlightRecords(): number {
    return this.#inFlight?.records ?? 0
  }
  get inFlightBytes(): number {
    return this.#inFlight?.bytes ?? 0
  }
  get draining(): 'revoke' | 'shutdown' | undefined {
    return this.#draining
  }
  get stopReason(): Error | undefined {
    return this.#stopReason
  }
  get closed(): boolean {
    return this.#state === 'closed'
  }
  /** When the oldest record that waits arrived, on the monotonic clock; undefined when none waits. */
  get oldestAt(): number | undefined {
    return this.#queue[0]?.arrivedAt
  }
  /** The first record that is read and not yet durable; undefined when there is none. */
  get oldestOffset(): number | undefined {
    return this.#inFlight?.slabs[0]?.first ?? this.#queue[0]?.slab.first
  }
  /** Since when `waiting` is what it is, on the monotonic clock. */
  get changedAt(): number {
    return this.#changedAt
  }
  /** When something last arrived, became durable or was passed, on the monotonic clock. */
  get progressedAt(): number {
    return this.#progressedAt
  }
  get lastFailure(): LaneFailure | undefined {
    return this.#lastFailure
  }
  /** True when it may end a worker: its load is to hold nothing of other lanes. */
  get suspect(): boolean {
    return this.#suspicion.active
  }
  /** True when a load may take from it. */
  get ready(): boolean {
    return this.#inFlight === undefined && this.#queue.length > 0
  }

  get waiting(): Waiting {
    if (this.#state === 'closed') return 'closed'
    if (this.#state === 'claiming') return 'claim'
    if (this.#state === 'stopped') return 'operator'
    if (this.#inFlight) return 'load'
    return this.#queue.length > 0 ? 'scheduler' : 'nothing to read'
  }

  /**
   * Begins, or begins anew after a rewind, under the epoch of a fresh claim. `position` is where reading starts, and all
   * below it counts as done; undefined when that is the beginning of the log, wherever it lies.
   */
  start(epoch: number, position: number | undefined): void {
    assert(this.#state === 'claiming')
    this.#epoch = epoch
    this.#base = position
    this.#watermark = position
    this.#state = 'flowing'
    this.#changed('progress')
  }

  /** Waits for a claim and a rewind, with nothing buffered: what was read is read again afterwards. */
  reclaim(): void {
    assert(this.#inFlight === undefined)
    if (this.#state === 'closed' || this.#state === 'stopped') return
    this.#clearQueue()
    this.#deadLettered = []
    this.#state = 'claiming'
    this.#changed()
    this.#noteDrained()
  }

  /** Remembered for whoever asks why the lane makes no step. */
  failed(error: Error, until?: number): void {
    this.#lastFailure = { error, at: performance.now(), until }
  }

  push(slab: LaneSlab, arrivedAt: number): void {
    if (this.#state !== 'flowing') return
    const expected = this.#queue.at(-1)?.slab.next ?? this.#inFlight?.next ?? this.#base
    assert(
      expected === undefined || slab.first >= expected,
      `${this.topic}/${this.partition}: ${slab.first} after ${expected}`,
    )
    this.#progressedAt = arrivedAt
    if (this.waiting === 'nothing to read') this.#changedAt = arrivedAt
    this.#queue.push({ slab, arrivedAt })
    this.#bufferedBytes += slab.buffer.byteLength
    this.#bufferedRecords += slab.records
    this.#books.received(slab.records)
  }

  /** Cuts the first slab to what a load may hold of it while a record of the lane is suspect. */
  cutHead(split: SplitSlab): void {
    const head = this.#queue[0]
    const { recordsMax } = this.#suspicion
    if (head === undefined || head.slab.records <= recordsMax) return
    const cut = split(head.slab, recordsMax)
    this.#queue.splice(0, 1, ...cut.map((slab) => ({ ...head, slab })))
    // Two slabs have two prefixes.
    this.#bufferedBytes += cut[0].buffer.byteLength + cut[1].buffer.byteLength - head.slab.buffer.byteLength
  }

  /** Takes slabs from the head for a load: as many as fit, and always one. The lane must be ready. */
  take(bytesMax: number, recordsMax: number): LanePart {
    assert(this.ready)
    const slabs: LaneSlab[] = []
    const arrivedAt = this.#queue[0]!.arrivedAt
    const countMax = Math.min(recordsMax, this.#suspicion.recordsMax)
    let bytes = 0
    let records = 0
    for (const { slab } of this.#queue) {
      const fits = bytes + slab.buffer.byteLength <= bytesMax && records + slab.records <= countMax
      if (slabs.length > 0 && !fits) break
      slabs.push(slab)
      bytes += slab.buffer.byteLength
      records += slab.records
    }
    this.#queue.splice(0, slabs.length)
    this.#bufferedBytes -= bytes
    this.#bufferedRecords -= records
    const part: LanePart = {
      base: this.#base ?? slabs[0]!.first,
      next: slabs.at(-1)!.next,
      records,
      bytes,
      slabs,
      deadLettered: this.#deadLettered,
      arrivedAt,
      quarantine: this.#suspicion.quarantineOf(slabs[0]!.first),
    }
    this.#inFlight = part
    this.#changed()
    return part
  }

  /**
   * The load ended: everything below `next` is durable, which may lie beyond the part when another writer got there. Records
   * of the part that the counts leave out are dropped.
   */
  settle(next: number, counts: PartCounts): void {
    const part = this.#inFlight
    assert(part)
    this.#inFlight = undefined
    this.#books.settled(counts)
    this.#books.dropped(part.records - counts.rows - counts.deduplicated - counts.deadLettered - counts.skipped)
    // They lie below `next`, or the lane stops here.
    this.#deadLettered = []
    if (this.#state === 'closed') return
    this.#base = next
    // It may have passed control records meanwhile, and never goes back.
    this.#watermark = Math.max(next, this.#watermark ?? next)
    this.#suspicion.passed(next)
    this.#changed('progress')
    this.#noteDrained()
  }

  /** The load failed and comes back whole, to be tried again from the same offset. Buffers are new ones with the same bytes. */
  putBack(slabs: readonly LaneSlab[], deadLettered: readonly number[]): void {
    const part = this.#inFlight
    assert(part)
    this.#inFlight = undefined
    if (this.#state !== 'flowing') {
      this.#books.dropped(part.records)
      return this.#noteDrained()
    }
    this.#base = part.base
    this.#deadLettered = [...part.deadLettered, ...deadLettered]
    this.#queue.unshift(...slabs.map((slab) => ({ slab, arrivedAt: part.arrivedAt })))
    this.#bufferedBytes += part.bytes
    this.#bufferedRecords += part.records
    this.#changed()
    this.#noteDrained()
  }

  /** The load in flight ended its worker, and a record of it may be why. `alone`: the load held nothing of other lanes. */
  suspectLoad(alone: boolean, code: string): void {
    const part = this.#inFlight
    assert(part)
    this.#suspicion.died({ ...part, first: part.slabs[0]!.first }, alone, code)
  }

  /** The load is lost with its worker, or refused by the sink: nothing of it is buffered any more. */
  abandon(): void {
    this.#books.dropped(this.inFlightRecords)
    this.#inFlight = undefined
    this.#changed()
    this.#noteDrained()
  }

  /** Nothing moves any more until an operator acts; what is buffered is dropped. */
  stop(reason: Error): void {
    if (this.#state === 'closed') return
    this.#clearQueue()
    this.#state = 'stopped'
    this.#stopReason = reason
    this.failed(reason)
    this.#changed()
    this.#noteDrained()
  }

  /**
   * Asks for the head of what is buffered, one load's worth, to be written soon, and drops the rest: whoever owns the
   * partition next reads it again. Resolves when nothing is buffered or in flight, or the lane can't go on. Nothing bounds
   * the wait: the caller's deadline does.
   */
  drain(why: 'revoke' | 'shutdown', bytesMax: number, recordsMax: number): Promise<void> {
    this.#draining = why
    while (this.#queue.length > 1 && (this.#bufferedBytes > bytesMax || this.#bufferedRecords > recordsMax)) {
      const { slab } = this.#queue.pop()!
      this.#bufferedBytes -= slab.buffer.byteLength
      this.#bufferedRecords -= slab.records
      this.#books.dropped(slab.records)
    }
    this.#noteDrained()
    return this.#drained
  }

  /** Inert from now on: a load still in flight changes nothing when it ends. */
  close(): void {
    this.#clearQueue()
    this.#state = 'closed'
    this.#resolveDrained()
  }

  /** Moves the watermark over control records that no slab holds; only when nothing is buffered or in flight. */
  skipTo(position: number): void {
    if (this.#state !== 'flowing' || this.#inFlight || this.#queue.length > 0) return
    if (position <= (this.#watermark ?? this.#base ?? 0)) return
    this.#watermark = position
    this.#progressedAt = performance.now()
  }

  #changed(how?: 'progress'): void {
    this.#changedAt = performance.now()
    if (how) this.#progressedAt = this.#changedAt
  }

  #clearQueue(): void {
    this.#books.dropped(this.#bufferedRecords)
    this.#queue = []
    this.#bufferedBytes = 0
    this.#bufferedRecords = 0
  }

  #noteDrained(): void {
    if (this.#draining && !this.#inFlight && this.#queue.length === 0) this.#resolveDrained()
  }
}
