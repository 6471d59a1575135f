import { once } from 'node:events'
import { extname } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { MessagePort } from 'node:worker_threads'
import { Piscina } from 'piscina'
import { describeError, WorkerError } from '../errors.ts'
import type { DeadLetterStore } from '../kafka/dead-letters.ts'
import type { LoadLimits } from '../lanes/scheduler.ts'
import type { Claimed, SinkPartition } from '../sinks/sink.ts'
import { closedReply, closeRequest } from './messages.ts'
import type { LoadResult, Task, TaskPart, WorkerReply, WorkerRequest, WorkerSetup } from './messages.ts'
import type { Answer } from './worker.ts'

export interface PoolSize {
  readonly threads: number
  readonly loadsAThread: number
  /** Of one load. */
  readonly limits: LoadLimits
}

/**
 * The worker threads of one sink: a pool of its own, so that a slow sink keeps no thread from another. Loads are only
 * submitted when a thread is free (the caller counts them), so piscina's own queue stays short.
 */
export class WorkerPool {
  readonly limits: LoadLimits
  readonly loadsMax: number
  readonly #pool: Piscina
  readonly #deadLetters: DeadLetterStore | undefined
  readonly #ports = new Set<MessagePort>()
  /** The partitions of each request for dead letters that is not answered yet. */
  readonly #storing = new Set<ReadonlySet<string>>()

  /** `onError` hears of a worker that died with no task under way. */
  constructor(
    setup: WorkerSetup,
    { threads, loadsAThread, limits }: PoolSize,
    deadLetters: DeadLetterStore | undefined,
    onError: (error: Error) => void,
  ) {
    this.limits = limits
    this.loadsMax = threads * loadsAThread
    this.#deadLetters = deadLetters
    this.#pool = new Piscina({
      // The worker's file has the extension of this one: .ts while only compiled in memory, .js in dist.
      filename: fileURLToPath(new URL(`./worker${extname(import.meta.url)}`, import.meta.url)),
      minThreads: threads,
      maxThreads: threads,
      // Piscina's default parks an idle worker in Atomics.wait: its sockets, timers and our port would stand still.
      atomics: 'disabled',
      concurrentTasksPerWorker: loadsAThread,
      workerData: setup,
    })
    this.#pool.on('error', onError)
    this.#pool.on('message', (port: MessagePort) => this.#serve(port))
  }

  /** Opens the sink in one worker and makes the tables ready. Rejects with the sink's or the schema's own error. */
  async prepare(): Promise<void> {
    await this.#ask({ kind: 'prepare' })
  }

  /** `Sink.claim` in one of the workers. */
  async claim(partitions: readonly SinkPartition[]): Promise<readonly Claimed[]> {
    return this.#ask({ kind: 'claim', partitions })
  }

  /** Writes a load; its slabs are gone afterwards, but for those that come back in the result. Rejects when the worker died. */
  async load(route: string, parts: readonly TaskPart[]): Promise<LoadResult> {
    const task: Task = { kind: 'load', route, parts }
    return (await this.#pool.run(task, { transferList: parts.flatMap(({ slabs }) => [...slabs]) })) as LoadResult
  }

  /** True while dead letters of the partition wait for their topic. */
  storing({ topic, partition }: { readonly topic: string; readonly partition: number }): boolean {
    return [...this.#storing].some((partitions) => partitions.has(`${topic}/${partition}`))
  }

  /**
   * Closes every worker's sink, then the threads. Only when no task is under way: piscina's own close is no drain.
   * A worker that does not answer within `timeoutMs` is ended all the same.
   */
  async close(timeoutMs: number): Promise<void> {
    const signal = AbortSignal.timeout(timeoutMs)
    await Promise.allSettled([...this.#ports].map((port) => closeSink(port, signal)))
    await this.#pool.destroy()
  }

  async #ask<T>(task: Task): Promise<T> {
    const answer = (await this.#pool.run(task)) as Answer<T>
    if ('error' in answer) throw new WorkerError(answer.error)
    return answer.value
  }

  #serve(port: MessagePort): void {
    this.#ports.add(port)
    port.on('close', () => this.#ports.delete(port))
    port.on('message', (request: WorkerRequest | typeof closedReply) => {
      if (request !== closedReply) void this.#store(request).then((reply) => port.postMessage(reply))
    })
  }

  async #store({ id, letters }: WorkerRequest): Promise<WorkerReply> {
    if (this.#deadLetters === undefined) return { id, result: 'refused' }
    const partitions = new Set(letters.map(({ topic, partition }) => `${topic}/${partition}`))
    this.#storing.add(partitions)
    try {
      await this.#deadLetters.store(letters)
      return { id, result: 'stored' }
    } catch (error) {
      return { id, result: 'failed', error: describeError(error) }
    } finally {
      this.#storing.delete(partitions)
    }
  }
}

async function closeSink(port: MessagePort, signal: AbortSignal): Promise<void> {
  const closed = once(port as unknown as NodeJS.EventEmitter, 'close', { signal })
  port.postMessage(closeRequest)
  await closed
}
