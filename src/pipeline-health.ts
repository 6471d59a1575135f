import type { Config } from './config/schema.ts'
import { KafkaUnavailableError } from './errors.ts'
import type { OffsetCommitter } from './kafka/offset-committer.ts'
import type { PartitionReader } from './kafka/partition-reader.ts'
import type { PartitionStatistics } from './kafka/statistics.ts'
import type { Assignment } from './lanes/assignment.ts'
import type { Books } from './lanes/books.ts'
import type { Dispatcher } from './lanes/dispatcher.ts'
import type { LaneSet } from './lanes/lane-set.ts'
import { isStalled, laneWait } from './lanes/lane-wait.ts'
import type { LaneWait } from './lanes/lane-wait.ts'
import type { Lane } from './lanes/lane.ts'
import type { Health } from './observe/admin-server.ts'
import { laneLine, reportLane } from './observe/lane-report.ts'
import type { LaneReport } from './observe/lane-report.ts'
import type { Reporter } from './observe/reporter.ts'
import type { WorkerPool } from './workers/worker-pool.ts'

/** A poll that has not come back for this long means that the process hangs. */
const pollSilenceMaxMs = 60_000

/** The stages of a pipeline, to be looked at. */
interface Stages {
  readonly config: Config
  readonly reader: PartitionReader['name']
  readonly books: Books
  readonly lanes: LaneSet
  readonly pools: ReadonlyMap<string, WorkerPool>
  readonly poolOf: (route: string) => WorkerPool
  readonly report: Reporter
  readonly dispatcher: Dispatcher
  readonly assignment: Assignment
  readonly committer: OffsetCommitter
}

/** What probes, scrapers and people see of a pipeline. Looks at its stages and changes nothing. */
export class PipelineHealth implements Health {
  readonly #stages: Stages
  /** What the last statistics told of each lane's partition. */
  readonly #logs = new Map<Lane, PartitionStatistics>()
  #polledAt = performance.now()

  constructor(stages: Stages) {
    this.#stages = stages
  }

  /** The common queue has just been served. */
  notePoll(): void {
    this.#polledAt = performance.now()
  }

  noteLog(lane: Lane, log: PartitionStatistics): void {
    this.#logs.set(lane, log)
  }

  forget(lane: Lane): void {
    this.#logs.delete(lane)
  }

  measure(): void {
    this.#stages.report.gauges({
      lanes: this.#stages.lanes,
      books: this.#stages.books,
      lag: (lane) => this.#lagOf(lane),
      committed: (lane) => this.#stages.committer.committed(lane),
      wait: (lane) => this.#waitOf(lane),
      loads: new Map(
        [...this.#stages.pools].map(([sink, pool]) => [sink, this.#stages.dispatcher.loadsInFlight(pool)]),
      ),
    })
  }

  /** Records in the log above what is durable, over our partitions; undefined while none is known. */
  get lag(): number | undefined {
    const known = [...this.#stages.lanes].flatMap((lane) => this.#lagOf(lane) ?? [])
    return known.length > 0 ? known.reduce((sum, lag) => sum + lag, 0) : undefined
  }

  stalls(): readonly string[] {
    const now = performance.now()
    const { lingerMs } = this.#stages.config.batch
    const stalled = [...this.#stages.lanes].filter((lane) =>
      isStalled(lane, this.#waitOf(lane), this.#lagOf(lane), lingerMs, now),
    )
    return [
      ...(now - this.#polledAt < pollSilenceMaxMs ? [] : ['Kafka is not polled any more']),
      ...stalled.map((lane) => laneLine(this.#reportOf(lane, now))),
    ]
  }

  unready(): readonly string[] {
    const { routes } = this.#stages.config
    const refused = routes.flatMap(({ name, sink }) => {
      const gate = this.#stages.dispatcher.gateState(name)
      return gate ? [`route ${name}: sink ${sink} takes no loads: ${gate.error.message}`] : []
    })
    return [
      ...(this.#stages.assignment.answered > 0 ? [] : ['the group is not joined yet']),
      ...refused,
      ...[...this.#stages.lanes].flatMap(({ stopReason }) => stopReason?.message ?? []),
    ]
  }

  status(): unknown {
    const now = performance.now()
    const { config, reader } = this.#stages
    return {
      group: config.kafka.group,
      reader,
      books: { ...this.#stages.books },
      routes: config.routes.map(({ name, sink }) => {
        const gate = this.#stages.dispatcher.gateState(name)
        const { error, attempts, until } = gate ?? {}
        return { name, sink, error: error?.message, attempts, nextTryMs: until && Math.max(0, Math.round(until - now)) }
      }),
      lanes: [...this.#stages.lanes].map((lane) => this.#reportOf(lane, now)),
    }
  }

  #reportOf(lane: Lane, now: number): LaneReport {
    const place = { committed: this.#stages.committer.committed(lane), lag: this.#lagOf(lane) }
    return reportLane(lane, this.#waitOf(lane), place, now)
  }

  #waitOf(lane: Lane): LaneWait {
    const { route, lastFailure } = lane
    const trouble = this.#logs.get(lane)?.trouble
    const reported = lastFailure?.error instanceof KafkaUnavailableError && lastFailure.at > lane.progressedAt
    return laneWait(lane, {
      gate: this.#stages.dispatcher.gateState(route),
      probing: this.#stages.dispatcher.probing(route),
      busy: this.#stages.dispatcher.busy(route),
      storing: this.#stages.poolOf(route).storing(lane),
      lag: this.#lagOf(lane),
      kafka: trouble === undefined ? (reported ? lastFailure.error : undefined) : new KafkaUnavailableError(trouble),
    })
  }

  #lagOf(lane: Lane): number | undefined {
    const end = this.#logs.get(lane)?.end
    return end === undefined || lane.watermark === undefined ? undefined : Math.max(0, end - lane.watermark)
  }
}
