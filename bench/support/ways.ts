import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { Daemon } from '../../test/support/daemon.ts'
import { uniqueName } from '../../test/support/kafka-broker.ts'
import { readingsConfig } from '../../test/support/readings-config.ts'
import type { Sample } from './figures.ts'

export interface DaemonWay {
  readonly bootstrap: string
  readonly topic: string
  readonly deadLetterTopic: string
  /** Records of the topic, and how many of them are good. */
  readonly records: number
  readonly good: number
  readonly sink: object
  readonly over: object
  /** A folder for its config file. */
  readonly folder: string
  /** The share of the records that is thrown away: meanwhile V8 compiles what a daemon runs for months. None by default. */
  readonly warmUp?: number
}

/** Each answer costs the daemon some milliseconds of its main thread, so that asking often would slow down what is measured. */
const askAgainAfterMs = 50

/** A real daemon from its first partition, or the end of its warm-up, to the last record durable, in a group of its own. */
export async function daemonSample(way: DaemonWay): Promise<Sample> {
  const { bootstrap, topic, deadLetterTopic, records, good, sink, over, folder, warmUp = 0 } = way
  const group = uniqueName('bench')
  const config = readingsConfig(
    { bootstrap, group, topic, deadLetterTopic, sink },
    { commit: { intervalMs: 1000 }, ...over },
  )
  const daemon = await Daemon.start(`${folder}/${group}.json`, config)
  await daemon.logged('partition started')
  if (warmUp > 0) await daemon.metricReaches('millrace_rows_written_total', good * warmUp, 600_000)
  const rowsAtStart = await daemon.metric('millrace_rows_written_total')
  const startedAt = performance.now()
  const cpuAtStart = await daemon.metric('process_cpu_seconds_total')
  await daemon.metricReaches('millrace_rows_written_total', good, 600_000, askAgainAfterMs)
  const seconds = (performance.now() - startedAt) / 1000
  const cpuSeconds = (await daemon.metric('process_cpu_seconds_total')) - cpuAtStart
  const code = await daemon.stop()
  if (code !== 0) throw new Error(`the daemon ended with ${code}:\n${daemon.output}`)
  return { records: records * (1 - rowsAtStart / good), seconds, cpuSeconds }
}

/** A script below bench/ which prints one Sample. */
export function scriptSample(script: string, args: readonly string[]): Promise<Sample> {
  return programSample(process.execPath, [fileURLToPath(new URL(`../${script}`, import.meta.url)), ...args])
}

/** A program whose last line is one Sample as JSON. */
export async function programSample(program: string, args: readonly string[]): Promise<Sample> {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  let stdout = ''
  child.stdout.on('data', (part: Buffer) => (stdout += part.toString()))
  const [code] = (await once(child, 'close')) as [number | null]
  if (code !== 0) throw new Error(`${program} ${args[0]} ended with ${code}`)
  return JSON.parse(stdout.trim().split('\n').at(-1)!) as Sample
}
