import { setFlagsFromString } from 'node:v8'
import { loadConfig, maskedConfig } from '../config/load.ts'
import type { Config } from '../config/schema.ts'
import { connectionSettings } from '../kafka/client-settings.ts'
import { TopicDirectory } from '../kafka/topic-directory.ts'
import { AdminServer } from '../observe/admin-server.ts'
import { createLogger } from '../observe/logger.ts'
import type { Logger } from '../observe/logger.ts'
import { createMetrics } from '../observe/metrics.ts'
import { Pipeline } from '../pipeline.ts'
import { exitCodeOf, exitCodes, untilSignal } from '../shutdown.ts'
import { sinkOptions } from '../sinks/sink-catalog.ts'

/** `millrace run`: the daemon, until a signal or a failure it cannot survive. Resolves with the exit code. */
export async function run(configFile: string): Promise<number> {
  const config = loadConfig(configFile, { env: process.env, sinkOptions })
  const log = createLogger(config.log.level, config.log.format, process.stdout.isTTY)
  return runDaemon(config, log)
}

/**
 * A heap, of a worker too, may grow to four times what its last full collection left, where V8 stops at half as much again.
 * V8 counts the bytes of slabs against that, though they are none of the heap's: their tide in the lanes alone would set off
 * several collections a second, at a tenth of the CPU (measured with DuckDB).
 */
const heapGrowingPercent = 300

async function runDaemon(config: Config, log: Logger): Promise<number> {
  setFlagsFromString(`--heap-growing-percent=${heapGrowingPercent}`)
  log.info({ pid: process.pid, node: process.version, config: maskedConfig(config) }, 'millrace starts')
  // Listened for since the process began: a signal during a slow start must not be lost.
  const signalled = untilSignal()
  let fail: (error: Error) => void = () => undefined
  const failed = new Promise<Error>((resolve) => (fail = resolve))
  const metrics = createMetrics()
  const topics = new TopicDirectory(connectionSettings(config.kafka))
  const starting = Pipeline.start({ config, topics, metrics, log, onFatal: (error) => fail(error) })
  // Without a listener the signal would end the process. One that comes during the start is heeded when it is done.
  process.on('SIGHUP', () => {
    starting.then(
      (pipeline) => pipeline.reloadSchemas(),
      () => undefined,
    )
  })
  const started = await Promise.race([starting, signalled])
  if (typeof started === 'string') return exitCodes.ok
  const admin = new AdminServer(metrics.registry, started.health)
  if (config.admin.enabled) {
    const port = await admin.listen(config.admin.host, config.admin.port)
    log.info({ url: `http://${config.admin.host}:${port}/metrics` }, 'admin port open')
  }
  const ended = await Promise.race([signalled, failed])
  if (ended instanceof Error) log.fatal({ error: ended }, 'millrace cannot go on')
  else log.info({ signal: ended }, 'stopping: draining, then committing')
  const clean = await started.stop(config.shutdown.deadlineMs)
  if (config.admin.enabled) await admin.close()
  const { books } = started
  log.info({ books, clean }, 'millrace stopped')
  if (!books.balanced) {
    log.fatal({ books }, 'the books do not balance: this is a bug')
    return exitCodes.internal
  }
  if (ended instanceof Error) return exitCodeOf(ended)
  return clean ? exitCodes.ok : exitCodes.unfinished
}
