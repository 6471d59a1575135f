import { accessSync, chmodSync, closeSync, constants, fsyncSync, openSync, renameSync, rmSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import type { DuckDBConnection, DuckDBInstance } from '@duckdb/node-api'
import { messageChain, SinkRefusedError } from '../../errors.ts'
import { quoted } from './duckdb-table.ts'

export interface SnapshotSettings {
  readonly path: string
  readonly everyMs: number
}

/** Copying takes at most one part in so many of the time, however large the database has become. */
const sharesOfTime = 10

/**
 * A copy of the database beside it, made anew from time to time, because DuckDB lets no other process read a file that is
 * being written. The copy is one transaction's view, and takes its name when it is whole: who opens it sees all rows up to
 * some point and their positions, never a part. Writing goes on meanwhile, on a connection of its own.
 */
export class DuckDbSnapshots {
  readonly #settings: SnapshotSettings
  /** Undefined while no database is open; the next change asks again. */
  readonly #instance: () => DuckDBInstance | undefined
  readonly #warn: (message: string) => void
  #timer: NodeJS.Timeout | undefined
  #dueAt = 0
  #changed = false
  #closed = false
  #copying: { readonly done: Promise<void>; connection: DuckDBConnection | undefined } | undefined

  constructor(settings: SnapshotSettings, instance: () => DuckDBInstance | undefined, warn: (message: string) => void) {
    this.#settings = settings
    this.#instance = instance
    this.#warn = warn
  }

  /** Throws SinkRefusedError when there can be no snapshots of `database`. */
  prove(database: string): void {
    const { path } = this.#settings
    if (resolve(path) === resolve(database)) {
      throw new SinkRefusedError(`snapshotPath ${path} is the database itself; name another file`)
    }
    proveWritable(dirname(resolve(path)), `snapshotPath ${path}`)
  }

  /** Something was committed: there will be a snapshot with it. */
  changed(): void {
    this.#changed = true
    this.#schedule()
  }

  /** Resolves when no copy is under way: the database must not be closed or opened anew before that. */
  async settled(): Promise<void> {
    await this.#copying?.done
  }

  /** Breaks off what is under way; the last whole snapshot stays. */
  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#timer)
    this.#copying?.connection?.interrupt()
    await this.settled()
  }

  #schedule(): void {
    if (this.#closed || !this.#changed || this.#copying || this.#timer) return
    this.#timer = setTimeout(() => this.#take(), Math.max(0, this.#dueAt - performance.now()))
  }

  #take(): void {
    this.#timer = undefined
    const instance = this.#instance()
    if (instance === undefined) return
    this.#changed = false
    const startedAt = performance.now()
    const done = this.#copy(instance)
      .catch((error: unknown) => {
        if (this.#closed) return
        this.#changed = true
        this.#warn(`no new snapshot ${this.#settings.path}, the last one stays: ${messageChain(error)}`)
      })
      .finally(() => {
        const endedAt = performance.now()
        this.#dueAt = Math.max(startedAt + this.#settings.everyMs, endedAt + (sharesOfTime - 1) * (endedAt - startedAt))
        this.#copying = undefined
        this.#schedule()
      })
    this.#copying = { done, connection: undefined }
  }

  async #copy(instance: DuckDBInstance): Promise<void> {
    const { path } = this.#settings
    const fresh = `${path}.new`
    removeDatabase(fresh)
    const connection = await instance.connect()
    try {
      if (this.#closed) return
      if (this.#copying) this.#copying.connection = connection
      const [[source] = []] = (await connection.runAndReadAll('select current_database()')).getRows()
      await connection.run(`attach ${text(fresh)} as millrace_snapshot`)
      try {
        await connection.run(`copy from database ${quoted(source as string)} to millrace_snapshot`)
        // All into the one file that is renamed: a write-ahead log would stay behind.
        await connection.run('checkpoint millrace_snapshot')
      } finally {
        await connection.run('detach millrace_snapshot')
      }
      // The log of someone who opened the last snapshot to write would be taken for the new one's.
      rmSync(`${path}.wal`, { force: true })
      publish(fresh, path)
    } finally {
      connection.closeSync()
      removeDatabase(fresh)
    }
  }
}

/** Throws SinkRefusedError when no file could be made in the folder; `what` would be there. */
export function proveWritable(folder: string, what: string): void {
  try {
    accessSync(folder, constants.W_OK)
  } catch (cause) {
    throw new SinkRefusedError(`${what}: its folder ${folder} cannot be written; make it, or mend the path`, { cause })
  }
}

/** Gives a whole file its name, on the disk before it has it; nobody is to write to it. */
function publish(fresh: string, path: string): void {
  chmodSync(fresh, 0o444)
  const file = openSync(fresh, 'r')
  try {
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
  renameSync(fresh, path)
}

function removeDatabase(path: string): void {
  rmSync(path, { force: true })
  rmSync(`${path}.wal`, { force: true })
}

const text = (value: string): string => `'${value.replaceAll("'", "''")}'`
