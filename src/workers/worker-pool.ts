import { once } from 'node:events'
import { extname } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { MessagePort } from 'node:worker_threads'
import { Piscina } from 'piscina'
import { DeadLetterTooLargeError, describeError, MillraceError, WorkerDiedError, WorkerError } from '../errors.ts'
import type { SchemaSnapshot } from '../decode/schema-files.ts'
import type { DeadLetterStore } from '../kafka/dead-letters.ts'
import type { LoadLimits } from '../lanes/scheduler.ts'
import type { Claimed, SinkPartition } from '../sinks/sink.ts'
import type { FloodGuard } from './flood-guard.ts'
import { leastLoaded } from './least-loaded.ts'
import { closedReply, closeRequest, loadSteps } from './messages.ts'
import type {
  LoadResult,
  LoadStep,
  SwitchReply,
  SwitchRequest,
  Task,
  TaskPart,
  WorkerNotice,
  WorkerReply,
  WorkerRequest,
  WorkerSetup,
} from './messages.ts'
import type { Answer } from './worker.ts'

/** The first of a pool's workers is still being started, or one is being replaced. */
class WorkersStartingError extends MillraceError {
  override readonly name = 'WorkersStartingError'
  readonly code = 'WORKERS_STARTING'
  readonly retryable = true
}

/** Where dead letters go, and what keeps a flood of them out. */
export interface KeptLetters {
  readonly store: DeadLetterStore
  readonly guard: FloodGuard
}

export interface PoolSize {
  readonly threads: number
  readonly loadsAThread: number
  /** Of one load. */
  readonly limits: LoadLimits
}

/** JavaScript objects of a worker; more of them mean a record that grows without bound. */
const workerHeapMegabytes = 512
/** A sink that has not opened or claimed by then is taken for hung. */
const answerMaxMs = 90_000
/**
 * How long a worker may do the same before it is ended. Decoding takes some 20 ms a MiB, with the reference decoder ten times
 * that. The other two have bounds of their own that end sooner (`writeMaxMs` in load-writer.ts, `message.timeout.ms`): these
 * are for what does not keep them.
 */
const stepMaxMs = (loadBytes: number): Readonly<Record<LoadStep, number>> => ({
  waiting: Infinity,
  decoding: 5_000 + (loadBytes / 2 ** 20) * 1_000,
  'dead-lettering': 20 * 60_000,
  writing: 150_000,
})
const lookEveryMs = 500

/**
 * The worker threads of one sink: a pool of its own, so that a slow sink keeps no thread from another. Loads are only
 * submitted when a thread is free (the caller counts them), so piscina's own queue stays short.
 */
export class WorkerPool {
  readonly limits: LoadLimits
  readonly loadsMax: number
  readonly threadsShared: boolean
  readonly #threads: number
  readonly #pool: Piscina
  /** Cloned into each thread that is started. */
  readonly #setup: { routes: WorkerSetup['routes'] } & Omit<WorkerSetup, 'routes'>
  readonly #kept: KeptLetters | undefined
  readonly #onDeath: (error: Error) => void
  readonly #ports = new Set<MessagePort>()
  readonly #onNotice: (notice: string) => void
  /** The partitions of each request for dead letters that is not answered yet. */
  readonly #storing = new Set<ReadonlySet<string>>()

