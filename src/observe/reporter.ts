import type { RouteConfig } from '../config/schema.ts'
import { MillraceError } from '../errors.ts'
import type { AssignmentEvents } from '../lanes/assignment.ts'
import type { Books } from '../lanes/books.ts'
import type { DispatchEvents } from '../lanes/dispatcher.ts'
import type { Start } from '../lanes/lane-starts.ts'
import type { Gap } from '../lanes/log-gap.ts'
import type { LaneSet } from '../lanes/lane-set.ts'
import type { Lane, LanePart } from '../lanes/lane.ts'
import type { LaneWait, WaitReason } from '../lanes/lane-wait.ts'
import type { FlushReason } from '../lanes/scheduler.ts'
import type { LoadResult, PartCounts } from '../workers/messages.ts'
import type { Logger } from './logger.ts'
import type { Metrics, PartitionLabels } from './metrics.ts'

/** Turns what happens to lanes and loads into metrics and log lines. Once a load or a slab, never once a record. */
export class Reporter implements Omit<DispatchEvents & AssignmentEvents, 'changed'> {
  readonly #metrics: Metrics
  readonly #log: Logger
  readonly #sinkOf: ReadonlyMap<string, string>
  readonly #waitReasons = new WeakMap<Lane, WaitReason>()

  constructor(metrics: Metrics, log: Logger, routes: readonly RouteConfig[]) {
    this.#metrics = metrics
    this.#log = log
    this.#sinkOf = new Map(routes.map(({ name, sink }) => [name, sink]))
  }

  started(lane: Lane, { offset, from }: Start): void {
    this.#log.info({ partition: nameOf(lane), offset: offset ?? 'beginning', from }, 'partition started')
  }

  received(lane: Lane, records: number): void {
    this.#metrics.recordsRead.inc(this.#labels(lane), records)
  }

  waiting(lane: Lane, error: Error, waitMs: number): void {
    this.#log.warn({ partition: nameOf(lane), error, waitMs: Math.round(waitMs) }, 'partition cannot begin yet')
  }

  revoked(lanes: readonly Lane[], how: 'drained' | 'deadline' | 'lost'): void {
    this.#log.info({ partitions: lanes.map(nameOf), how }, 'partitions given up')
  }

  gap(lane: Lane, { kind, position, log: { start, end } }: Gap, lost: number): void {
    if (lost > 0) this.#metrics.gapRecords.inc(this.#labels(lane), lost)
    const message =
      lost > 0 ? 'records are passed unread: the log has them no more' : 'the log does not have the position'
    this.#log.error({ partition: nameOf(lane), kind, position, logStart: start, logEnd: end, lost }, message)
  }

  closed(lane: Lane): void {
    this.#metrics.forget(this.#labels(lane))
  }

