import { backoffMs } from './backoff.ts'
import type { Config } from './config/schema.ts'
import {
  KafkaRefusedError,
  KafkaUnavailableError,
  LogGapError,
  MillraceError,
  PoisonRecordError,
  WorkerError,
} from './errors.ts'
import { failPoint, failPointsArmed } from './fail-points.ts'
import { errorCodes, kafkaErrorCode } from './kafka/binding.ts'
import { consumerSettings } from './kafka/client-settings.ts'
import { beginningOfLog, Consumer } from './kafka/consumer.ts'
import type { Rebalance } from './kafka/consumer.ts'
import type { DeadLetterTopic } from './kafka/dead-letters.ts'
import { OffsetCommitter } from './kafka/offset-committer.ts'
import type { PartitionError } from './kafka/native-reader.ts'
import type { PartitionReader, TopicPartition } from './kafka/partition-reader.ts'
import { createReader } from './kafka/reader-choice.ts'
import { SlabView, splitSlab } from './kafka/slab.ts'
import { parseStatistics } from './kafka/statistics.ts'
import type { Topics } from './kafka/topic-directory.ts'
import { Assignment } from './lanes/assignment.ts'
import { Books } from './lanes/books.ts'
import { Dispatcher } from './lanes/dispatcher.ts'
import { LaneSet } from './lanes/lane-set.ts'
import type { Lane, LaneSlab } from './lanes/lane.ts'
import type { Logger } from './observe/logger.ts'
import type { Metrics } from './observe/metrics.ts'
import { Reporter } from './observe/reporter.ts'
import { planMemory } from './memory-plan.ts'
import type { MemoryPlan } from './memory-plan.ts'
import { PipelineHealth } from './pipeline-health.ts'
import { connectDeadLetters, countPartitions, createPools, sizePools } from './preflight.ts'
import { RouteSchemas } from './route-schemas.ts'
import { routeOfTopic } from './routing.ts'
import { SchemaReload } from './schema-reload.ts'
import type { WorkerPool } from './workers/worker-pool.ts'

const connectTimeoutMs = 30_000
const disconnectTimeoutMs = 10_000
/** A lane that another writer fenced waits so long for the group to take it away before it claims again. */
const fencedWaitMs = 5_000
/** What librdkafka says of a position that the log does not have. */
const gapCodes: readonly number[] = [errorCodes.autoOffsetReset, errorCodes.offsetOutOfRange]
/** A topic made anew under its name may have as many records as the old one: only its id tells. The answer is long. */
const compareTopicsEveryMs = 30_000
/** A drained lane keeps so much for its last load, whatever its sink's loads may hold: the whole group waits for it. */
const drainLimits = { maxBytes: 8 * 2 ** 20, maxRecords: 50_000 }

export interface PipelineOptions {
  readonly config: Config
  /** Closed by the pipeline. */
  readonly topics: Topics
  readonly metrics: Metrics
  readonly log: Logger
  /** Hears of what the process cannot survive. */
  readonly onFatal: (error: Error) => void
}

/** What a pipeline is wired from: everything here is connected or open. */
interface Parts extends Omit<PipelineOptions, 'metrics'> {
  readonly memory: MemoryPlan
  readonly consumer: Consumer
  readonly reader: PartitionReader
  readonly pools: ReadonlyMap<string, WorkerPool>
  readonly schemas: RouteSchemas
  readonly deadLetters: DeadLetterTopic | undefined
  readonly report: Reporter
}

/**
 * The whole way of a record:
 *
 *   reader -> lanes -> dispatcher -> worker pool (decode, sink) -> watermark -> committer
 *
 * Everything here is wiring; each stage decides for itself.
 */
export class Pipeline {
  readonly books = new Books()
  readonly lanes = new LaneSet()
  readonly health: PipelineHealth
  readonly #parts: Parts
  readonly #dispatcher: Dispatcher
  readonly #reload: SchemaReload
  readonly #assignment: Assignment
  readonly #committer: OffsetCommitter
  #polling: Promise<void> = Promise.resolve()
  #topicTimer: NodeJS.Timeout | undefined
  #closed = false

