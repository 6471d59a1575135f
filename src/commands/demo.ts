import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { extname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseConfig } from '../config/load.ts'
import type { Config } from '../config/schema.ts'
import { ConfigError } from '../errors.ts'
import { demoTopics } from '../kafka/demo-cluster.ts'
import { AdminServer } from '../observe/admin-server.ts'
import { createLogger } from '../observe/logger.ts'
import { createMetrics } from '../observe/metrics.ts'
import { packageRoot } from '../package-root.ts'
import { Pipeline } from '../pipeline.ts'
import { exitCodes, untilSignal } from '../shutdown.ts'
import { queryDuckDb } from '../sinks/duckdb/duckdb-query.ts'
import { sinkOptions } from '../sinks/sink-catalog.ts'
import type { DeviceOrder, DeviceReport } from './demo-devices.ts'
import { deadLetterTopic, topic } from './simulated-readings.ts'

export interface DemoOptions {
  /** Ends by itself after so long; undefined: at Ctrl-C. */
  readonly forMs: number | undefined
  readonly rate: number
  readonly file: string
}

const message = 'telemetry.v1.Reading'
const protoFile = fileURLToPath(new URL('proto/telemetry.proto', packageRoot))
/** After the devices stop, the rest must be durable within this. */
const settleMaxMs = 60_000

/** The question that the demo's books end with; a user can ask it again. */
const bookQuery = `select count(*) as rows, count(*) - count(distinct (_partition, _offset)) as duplicates from readings`

/**
 * `millrace demo`: an embedded broker, simulated devices, and the daemon itself ingesting into a DuckDB file. Ends with the
 * books: produced = rows + dead letters, no duplicates. Resolves with the exit code: 1 when they do not balance.
 */
export async function demo(options: DemoOptions): Promise<number> {
  if (existsSync(options.file)) {
    const cure = `${options.file} exists already; remove it or choose another with --file`
    throw new ConfigError('demo', [{ path: '--file', message: cure }])
  }
  const signalled = untilSignal()
  const devices = new Devices()
  try {
    return await ingest(options, devices, signalled)
  } finally {
    await devices.exit()
  }
}

async function ingest(options: DemoOptions, devices: Devices, signalled: Promise<NodeJS.Signals>): Promise<number> {
  const config = demoConfig(await devices.brokers, options.file)
  const metrics = createMetrics()
  let fail: (error: Error) => void = () => undefined
  const failed = new Promise<never>((_, reject) => (fail = reject))
  failed.catch(() => undefined)
  const log = createLogger('warn', 'auto', process.stdout.isTTY)
  const pipeline = await Pipeline.start({ config, topics: demoTopics, metrics, log, onFatal: fail })
  const admin = new AdminServer(metrics.registry, pipeline.health)
  const port = await admin.listen(config.admin.host, config.admin.port)
  console.log(
    `devices write ${options.rate} readings/s to ${topic}; rows go to ${options.file}; metrics: http://127.0.0.1:${port}/metrics`,
  )

  devices.tell({ kind: 'start', rate: options.rate, protoFile, message })
  const progress = new Progress(pipeline, devices)
  const timeUp = options.forMs === undefined ? never : new Promise((resolve) => setTimeout(resolve, options.forMs))
  await Promise.race([signalled, timeUp, failed])
  devices.tell({ kind: 'stop' })
  const produced = await Promise.race([devices.final, failed])
  await Promise.race([settled(pipeline, produced.records), failed])
  progress.stop()
  await pipeline.stop(config.shutdown.deadlineMs)
  await admin.close()
  return closeBooks(options.file, produced.records, pipeline)
}

async function closeBooks(file: string, produced: number, pipeline: Pipeline): Promise<number> {
  const [row] = await queryDuckDb(file, bookQuery)
  const rows = Number(row?.['rows'])
  const duplicates = Number(row?.['duplicates'])
  const { deadLettered } = pipeline.books
  const balanced = produced === rows + deadLettered && duplicates === 0 && pipeline.books.balanced && produced > 0
  console.log(`produced ${produced} = rows ${rows} + dead letters ${deadLettered}; duplicates ${duplicates}`)
  console.log(balanced ? 'the books balance' : 'THE BOOKS DO NOT BALANCE')
  console.log(`asked of ${file}: ${bookQuery}`)
  return balanced ? exitCodes.ok : exitCodes.failed
}

