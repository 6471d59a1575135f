import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { KafkaConsumer } from '@confluentinc/kafka-javascript'
import { KafkaRefusedError, MillraceError } from '../errors.ts'

/** Our addon cannot be used here; says why. The binding's own reader and producer serve instead, at a fraction of the speed. */
export class NativeReaderUnavailableError extends MillraceError {
  override readonly name = 'NativeReaderUnavailableError'
  readonly code = 'NATIVE_READER_UNAVAILABLE'
  readonly retryable = false
}

/**
 * What the addon hands over of a lane, in order: a slab, or null when only the position moved or when there is an error.
 * `position` is the offset after everything handed over, -1 when there is none yet. `errorCode` is 0 or librdkafka's.
 */
export type Deliver = (
  lane: number,
  slab: ArrayBuffer | null,
  position: number,
  errorCode: number,
  errorMessage: string,
) => void

/** librdkafka's partition queues, one a lane, read by a thread of the addon (native/partition-queues.cc). */
export interface PartitionQueues {
  /** `lane` is an unsigned 32-bit number that was not used before. Throws when the queue does not become ours. */
  open(lane: number, topic: string, partition: number): void
  grant(lane: number, bytes: number): void
  /** No delivery of it follows. `purge`: drop what librdkafka goes on holding of it; not when it is read on at once. */
  close(lane: number, purge: boolean): void
  /** Ends the thread. Once, and before the consumer disconnects. */
  stop(): void
}

export interface PartitionQueuesLimits {
  /** Of one record: a larger one is not handed over, but told as `errorCodes.invalidMessageSize`, and its lane reads no more. */
  readonly recordBytesMax: number
  /** A slab is at most this big, unless it holds one record that is bigger. */
  readonly readBytesMax: number
  /** Records popped at once: bounds what a lane holds beyond its slab. */
  readonly readRecordsMax: number
  /** Waits this long after the first record of an empty lane, so that a trickle does not make a slab of each record. */
  readonly coalesceMs: number
}

/** What became of a request. `errorCode` is 0 or librdkafka's; `tooLarge` are the records that the topic refuses for their size. */
export type AnswerRequest = (
  request: number,
  errorCode: number,
  errorMessage: string,
  tooLarge: readonly number[],
) => void

/** A producer of librdkafka's for one topic, with a thread of its own (native/record-producer.cc). Answers each request once. */
export interface TopicProducer {
  connect(request: number, withinMs: number): void
  /** The slab must not be changed before the answer. */
  send(request: number, slab: ArrayBuffer): void
  /** Waits for what is under way, but no longer than that; then the client is gone. Nothing may be asked afterwards. */
  end(request: number, withinMs: number): void
}

interface Addon {
  /** Of the binding's headers that it was built with. */
  readonly bindingVersion: string
  /** `settings`: names and values in turn. Throws what librdkafka has against them. */
  readonly RecordProducer: new (
    bindingPath: string,
    topic: string,
    settings: readonly string[],
    answer: AnswerRequest,
  ) => TopicProducer
  readonly PartitionQueues: new (
    client: object,
    bindingPath: string,
    clientName: string,
    recordBytesMax: number,
    readBytesMax: number,
    readRecordsMax: number,
    coalesceMs: number,
    deliver: Deliver,
  ) => PartitionQueues
}

const require = createRequire(import.meta.url)

/** The binding's versions whose objects and queues this was tried with. */
const bindingVersions = /^1\.10\.\d+$/

/** Takes the consumer's partition queues over. Throws NativeReaderUnavailableError. The consumer must be connected. */
export function openPartitionQueues(
  consumer: KafkaConsumer,
  limits: PartitionQueuesLimits,
  deliver: Deliver,
): PartitionQueues {
  const { addon, bindingPath } = loadFittingAddon()
  const { recordBytesMax, readBytesMax, readRecordsMax, coalesceMs } = limits
  // Positions in a slab are 32-bit, and one record may come on top.
  assert(recordBytesMax > 0 && recordBytesMax <= 2 ** 31, 'the limit of a record')
  assert(readBytesMax > 0 && readBytesMax <= 2 ** 30 && readRecordsMax > 0, 'limits of a read')
  // Set by the client when it has connected.
  const { name } = consumer as unknown as { name?: string }
  try {
    const client = consumer.getClient() as object
    return new addon.PartitionQueues(
      client,
      bindingPath,
      name ?? '',
      recordBytesMax,
      readBytesMax,
      readRecordsMax,
      coalesceMs,
      deliver,
    )
  } catch (cause) {
    throw unavailable((cause as Error).message, cause)
  }
}

/**
 * A producer that has asked no broker yet. Throws NativeReaderUnavailableError, and KafkaRefusedError for settings that
 * librdkafka refuses.
 */
export function openTopicProducer(
  topic: string,
  settings: Readonly<Record<string, unknown>>,
  answer: AnswerRequest,
): TopicProducer {
  const { addon, bindingPath } = loadFittingAddon()
  const flat = Object.entries(settings).flatMap(([name, value]) => [name, String(value)])
  try {
    return new addon.RecordProducer(bindingPath, topic, flat, answer)
  } catch (cause) {
    throw new KafkaRefusedError('librdkafka refuses the settings of the producer', { cause })
  }
}

function loadFittingAddon(): { readonly addon: Addon; readonly bindingPath: string } {
  const addon = loadAddon()
  const version = bindingVersion()
  if (!bindingVersions.test(version) || version !== addon.bindingVersion) {
    throw unavailable(
      `it was built for @confluentinc/kafka-javascript ${addon.bindingVersion}, and ${version} is installed: ` +
        'rebuild it, if this version is supported',
    )
  }
  const bindingPath = Object.keys(require.cache).find((path) => path.endsWith(bindingFile))
  if (bindingPath === undefined) throw unavailable(`no ${bindingFile} is loaded in this process`)
  return { addon, bindingPath }
}

const bindingFile = 'confluent-kafka-javascript.node'
const addonFile = join('src', 'kafka', 'native', 'build', 'Release', 'kafka_addon.node')

function loadAddon(): Addon {
  const path = findUpwards(dirname(fileURLToPath(import.meta.url)), addonFile)
  if (path === undefined)
    throw unavailable('it has not been built: run `npm run build:native`, which needs a C++ compiler')
  try {
    return require(path) as Addon
  } catch (cause) {
    throw unavailable('its build does not load into this Node: run `npm run build:native` again', cause)
  }
}

/** From the compiled file, wherever it was compiled to, up to the package that has the addon. */
function findUpwards(from: string, file: string): string | undefined {
  for (let folder = from; ; folder = dirname(folder)) {
    const path = join(folder, file)
    if (existsSync(path)) return path
    if (folder === dirname(folder)) return undefined
  }
}

function bindingVersion(): string {
  try {
    return (require('@confluentinc/kafka-javascript/package.json') as { version: string }).version
  } catch (cause) {
    throw unavailable('@confluentinc/kafka-javascript cannot be found', cause)
  }
}

const unavailable = (reason: string, cause?: unknown) =>
  new NativeReaderUnavailableError(`the native reader cannot be used: ${reason}`, { cause })