  /**
   * Connects, opens sinks and tables, joins the group, and begins to read. Rejects with the first error that makes this
   * impossible: everything that an operator can get wrong is found here, before the group is disturbed.
   */
  static async start({ config, topics, metrics, log, onFatal }: PipelineOptions): Promise<Pipeline> {
    const report = new Reporter(metrics, log, config.routes)
    const late: { pipeline?: Pipeline } = {}
    const opened: (() => Promise<void>)[] = [async () => topics.close()]
    try {
      const schemas = await RouteSchemas.load(config.routes)
      const partitions = await countPartitions(config, topics, connectTimeoutMs)
      const sizes = sizePools(config)
      const memory = planMemory(config.memory.maxBytes, partitions, [...sizes.values()])
      log.info({ partitions, pools: Object.fromEntries(sizes), memory }, 'memory divided')
      const consumer = new Consumer(consumerSettings(config.kafka, memory, partitions), {
        rebalance: (event) => {
          metrics.rebalances.inc({ kind: event.kind === 'revoke' && event.lost ? 'lost' : event.kind })
          late.pipeline?.rebalance(event)
        },
        statistics: (json) => late.pipeline?.statistics(json),
        log: (level, facility, message) =>
          log[level <= 3 ? 'error' : level === 4 ? 'warn' : 'debug']({ facility }, message),
      })
      await consumer.connect(connectTimeoutMs)
      opened.push(() => consumer.disconnect(disconnectTimeoutMs))
      const deadLetters = await connectDeadLetters(config, topics, connectTimeoutMs)
      if (deadLetters) opened.push(() => deadLetters.disconnect(disconnectTimeoutMs))
      const pools = createPools(
        config,
        schemas,
        sizes,
        memory,
        deadLetters,
        (sink, error) => report.workerDied(sink, error),
        (sink, notice) => log.warn({ sink }, notice),
      )
      for (const pool of pools.values()) opened.push(() => pool.close(disconnectTimeoutMs))
      for (const pool of pools.values()) await pool.prepare()
      const reader = createReader(
        consumer.binding,
        config.reader,
        memory,
        (notice) => log.warn(notice),
        (partition, error) => late.pipeline?.partitionFailed(partition, error),
      )
      opened.push(() => reader.stop())
      const pipeline = new Pipeline({
        config,
        topics,
        memory,
        consumer,
        reader,
        pools,
        schemas,
        deadLetters,
        report,
        log,
        onFatal,
      })
      late.pipeline = pipeline
      pipeline.#join()
      return pipeline
    } catch (error) {
      for (const close of opened.reverse()) await close().catch(() => undefined)
      throw error
    }
  }