  /** `onDeath` hears of every worker that died, with a task under way or without; `onNotice` what a sink tells the operator. */
  constructor(
    setup: WorkerSetup,
    { threads, loadsAThread, limits }: PoolSize,
    kept: KeptLetters | undefined,
    onDeath: (error: Error) => void,
    onNotice: (notice: string) => void,
  ) {
    this.#onNotice = onNotice
    this.limits = limits
    this.#threads = threads
    this.#setup = { ...setup }
    this.loadsMax = threads * loadsAThread
    this.threadsShared = loadsAThread > 1
    this.#kept = kept
    this.#pool = new Piscina({
      // The worker's file has the extension of this one: .ts while only compiled in memory, .js in dist.
      filename: fileURLToPath(new URL(`./worker${extname(import.meta.url)}`, import.meta.url)),
      minThreads: threads,
      maxThreads: threads,
      // Piscina's default parks an idle worker in Atomics.wait: its sockets, timers and our port would stand still.
      atomics: 'disabled',
      concurrentTasksPerWorker: loadsAThread,
      loadBalancer: (_task, workers) => leastLoaded(workers, loadsAThread),
      workerData: this.#setup,
      // Columns and slabs lie outside of this heap: what fills it is a record that grows without bound as it is decoded.
      resourceLimits: { maxOldGenerationSizeMb: workerHeapMegabytes },
    })
    this.#onDeath = onDeath
    this.#pool.on('error', onDeath)
    this.#pool.on('message', (port: MessagePort) => this.#serve(port))
  }

  /** Opens the sink in one worker and makes the tables ready. Rejects with the sink's or the schema's own error. */
  async prepare(): Promise<void> {
    await this.#ask({ kind: 'prepare' })
    // The others open theirs while the group is joined, and not with the first load in hand. A fault shows again with a load.
    for (let thread = 0; thread < this.#threads; thread++) void this.#ask({ kind: 'prepare' }).catch(() => undefined)
  }

  /** `Sink.claim` in one of the workers. */
  async claim(partitions: readonly SinkPartition[]): Promise<readonly Claimed[]> {
    return this.#ask({ kind: 'claim', partitions })
  }

  /**
   * Writes a load; its slabs are gone afterwards, but for those that come back in the result. Rejects with WorkerDiedError
   * when the worker ended, or did so long the same that it was ended.
   */
  async load(route: string, parts: readonly TaskPart[]): Promise<LoadResult> {
    const progress = new Int32Array(new SharedArrayBuffer(2 * Int32Array.BYTES_PER_ELEMENT))
    const task: Task = { kind: 'load', route, parts, progress }
    const transferList = parts.flatMap(({ slabs }) => [...slabs])
    const maxMs = stepMaxMs(transferList.reduce((sum, { byteLength }) => sum + byteLength, 0))
    const watch = watchProgress(progress, maxMs)
    try {
      const result = (await this.#pool.run(task, { transferList, signal: watch.signal })) as LoadResult
      this.#settled(route, result)
      return result
    } catch (cause) {
      const step = loadSteps[progress[0]!]!
      const error = watch.signal.aborted
        ? new WorkerDiedError(
            'WORKER_HUNG',
            step,
            `a worker was ended: ${step} for more than ${Math.round(maxMs[step] / 1000)} s`,
          )
        : new WorkerDiedError('WORKER_KILLED', step, `a worker ended while ${step}`, { cause })
      this.#onDeath(error)
      throw error
    } finally {
      watch.stop()
    }
  }

  /**
   * Decodes these routes by these schemas from now on, in every worker, and makes their tables fit. Only when no load is under
   * way. Rejects with the error of the first worker that tries it: then nothing has changed.
   */
  async switchSchemas(schemas: ReadonlyMap<string, SchemaSnapshot>): Promise<void> {
    const routes = this.#setup.routes.map((route) => ({ ...route, schema: schemas.get(route.name) ?? route.schema }))
    const [first, ...others] = this.#ports
    if (first === undefined || others.length + 1 < this.#threads) {
      throw new WorkersStartingError('a worker is being started; ask again when it has')
    }
    const switched = await switchWorker(first, { routes, trial: true })
    if (switched !== true) throw new WorkerError(switched)
    // For threads that are started later. One that cannot switch now opens its sink anew, with these routes.
    this.#setup.routes = routes
    await Promise.allSettled(others.map((port) => switchWorker(port, { routes, trial: false })))
  }

  /** True while dead letters of the partition wait for their topic. */
  storing({ topic, partition }: { readonly topic: string; readonly partition: number }): boolean {
    return [...this.#storing].some((partitions) => partitions.has(`${topic}/${partition}`))
  }

  /**
   * Closes every worker's sink, then the threads. Only when no task is under way: piscina's own close is no drain.
   * When one does not answer within `timeoutMs` the threads are left to the end of the process: one that is ended in the
   * middle of a native call would abort it.
   */
  async close(timeoutMs: number): Promise<void> {
    const signal = AbortSignal.timeout(timeoutMs)
    const closed = await Promise.allSettled([...this.#ports].map((port) => closeSink(port, signal)))
    if (closed.every(({ status }) => status === 'fulfilled')) await this.#pool.destroy()
  }

  async #ask<T>(task: Task): Promise<T> {
    const signal = AbortSignal.timeout(answerMaxMs)
    const answer = (await this.#pool.run(task, { signal }).catch((cause: unknown) => {
      const how = signal.aborted ? `did not answer within ${answerMaxMs / 1000} s and was ended` : 'ended'
      const error = new WorkerDiedError(
        signal.aborted ? 'WORKER_HUNG' : 'WORKER_KILLED',
        'waiting',
        `a worker ${how}`,
        { cause },
      )
      this.#onDeath(error)
      throw error
    })) as Answer<T>
    if ('error' in answer) throw new WorkerError(answer.error)
    return answer.value
  }

  #serve(port: MessagePort): void {
    this.#ports.add(port)
    port.on('close', () => this.#ports.delete(port))
    port.on('message', (request: WorkerRequest | WorkerNotice | SwitchReply | typeof closedReply) => {
      if (request === closedReply) return
      if ('notice' in request) this.#onNotice(request.notice)
      else if ('slab' in request) void this.#store(request).then((reply) => port.postMessage(reply))
    })
  }

  #settled(route: string, { outcomes }: LoadResult): void {
    for (const outcome of outcomes) {
      if (outcome.kind !== 'durable' && outcome.kind !== 'stopped') continue
      const { rows, deduplicated, deadLettered, skipped } = outcome.counts
      const records = rows + deduplicated + deadLettered + skipped
      this.#kept?.guard.settled(route, records, deadLettered, performance.now())
    }
  }

  async #store({ id, slab, partitions, share }: WorkerRequest): Promise<WorkerReply> {
    if (this.#kept === undefined) return { id, result: 'refused' }
    const { store, guard } = this.#kept
    const flood = guard.refusal(share.route, share.records, share.letters, performance.now())
    if (flood) return { id, result: 'failed', error: describeError(flood) }
    this.#storing.add(partitions)
    try {
      await store.store(slab)
      return { id, result: 'stored' }
    } catch (error) {
      if (error instanceof DeadLetterTooLargeError) {
        const places = error.places.map(({ topic, partition, offset }) => ({ topic, partition, offset }))
        return { id, result: 'too large', places, error: describeError(error) }
      }
      return { id, result: 'failed', error: describeError(error) }
    } finally {
      this.#storing.delete(partitions)
    }
  }
}