/** The other process, and what it told last. */
class Devices {
  readonly brokers: Promise<string>
  readonly final: Promise<{ records: number }>
  produced = 0
  readonly #process: ChildProcess

  constructor() {
    const file = fileURLToPath(new URL(`./demo-devices${extname(import.meta.url)}`, import.meta.url))
    this.#process = fork(file, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    const died = once(this.#process, 'exit').then(([code]) => {
      throw new Error(`the simulated devices ended with ${code}`)
    })
    died.catch(() => undefined)
    const told = <T>(pick: (report: DeviceReport) => T | undefined): Promise<T> => {
      const heard = new Promise<T>((resolve) => {
        this.#process.on('message', (report: DeviceReport) => {
          const value = pick(report)
          if (value !== undefined) resolve(value)
        })
      })
      return Promise.race([heard, died])
    }
    this.brokers = told((report) => (report.kind === 'cluster' ? report.brokers : undefined))
    this.final = told((report) => (report.kind === 'produced' && report.final ? report : undefined))
    // Nobody may be waiting when the process dies.
    this.final.catch(() => undefined)
    this.#process.on('message', (report: DeviceReport) => {
      if (report.kind === 'produced') this.produced = report.records
    })
  }

  tell(order: DeviceOrder): void {
    if (this.#process.connected) this.#process.send(order)
  }

  async exit(): Promise<void> {
    if (this.#process.exitCode !== null) return
    const exited = once(this.#process, 'exit')
    this.tell({ kind: 'exit' })
    const timer = setTimeout(() => this.#process.kill('SIGKILL'), 5_000)
    await exited
    clearTimeout(timer)
  }
}

/** Tells the devices how far the daemon is, and the person watching, on one line. */
class Progress {
  readonly #timer: NodeJS.Timeout
  #lastSettled = 0
  #lastPrintedAt = performance.now()

  constructor(pipeline: Pipeline, devices: Devices) {
    let ticks = 0
    this.#timer = setInterval(() => {
      const { written, deadLettered } = pipeline.books
      devices.tell({ kind: 'settled', records: written + deadLettered })
      ticks++
      // A terminal gets one live line, ten times a second at most; a log one line in five seconds.
      if (ticks % (process.stdout.isTTY ? 5 : 50) === 0) this.#print(pipeline)
    }, 100)
  }

  stop(): void {
    clearInterval(this.#timer)
    if (process.stdout.isTTY) process.stdout.write('\n')
  }

  #print(pipeline: Pipeline): void {
    const now = performance.now()
    const { written, deadLettered } = pipeline.books
    const settledNow = written + deadLettered
    const rate = ((settledNow - this.#lastSettled) * 1000) / (now - this.#lastPrintedAt)
    this.#lastSettled = settledNow
    this.#lastPrintedAt = now
    const memory = Math.round(process.memoryUsage.rss() / 1_048_576)
    const line = `${Math.round(rate)} records/s, lag ${pipeline.health.lag ?? '?'}, rows ${written}, dead letters ${deadLettered}, ${memory} MiB`
    process.stdout.write(process.stdout.isTTY ? `\r\x1b[2K${line}` : `${line}\n`)
  }
}

const never = new Promise<never>(() => undefined)

/** Resolves when every produced record is a row or a dead letter, or when it takes too long: the books tell then. */
async function settled(pipeline: Pipeline, produced: number): Promise<void> {
  const deadline = performance.now() + settleMaxMs
  while (performance.now() < deadline) {
    const { written, deadLettered } = pipeline.books
    if (written + deadLettered >= produced) return
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

function demoConfig(brokers: string, file: string): Config {
  const text = JSON.stringify({
    kafka: { brokers, group: 'millrace-demo' },
    routes: [
      {
        topics: [topic],
        decode: { format: 'protobuf', files: [protoFile], message },
        sink: 'file',
        table: 'readings',
        metadata: ['partition', 'offset', 'timestamp'],
      },
    ],
    sinks: { file: { type: 'duckdb', path: file } },
    deadLetters: { topic: deadLetterTopic, maxRate: 1 },
    admin: { port: 0 },
  })
  return parseConfig(text, 'the demo', { format: 'json', env: {}, sinkOptions })
}