  departed(route: string, reason: FlushReason, parts: readonly LanePart[]): void {
    const labels = { sink: this.#sink(route), reason }
    const sum = (count: (part: LanePart) => number) => parts.reduce((total, part) => total + count(part), 0)
    this.#metrics.loadRecords.observe(
      labels,
      sum(({ records }) => records),
    )
    this.#metrics.loadBytes.observe(
      labels,
      sum(({ bytes }) => bytes),
    )
  }

  finished(route: string, { decodeSeconds, writeSeconds }: LoadResult): void {
    const sink = this.#sink(route)
    this.#metrics.batchSeconds.observe({ sink, step: 'decode' }, decodeSeconds)
    this.#metrics.batchSeconds.observe({ sink, step: 'write' }, writeSeconds)
  }

  durable(lane: Lane, _part: LanePart, counts: PartCounts): void {
    // Its series are gone; the books have it.
    if (lane.closed) return
    const labels = this.#labels(lane)
    this.#metrics.rowsWritten.inc(labels, counts.rows)
    this.#metrics.deduplicated.inc(labels, counts.deduplicated)
    this.#metrics.deadLetters.inc(labels, counts.deadLettered)
    this.#metrics.skipped.inc(labels, counts.skipped)
  }

  retry(lane: Lane, error: Error): void {
    const sink = this.#sink(lane.route)
    const named = error instanceof MillraceError ? error : undefined
    this.#metrics.retries.inc({ sink, code: named?.code ?? 'UNKNOWN' })
    // What waiting does not mend needs an operator.
    const level = named?.retryable === false ? 'error' : 'warn'
    this.#log[level]({ partition: nameOf(lane), sink, error }, 'the sink did not take a load: kept, to be tried again')
  }

  lost(lane: Lane, _part: LanePart, why: 'resync' | 'fenced' | 'worker', error: Error | undefined): void {
    const sink = this.#sink(lane.route)
    if (why === 'fenced') this.#metrics.fenced.inc({ sink })
    this.#log.warn({ partition: nameOf(lane), sink, why, error }, 'partition is claimed anew')
  }

  stopped(lane: Lane, error: Error): void {
    this.#log.error({ partition: nameOf(lane), error }, 'partition stands still until an operator acts')
  }

  workerDied(sink: string, error: Error): void {
    this.#metrics.workerDeaths.inc({ sink })
    this.#log.error({ sink, error }, 'a worker thread died')
  }

  schemasApplied(routes: readonly string[]): void {
    this.#metrics.schemaReloads.inc({ result: 'applied' })
    this.#log.info({ routes }, 'changed schemas are in use')
  }

  schemasUnchanged(): void {
    this.#metrics.schemaReloads.inc({ result: 'unchanged' })
    this.#log.info('no schema file has changed')
  }

  schemasRefused(error: Error): void {
    this.#metrics.schemaReloads.inc({ result: 'refused' })
    this.#log.error({ error }, 'changed schemas are refused, the old ones stay in use')
  }

  committed(error: Error | undefined): void {
    this.#metrics.commits.inc({ result: error ? 'failed' : 'acknowledged' })
    if (error) this.#log.warn({ error }, 'commit failed: the watermarks go with the next one')
  }

  /** Sets the gauges; called when they are looked at. */
  gauges(state: {
    readonly lanes: LaneSet
    readonly books: Books
    lag(lane: Lane): number | undefined
    committed(lane: Lane): number | undefined
    wait(lane: Lane): LaneWait
    readonly loads: ReadonlyMap<string, number>
  }): void {
    for (const lane of state.lanes) {
      const labels = this.#labels(lane)
      setIfKnown(this.#metrics.lag, labels, state.lag(lane))
      setIfKnown(this.#metrics.watermark, labels, lane.watermark)
      setIfKnown(this.#metrics.committed, labels, state.committed(lane))
      this.#waits(lane, labels, state.wait(lane))
    }
    this.#metrics.bufferedBytes.set(state.lanes.bufferedBytes)
    this.#metrics.recordsInFlight.set(state.books.inFlight)
    this.#metrics.givenUp.set(state.books.givenUp)
    this.#metrics.stoppedLanes.set([...state.lanes].filter(({ stopReason }) => stopReason).length)
    for (const [sink, loads] of state.loads) this.#metrics.loadsInFlight.set({ sink }, loads)
  }

  #waits(lane: Lane, labels: PartitionLabels, { reason, since }: LaneWait): void {
    const before = this.#waitReasons.get(lane)
    // One series a lane: what it waited for before is over.
    if (before !== undefined && before !== reason) this.#metrics.waiting.remove({ ...labels, reason: before })
    this.#waitReasons.set(lane, reason)
    this.#metrics.waiting.set({ ...labels, reason }, (performance.now() - since) / 1000)
  }

  #labels({ topic, partition, route }: Lane): PartitionLabels {
    return { topic, partition: String(partition), route, sink: this.#sink(route) }
  }

  #sink(route: string): string {
    return this.#sinkOf.get(route) ?? 'unknown'
  }
}

const nameOf = ({ topic, partition }: Lane): string => `${topic}/${partition}`

function setIfKnown(gauge: Metrics['lag'], labels: PartitionLabels, value: number | undefined): void {
  if (value !== undefined) gauge.set(labels, value)
}
