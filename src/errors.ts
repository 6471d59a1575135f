/** Base of every failure we name: code branches on the class, operators alert on the code. */
export abstract class MillraceError extends Error {
  abstract readonly code: string
  /** True when doing the same thing again later may work. */
  abstract readonly retryable: boolean
}

/** One thing wrong with the configuration, with its place (a path such as `routes[0].sink`) and its cure. */
export interface Problem {
  readonly path: string
  readonly message: string
}

/** The configuration cannot be used; carries every problem found, not only the first. */
export class ConfigError extends MillraceError {
  override readonly name = 'ConfigError'
  readonly code = 'CONFIG_INVALID'
  readonly retryable = false
  readonly problems: readonly Problem[]

  constructor(source: string, problems: readonly Problem[]) {
    super(`${source}: ${problems.map(({ path, message }) => (path ? `${path}: ${message}` : message)).join('; ')}`)
    this.problems = problems
  }
}

/** A schema cannot be loaded: the file is missing, does not parse, or does not hold the message. */
export class SchemaError extends MillraceError {
  override readonly name = 'SchemaError'
  readonly code = 'SCHEMA_INVALID'
  readonly retryable = false
}

/** Kafka cannot be reached, or refuses us for now. */
export class KafkaUnavailableError extends MillraceError {
  override readonly name = 'KafkaUnavailableError'
  readonly code = 'KAFKA_UNAVAILABLE'
  readonly retryable = true
}

/** Kafka said no in a way that waiting does not change: rights, a missing topic, a fenced instance. */
export class KafkaRefusedError extends MillraceError {
  override readonly name = 'KafkaRefusedError'
  readonly code = 'KAFKA_REFUSED'
  readonly retryable = false
}

/** The log does not have the position that a partition is to be read from: an operator's rule or word decides. */
export class LogGapError extends MillraceError {
  override readonly name = 'LogGapError'
  readonly code = 'LOG_GAP'
  readonly retryable = false
}

/** The sink does not answer, or answers that it cannot now. Retried for as long as it takes. */
export class SinkUnavailableError extends MillraceError {
  override readonly name = 'SinkUnavailableError'
  readonly code = 'SINK_UNAVAILABLE'
  readonly retryable = true
}

/** The sink cannot take our rows until an operator changes something: a wrong table, right, password, path. */
export class SinkRefusedError extends MillraceError {
  override readonly name = 'SinkRefusedError'
  readonly code = 'SINK_REFUSED'
  readonly retryable = false
}

/**
 * A worker thread ended, or was ended because it stood still, with a load under way: written or not is unknown. `step` is what
 * it was doing, which tells whether a record may be the cause: a store that does not answer says nothing of a record.
 */
export class WorkerDiedError extends MillraceError {
  override readonly name = 'WorkerDiedError'
  readonly code: 'WORKER_KILLED' | 'WORKER_HUNG'
  readonly retryable = true
  readonly step: 'waiting' | 'decoding' | 'dead-lettering' | 'writing'

  constructor(code: WorkerDiedError['code'], step: WorkerDiedError['step'], message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
    this.step = step
  }

  /** True when a record of the load may be why. */
  get blamesRecords(): boolean {
    return this.code === 'WORKER_KILLED' ? this.step !== 'waiting' : this.step === 'decoding'
  }
}

/** A record can never be written and there is no dead-letter topic to keep it: its partition stands still. */
export class PoisonRecordError extends MillraceError {
  override readonly name = 'PoisonRecordError'
  readonly code = 'POISON_RECORD'
  readonly retryable = false
}

/** The admin port of a daemon does not answer. */
export class DaemonUnreachableError extends MillraceError {
  override readonly name = 'DaemonUnreachableError'
  readonly code = 'DAEMON_UNREACHABLE'
  readonly retryable = true
}

/** Most of a route's records are bad: a deployment error, so that its loads wait instead of becoming dead letters. */
export class DeadLetterFloodError extends MillraceError {
  override readonly name = 'DeadLetterFloodError'
  readonly code = 'DEAD_LETTER_FLOOD'
  readonly retryable = false
}

/** A dead letter too large for its topic cannot be kept in a file for now. */
export class DeadLetterStoreError extends MillraceError {
  override readonly name = 'DeadLetterStoreError'
  readonly code = 'DEAD_LETTER_STORE'
  readonly retryable = true
}

/** A place in Kafka. */
export interface RecordPlace {
  readonly topic: string
  readonly partition: number
  readonly offset: number
}

/** The dead-letter topic does not take records of this size, and there is no other place for them. The others are stored. */
export class DeadLetterTooLargeError extends MillraceError {
  override readonly name = 'DeadLetterTooLargeError'
  readonly code = 'DEAD_LETTER_TOO_LARGE'
  readonly retryable = false
  readonly places: readonly RecordPlace[]

  constructor(message: string, places: readonly RecordPlace[]) {
    super(message)
    this.places = places
  }
}

/** The chain of causes in one line, outermost first: `insert 0-100: connection reset`. */
export function messageChain(error: unknown): string {
  const parts: string[] = []
  for (let at: unknown = error; at !== undefined && at !== null; at = at instanceof Error ? at.cause : undefined) {
    const message = at instanceof Error ? at.message : String(at)
    if (!parts.at(-1)?.includes(message)) parts.push(message)
  }
  return parts.join(': ')
}

/** An error as it crosses a thread: structured clone would keep neither its class nor its code. */
export interface ErrorDescription {
  readonly name: string
  readonly code: string | undefined
  readonly retryable: boolean
  readonly message: string
  readonly stack: string | undefined
}

/** The causes are folded into the message. */
export function describeError(error: unknown): ErrorDescription {
  const named = error instanceof MillraceError ? error : undefined
  return {
    name: error instanceof Error ? error.name : 'Error',
    code: named?.code,
    retryable: named?.retryable ?? true,
    message: messageChain(error),
    stack: error instanceof Error ? error.stack : undefined,
  }
}

/** An error of ours that happened in a worker thread: the same name, code and message, on this side. */
export class WorkerError extends MillraceError {
  override readonly name: string
  readonly code: string
  readonly retryable: boolean

  constructor(description: ErrorDescription) {
    super(description.message)
    this.name = description.name
    this.code = description.code ?? 'WORKER_FAILED'
    this.retryable = description.retryable
    if (description.stack !== undefined) this.stack = description.stack
  }
}
