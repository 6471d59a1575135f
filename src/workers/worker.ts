import assert from 'node:assert/strict'
import { MessageChannel, parentPort } from 'node:worker_threads'
import type { MessagePort } from 'node:worker_threads'
import { move, transferableSymbol, valueSymbol, workerData } from 'piscina'
import { ColumnMemory } from '../decode/column-memory.ts'
import { createDecoder } from '../decode/create-decoder.ts'
import type { Decoder } from '../decode/decoder.ts'
import { SchemaFiles } from '../decode/schema-files.ts'
import { describeError, SinkRefusedError, SinkUnavailableError } from '../errors.ts'
import type { ErrorDescription } from '../errors.ts'
import { DeadLetterPacker } from '../kafka/dead-letter-slab.ts'
import type { DeadLetter } from '../kafka/dead-letter-slab.ts'
import { sinkCatalog } from '../sinks/sink-catalog.ts'
import type { Claimed, Sink } from '../sinks/sink.ts'
import { freeBuffers } from './free-buffers.ts'
import { writeLoad } from './load-writer.ts'
import { closedReply, closeRequest, loadSteps } from './messages.ts'
import type {
  LetterShare,
  LoadResult,
  LoadStep,
  RouteSetup,
  SwitchReply,
  SwitchRequest,
  Task,
  WorkerNotice,
  WorkerReply,
  WorkerRequest,
  WorkerSetup,
} from './messages.ts'

/** The answer to a claim or prepare: an error of ours would lose its class on the way, so it is described. */
export type Answer<T> = { readonly value: T } | { readonly error: ErrorDescription }

interface Opened {
  readonly sink: Sink
  readonly decoders: ReadonlyMap<string, Decoder>
}

/**
 * The thread side of a pool: owns one sink and one decoder a route, for the thread's life. Piscina calls the default
 * export once a task, one at a time.
 */
class Worker {
  readonly #setup: Omit<WorkerSetup, 'routes'>
  #routes: readonly RouteSetup[]
  readonly #port: MessagePort
  #ready: Promise<Opened> | undefined
  readonly #packer: DeadLetterPacker
  readonly #replies = new Map<number, (reply: WorkerReply) => void>()
  #requests = 0

  constructor(setup: WorkerSetup, port: MessagePort) {
    this.#setup = setup
    this.#routes = setup.routes
    this.#port = port
    this.#packer = new DeadLetterPacker(setup.group)
    port.on('message', (message: WorkerReply | SwitchRequest | typeof closeRequest) => {
      if (message === closeRequest) void this.#close()
      else if ('routes' in message) void this.#switch(message)
      else this.#replies.get(message.id)?.(message)
    })
  }

  async prepare(): Promise<Answer<null>> {
    return answer(async () => {
      await this.#open()
      return null
    })
  }

  async claim(task: Task & { kind: 'claim' }): Promise<Answer<readonly Claimed[]>> {
    return answer(async () => (await this.#open()).sink.claim(task.partitions))
  }

  async load(task: Task & { kind: 'load' }): Promise<LoadResult> {
    let opened: Opened
    try {
      opened = await this.#open()
    } catch (cause) {
      const error = describeError(cause)
      const outcomes = task.parts.map(({ slabs }) => ({ kind: 'retry', error, slabs, deadLettered: [] }) as const)
      return { outcomes, decodeSeconds: 0, writeSeconds: 0 }
    }
    const { sink, decoders } = opened
    const decoder = decoders.get(task.route)
    assert(decoder, `no route ${task.route} in this worker`)
    const origin = { route: task.route, sink: this.#setup.sink.name }
    return writeLoad(task.parts, {
      decoder,
      sink,
      origin,
      step: (step) => tellStep(task.progress, step),
      store: (...letters) => this.#store(...letters),
    })
  }

  /** Opens the sink once; a failure is forgotten, so that the next task tries again. */
  #open(): Promise<Opened> {
    this.#ready ??= this.#makeReady().catch((error: unknown) => {
      this.#ready = undefined
      throw error
    })
    return this.#ready
  }

  async #makeReady(): Promise<Opened> {
    const { sink: wanted, group } = this.#setup
    const decoders = await createDecoders(this.#routes)
    const kind = sinkCatalog[wanted.type]
    if (kind === undefined) throw new SinkRefusedError(`sinks.${wanted.name}.type: there is no sink ${wanted.type}`)
    const warn = (notice: string) => this.#port.postMessage({ notice } satisfies WorkerNotice)
    const sink = await kind.create(wanted.options, { group, warn })
    try {
      await sink.open()
      await evolveAll(sink, decoders)
    } catch (error) {
      await sink.close()
      throw error
    }
    return { sink, decoders }
  }