  private constructor(parts: Parts) {
    const { config, memory, consumer, reader, report } = parts
    this.#parts = parts
    this.#committer = new OffsetCommitter(
      (offsets) => consumer.commit(offsets),
      () => [...this.lanes].flatMap(watermarkOf),
      (error) => report.committed(error),
    )
    this.#dispatcher = new Dispatcher({
      lanes: this.lanes,
      runnerOf: (route) => this.#poolOf(route),
      waitMs: retryWaitMs,
      split: ({ buffer }, records) => {
        const [head, rest] = splitSlab(buffer, records)
        return [describeSlab(head), describeSlab(rest)]
      },
      reviveError: ({ error }) => new WorkerError(error),
      events: {
        departed: (...load) => report.departed(...load),
        finished: (...load) => report.finished(...load),
        durable: (lane, part, counts) => {
          this.#assignment.release(lane, part.bytes)
          report.durable(lane, part, counts)
        },
        retry: (...part) => report.retry(...part),
        lost: (lane, part, why, error) => {
          report.lost(lane, part, why, error)
          void this.#assignment.recover(lane, why === 'fenced' ? fencedWaitMs : 0)
        },
        stopped: (lane, error) => this.#onStopped(lane, error),
      },
    })
    this.#reload = new SchemaReload({
      schemas: parts.schemas,
      pools: parts.pools,
      dispatcher: this.#dispatcher,
      report,
    })
    this.#assignment = new Assignment({
      member: consumer,
      describeTopics: (names) => parts.topics.describe(names),
      reader,
      lanes: this.lanes,
      books: this.books,
      routeOf: (topic) => routeOfTopic(config.routes, topic).name,
      claim: (route, partitions) => this.#poolOf(route).claim(partitions),
      describe: describeSlab,
      commit: () => this.#committer.commit(),
      startAt: config.kafka.startAt,
      onGap: config.kafka.onGap,
      beginningOfLog,
      drainMs: config.rebalance.drainMs,
      drainLimits: { ...drainLimits, ...config.batch },
      lanesBytesMax: memory.lanesBytes,
      backoffMs: (attempt) => backoffMs(attempt, 500, 30_000, Math.random()),
      events: {
        started: (...start) => report.started(...start),
        received: (lane, records) => {
          report.received(lane, records)
          this.#dispatcher.wake()
        },
        waiting: (...wait) => report.waiting(...wait),
        gap: (...found) => report.gap(...found),
        stopped: (lane, error) => this.#onStopped(lane, error),
        revoked: (...given) => report.revoked(...given),
        closed: (lane) => {
          this.#committer.forget(lane)
          this.health.forget(lane)
          report.closed(lane)
        },
        changed: () => this.#dispatcher.wake(),
      },
    })
    this.health = new PipelineHealth({
      config,
      reader: reader.name,
      books: this.books,
      lanes: this.lanes,
      pools: parts.pools,
      poolOf: (route) => this.#poolOf(route),
      report,
      dispatcher: this.#dispatcher,
      assignment: this.#assignment,
      committer: this.#committer,
    })
  }

  /**
   * Ends in order: drain and commit, leave the group, close sinks, dead letters last. True when all that was read is
   * written and committed. Called once.
   */
  async stop(deadlineMs: number): Promise<boolean> {
    const { consumer, topics, reader, pools, deadLetters, log } = this.#parts
    this.#committer.stop()
    clearInterval(this.#topicTimer)
    const clean = await this.#assignment.close(deadlineMs)
    // Polled until here, because commits are answered on the common queue.
    this.#closed = true
    await this.#polling
    this.#dispatcher.stop()
    const steps: [string, () => Promise<void>][] = [
      ['the reader', () => reader.stop()],
      ['the topic directory', async () => topics.close()],
      ['the consumer', () => consumer.disconnect(disconnectTimeoutMs)],
      ...[...pools].map(([sink, pool]): [string, () => Promise<void>] => [sink, () => pool.close(disconnectTimeoutMs)]),
      ['the dead letters', async () => deadLetters?.disconnect(disconnectTimeoutMs)],
    ]
    for (const [name, close] of steps) {
      await close().catch((error: Error) => log.warn({ error }, `${name} did not close in order`))
    }
    return clean
  }

  /** Takes up schema files that have changed, or refuses them and goes on with the old. The log and a metric tell which. */
  reloadSchemas(): void {
    void this.#reload.request()
  }

  /** From the consumer: the group changes our assignment. */
  rebalance(event: Rebalance): void {
    this.#assignment.rebalance(event, this.#parts.onFatal)
  }

  /** From the reader: what Kafka says of one partition. A position that the log does not have is for `kafka.onGap`. */
  partitionFailed({ topic, partition }: TopicPartition, { code, message }: PartitionError): void {
    const lane = this.lanes.get(topic, partition)
    this.#parts.log.warn({ partition: `${topic}/${partition}`, code }, message)
    if (lane === undefined) return
    lane.failed(new KafkaUnavailableError(message))
    if (gapCodes.includes(code)) this.#assignment.doubt(lane, true)
    const place = `${topic}/${partition}`
    if (code === errorCodes.logTruncation) {
      const lost = `the log was cut off below ${lane.watermark ?? 'what was read'} (${message})`
      const cure =
        "the sink has rows that the log lost: decide on them, then set the sink's position (its table millrace_position) to where to go on"
      this.#stop(lane, new LogGapError(`${place}: ${lost}; ${cure}`))
    } else if (code === errorCodes.invalidMessageSize) {
      const limit = `more than a quarter of memory.maxBytes, which is what one record may take`
      const cure = "raise it, or set the sink's position (its table millrace_position) to the record after it"
      this.#stop(lane, new PoisonRecordError(`${place}: ${message}, ${limit}: ${cure}`))
    } else if (code === errorCodes.badCompression) {
      const why = 'it is damaged, or unpacks to more than kafka.properties.receive.message.max.bytes (100 MB)'
      const cure = "raise that, or set the sink's position (its table millrace_position) to the batch after it"
      this.#stop(lane, new PoisonRecordError(`${place}: ${message}: ${why}; ${cure}`))
    }
  }

  /** From the consumer: librdkafka's statistics, once a second, or 20 ms a partition where that is longer. */
  statistics(json: string): void {
    for (const log of parseStatistics(json)) {
      const lane = this.lanes.get(log.topic, log.partition)
      if (lane === undefined) continue
      // Control records above the last delivered one leave no slab; the reader's position has passed them.
      const position = this.#parts.reader.position(lane)
      if (position !== undefined) lane.skipTo(position)
      this.health.noteLog(lane, log)
    }
    this.#assignment.settleDoubts()
  }

  #join(): void {
    const { config, consumer } = this.#parts
    consumer.subscribe(config.routes.flatMap(({ topics }) => [...topics]))
    this.#committer.start(config.commit.intervalMs)
    // A topic that is gone for now is the group's matter, and a broker that is away the reader's.
    this.#topicTimer = setInterval(
      () => void this.#assignment.compareTopics().catch(() => undefined),
      compareTopicsEveryMs,
    )
    this.#polling = this.#poll()
  }

  async #poll(): Promise<void> {
    while (!this.#closed) {
      try {
        await this.#parts.reader.poll()
        if (failPointsArmed) await failPoint('after-poll')
      } catch (error) {
        this.#onPollError(error as Error)
        // The error may come again at once, for as long as its cause lasts.
        await new Promise((resolve) => setTimeout(resolve, 100))
      }
      this.health.notePoll()
      this.#assignment.heedLoss()
    }
  }

  #onPollError(error: Error): void {
    const code = kafkaErrorCode(error)
    // The binding's reader hears of it here, without the partition.
    if (code !== undefined && gapCodes.includes(code)) for (const lane of this.lanes) this.#assignment.doubt(lane, true)
    if (code === undefined) this.#parts.onFatal(error)
    else if (code !== errorCodes.fatal) this.#parts.log.warn({ error }, 'Kafka reports')
    else this.#parts.onFatal(new KafkaRefusedError('Kafka refuses this group member for good', { cause: error }))
  }

  #stop(lane: Lane, error: Error): void {
    lane.stop(error)
    this.#onStopped(lane, error)
  }

  #onStopped(lane: Lane, error: Error): void {
    this.#parts.reader.halt(lane)
    this.#parts.report.stopped(lane, error)
  }

  #poolOf(route: string): WorkerPool {
    const { sink } = this.#parts.config.routes.find(({ name }) => name === route)!
    return this.#parts.pools.get(sink)!
  }
}

// A fault that an operator must mend is tried seldom, one that passes by itself soon.
function retryWaitMs(error: Error, attempt: number): number {
  const refused = error instanceof MillraceError && !error.retryable
  return backoffMs(attempt, refused ? 5_000 : 200, 30_000, Math.random())
}

const watermarkOf = ({ topic, partition, watermark }: Lane) =>
  watermark === undefined ? [] : [{ topic, partition, offset: watermark }]

function describeSlab(buffer: ArrayBuffer): LaneSlab {
  const view = new SlabView(buffer)
  return { buffer, records: view.count, first: view.offset(0), next: view.offset(view.count - 1) + 1 }
}
