import {
  ConfigError,
  KafkaUnavailableError,
  SchemaError,
  SinkUnavailableError,
  WorkerError,
  MillraceError,
} from './errors.ts'

/** The daemon's exit codes; 64 and above as in BSD's sysexits.h, so that supervisors can tell them apart. */
export const exitCodes = {
  ok: 0,
  /** A demo, check or plan whose result is no. */
  failed: 1,
  /** Configuration, schema, rights: an operator must change something. */
  usage: 64,
  /** Kafka or a sink cannot be reached: starting again later may work. */
  unavailable: 69,
  /** A bug of ours: an assertion or an error without a name. */
  internal: 70,
  /** Stopped, but not everything read was written and committed before the deadline: it is read again at the next start. */
  unfinished: 75,
} as const

/** The exit code that tells a supervisor what kind of failure it was. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof ConfigError || error instanceof SchemaError) return exitCodes.usage
  if (error instanceof KafkaUnavailableError || error instanceof SinkUnavailableError) return exitCodes.unavailable
  if (error instanceof WorkerError) return error.retryable ? exitCodes.unavailable : exitCodes.usage
  if (error instanceof MillraceError) return error.retryable ? exitCodes.unavailable : exitCodes.usage
  return exitCodes.internal
}

let firstSignal: Promise<NodeJS.Signals> | undefined

/**
 * Resolves at the first SIGTERM or SIGINT since it was first called; a second one ends the process at once. Called as early
 * as can be: a signal that nobody listens for ends the process by itself, with a code that supervisors take for a failure.
 */
export function untilSignal(): Promise<NodeJS.Signals> {
  firstSignal ??= new Promise((resolve) => {
    let asked = false
    const onSignal = (signal: NodeJS.Signals) => {
      if (asked) endNow(128 + (signal === 'SIGINT' ? 2 : 15))
      asked = true
      resolve(signal)
    }
    process.on('SIGTERM', onSignal)
    process.on('SIGINT', onSignal)
  })
  return firstSignal
}

/** Ends without waiting for native threads: `process.exit` would join one that hangs in librdkafka, for ever. */
export function endNow(code: number): never {
  process.exitCode = code
  process.reallyExit(code)
}

declare global {
  // eslint-disable-next-line @typescript-eslint/no-namespace
  namespace NodeJS {
    interface Process {
      /** Node's own exit without the `exit` event; undocumented, stable since its first release. */
      reallyExit(code: number): never
    }
  }
}
