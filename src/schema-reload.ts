import { messageChain, SchemaError } from './errors.ts'
import type { Dispatcher } from './lanes/dispatcher.ts'
import type { Reporter } from './observe/reporter.ts'
import type { ChangedSchemas, RouteSchemas } from './route-schemas.ts'
import type { WorkerPool } from './workers/worker-pool.ts'

/** Loads that are being written are waited for so long; a write has a deadline of its own. */
const quietWithinMs = 150_000

export interface ReloadOptions {
  readonly schemas: RouteSchemas
  /** By the sink's name. */
  readonly pools: ReadonlyMap<string, WorkerPool>
  readonly dispatcher: Dispatcher
  readonly report: Reporter
}

/**
 * Takes up schema files that have changed while the daemon runs. Everything is looked at before anything is touched; then,
 * sink by sink, no load departs until those under way have ended, the table is evolved, and all workers of the pool have the
 * new decoder. What is refused leaves the old schema in use, and no record is lost or judged by the change itself.
 */
export class SchemaReload {
  readonly #options: ReloadOptions
  #running: Promise<void> = Promise.resolve()

  constructor(options: ReloadOptions) {
    this.#options = options
  }

  /** One after the other; never rejects: the log and a metric have the result. */
  request(): Promise<void> {
    this.#running = this.#running.then(() => this.#reload())
    return this.#running
  }

  async #reload(): Promise<void> {
    const { schemas, pools, report } = this.#options
    let changed: ChangedSchemas
    try {
      changed = await schemas.changed()
    } catch (error) {
      return report.schemasRefused(error as Error)
    }
    if (changed.length === 0) return report.schemasUnchanged()
    for (const [sink, pool] of pools) {
      const own = changed.filter(({ route }) => route.sink === sink)
      if (own.length > 0) await this.#switch(sink, pool, own)
    }
  }

  async #switch(sink: string, pool: WorkerPool, changed: ChangedSchemas): Promise<void> {
    const { schemas, dispatcher, report } = this.#options
    const names = changed.map(({ route }) => route.name)
    try {
      if (!(await dispatcher.hold(pool, quietWithinMs))) {
        throw new SchemaError(`sink ${sink}: loads are still being written after ${quietWithinMs / 1000} s; try again`)
      }
      await pool.switchSchemas(new Map(changed.map(({ route, files }) => [route.name, files])))
      schemas.adopt(changed)
      report.schemasApplied(names)
    } catch (error) {
      report.schemasRefused(new SchemaError(`routes ${names.join(', ')}: ${messageChain(error)}`, { cause: error }))
    } finally {
      dispatcher.release(pool)
    }
  }
}