  async #switch({ routes, trial }: SwitchRequest): Promise<void> {
    const before = this.#routes
    const opened = await this.#ready?.catch(() => undefined)
    this.#routes = routes
    const answered = await answer(async () => {
      if (opened === undefined) return void (await this.#open())
      const decoders = await createDecoders(routes)
      await withinDeadline(evolveAll(opened.sink, decoders))
      this.#ready = Promise.resolve({ ...opened, decoders })
    })
    if ('error' in answered) {
      // What the sink has of the new tables is unknown: it is opened anew, with whichever routes are in use then.
      if (trial) this.#routes = before
      this.#ready = undefined
      await opened?.sink.close().catch(() => undefined)
    }
    const switched = 'error' in answered ? answered.error : true
    this.#port.postMessage({ switched } satisfies SwitchReply)
  }

  /** One request after the other, so that a load that is all bad is not in memory twice. */
  async #store(letters: readonly DeadLetter[], records: number): Promise<WorkerReply> {
    const share = { route: letters[0]!.route, records, letters: letters.length }
    let all: WorkerReply | undefined
    for (let start = 0, end; start < letters.length; start = end) {
      end = endOfRequest(letters, start)
      const reply = await this.#request(letters.slice(start, end), share)
      if (reply.result === 'failed' || reply.result === 'refused') return reply
      if (reply.result === 'stored') all ??= reply
      else all = all?.result === 'too large' ? { ...all, places: [...all.places, ...reply.places] } : reply
    }
    return all!
  }

  #request(letters: readonly DeadLetter[], share: LetterShare): Promise<WorkerReply> {
    const id = ++this.#requests
    const replied = new Promise<WorkerReply>((resolve) => this.#replies.set(id, resolve))
    const slab = this.#packer.pack(letters)
    const partitions = new Set(letters.map(({ topic, partition }) => `${topic}/${partition}`))
    this.#port.postMessage({ id, slab, partitions, share } satisfies WorkerRequest, [slab])
    return replied.finally(() => this.#replies.delete(id))
  }

  async #close(): Promise<void> {
    const opened = await this.#ready?.catch(() => undefined)
    await opened?.sink.close().catch(() => undefined)
    this.#port.postMessage(closedReply)
    this.#port.close()
  }
}

const requestBytesMax = 8 * 2 ** 20
/** What a letter takes beside its record, some reason included. */
const letterBytes = 1500

/** Where the request ends that begins with the letter `start`: it has one at least. */
function endOfRequest(letters: readonly DeadLetter[], start: number): number {
  let bytes = 0
  for (let end = start; end < letters.length; end++) {
    const { slab, index } = letters[end]!
    bytes += letterBytes + slab.recordBytes(index)
    if (end > start && bytes > requestBytesMax) return end
  }
  return letters.length
}

/** A step and a count of changes: shared memory, because a thread that loops sends no message. */
function tellStep(progress: Int32Array, step: LoadStep): void {
  Atomics.store(progress, 0, loadSteps.indexOf(step))
  Atomics.add(progress, 1, 1)
}

async function evolveAll(sink: Sink, decoders: ReadonlyMap<string, Decoder>): Promise<void> {
  for (const decoder of decoders.values()) await sink.evolve(decoder.table)
}

/** Whoever waits for a sink to evolve holds back its loads. */
const evolveMaxMs = 60_000

async function withinDeadline(evolved: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const deadline = new Promise<never>((_, reject) => {
    const error = new SinkUnavailableError(`its tables were not ready within ${evolveMaxMs / 1000} s`)
    timer = setTimeout(reject, evolveMaxMs, error)
  })
  await Promise.race([evolved, deadline]).finally(() => clearTimeout(timer))
}

/** Of all routes, those of an earlier schema too: what one has released serves the others. */
const columnMemory = new ColumnMemory()

async function createDecoders(routes: readonly RouteSetup[]): Promise<Map<string, Decoder>> {
  const decoders = new Map<string, Decoder>()
  for (const { name, decode, table, metadata, columns, schema } of routes) {
    decoders.set(name, await createDecoder(decode, table, metadata, columns, new SchemaFiles(schema), columnMemory))
  }
  return decoders
}

async function answer<T>(act: () => Promise<T>): Promise<Answer<T>> {
  try {
    return { value: await act() }
  } catch (error) {
    return { error: describeError(error) }
  }
}

const { port1, port2 } = new MessageChannel()
const worker = new Worker(workerData as WorkerSetup, port1)
parentPort?.postMessage(port2, [port2])

export default async function run(task: Task): Promise<unknown> {
  if (task.kind === 'prepare') return worker.prepare()
  if (task.kind === 'claim') return worker.claim(task)
  const result = await worker.load(task)
  const slabs = result.outcomes.flatMap((outcome) => (outcome.kind === 'retry' ? outcome.slabs : []))
  freeBuffers(task.parts.flatMap((part) => part.slabs).filter((slab) => !slabs.includes(slab)))
  return move({ [transferableSymbol]: slabs, [valueSymbol]: result })
}