/** Aborts when a load's step has not changed for longer than it may. */
function watchProgress(
  progress: Int32Array,
  maxMs: Readonly<Record<LoadStep, number>>,
): { readonly signal: AbortSignal; stop(): void } {
  const abort = new AbortController()
  let changes = 0
  let stillMs = 0
  let lookedAt = performance.now()
  const timer = setInterval(() => {
    const now = performance.now()
    // A process that was suspended stood still as a whole: that time says nothing of the worker.
    const passedMs = Math.min(now - lookedAt, 2 * lookEveryMs)
    lookedAt = now
    const [step, count] = [loadSteps[Atomics.load(progress, 0)]!, Atomics.load(progress, 1)]
    stillMs = count === changes ? stillMs + passedMs : 0
    changes = count
    if (stillMs > maxMs[step]) abort.abort()
  }, lookEveryMs)
  return { signal: abort.signal, stop: () => clearInterval(timer) }
}

/** The worker has a deadline of its own for this; should it die, its port closes. */
function switchWorker(port: MessagePort, request: SwitchRequest): Promise<SwitchReply['switched']> {
  return new Promise((resolve, reject) => {
    const onMessage = (reply: WorkerRequest | SwitchReply | typeof closedReply): void => {
      if (reply === closedReply || !('switched' in reply)) return
      port.off('message', onMessage)
      port.off('close', onClose)
      resolve(reply.switched)
    }
    const onClose = (): void =>
      reject(new WorkersStartingError('the worker died; ask again when another one has started'))
    port.on('message', onMessage)
    port.on('close', onClose)
    port.postMessage(request)
  })
}

async function closeSink(port: MessagePort, signal: AbortSignal): Promise<void> {
  const closed = once(port as unknown as NodeJS.EventEmitter, 'close', { signal })
  port.postMessage(closeRequest)
  await closed
}
