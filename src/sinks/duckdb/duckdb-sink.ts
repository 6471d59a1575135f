import { existsSync, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import type { DuckDBConnection } from '@duckdb/node-api'
import type { Batch, TableSchema } from '../../decode/columns.ts'
import { messageChain, SinkRefusedError, SinkUnavailableError } from '../../errors.ts'
import type { MillraceError } from '../../errors.ts'
import { failPoint, failPointsArmed } from '../../fail-points.ts'
import type { Ack, Claimed, Sink, SinkPartition } from '../sink.ts'
import { findBadRows } from '../bad-rows.ts'
import { decide, positionKey } from '../position-swap.ts'
import type { Applying } from '../position-swap.ts'
import { DuckDbLock } from './duckdb-lock.ts'
import { DuckDbPositions } from './duckdb-positions.ts'
import { DuckDbSnapshots, proveWritable } from './duckdb-snapshots.ts'
import { DuckDbTable } from './duckdb-table.ts'
import { ValueRefusedError } from './duckdb-vectors.ts'

interface Database {
  readonly instance: DuckDBInstance
  readonly connection: DuckDBConnection
  readonly positions: DuckDbPositions
}

/** The options of the catalogue. */
export interface DuckDbOptions {
  readonly path: string
  /** What DuckDB may take of the machine; bytes. */
  readonly memoryLimit: number
  readonly threads: number
  readonly checkpointBytes: number
  readonly snapshotPath?: string
  readonly snapshotEveryMs: number
}

/** A write-ahead log up to this size is merged into the file when it is closed: a fraction of a second. */
const tidyBytesMax = 2 * 2 ** 20

/**
 * Rows into one DuckDB file, with the position of each partition in the same transaction. One opener: this thread's.
 * https://duckdb.org/docs/stable/connect/concurrency
 */
export class DuckDbSink implements Sink {
  readonly #path: string
  readonly #group: string
  readonly #options: DuckDbOptions
  readonly #snapshots: DuckDbSnapshots | undefined
  readonly #tables = new Map<string, DuckDbTable>()
  readonly #schemas = new Map<string, TableSchema>()
  #lock: DuckDbLock | undefined
  #database: Database | undefined
  /** Calls run one after the other: they share a connection, and a transaction belongs to one. */
  #last: Promise<unknown> = Promise.resolve()

  constructor(options: DuckDbOptions, group: string, warn: (message: string) => void = () => undefined) {
    const { path, snapshotPath, snapshotEveryMs } = options
    this.#path = path
    this.#options = options
    this.#group = group
    if (snapshotPath !== undefined) {
      const settings = { path: snapshotPath, everyMs: snapshotEveryMs }
      this.#snapshots = new DuckDbSnapshots(settings, () => this.#database?.instance, warn)
    }
  }

  open(): Promise<void> {
    return this.#alone(async () => {
      this.#snapshots?.prove(this.#path)
      this.#lock ??= new DuckDbLock(this.#path)
      await this.#opened()
      // A first one at once: with what is there already.
      this.#snapshots?.changed()
    })
  }

  plan(tables: readonly TableSchema[]): Promise<readonly string[]> {
    return this.#alone(async () => {
      this.#snapshots?.prove(this.#path)
      const there = existsSync(this.#path)
      if (!there) proveWritable(dirname(resolve(this.#path)), this.#path)
      let instance: DuckDBInstance | undefined
      try {
        // An absent file is not made for it: its tables would be as absent.
        instance = await DuckDBInstance.create(
          there ? this.#path : ':memory:',
          there ? { access_mode: 'READ_ONLY' } : {},
        )
        const connection = await instance.connect()
        const statements = await new DuckDbPositions(connection, this.#group).missing()
        for (const table of tables) statements.push(...(await DuckDbTable.plan(connection, table)))
        connection.closeSync()
        return statements
      } catch (error) {
        throw translated(error, this.#path)
      } finally {
        instance?.closeSync()
      }
    })
  }

  evolve(table: TableSchema): Promise<void> {
    return this.#alone(async () => {
      const { connection } = await this.#opened()
      const ready = await DuckDbTable.open(connection, table).catch((error: unknown) => {
        throw translated(error, this.#path)
      })
      this.#tables.set(table.name, ready)
      this.#schemas.set(table.name, table)
    })
  }

  claim(partitions: readonly SinkPartition[]): Promise<readonly Claimed[]> {
    return this.#alone(async () => {
      const claimed: Claimed[] = []
      try {
        await this.#transaction(async ({ positions }) => {
          for (const partition of partitions) claimed.push(await positions.claim(partition))
        })
      } catch (error) {
        throw translated(error, this.#path)
      }
      return claimed
    })
  }

  write(batches: readonly Batch[], signal: AbortSignal): Promise<readonly Ack[]> {
    return this.#alone(() => this.#write(batches, signal))
  }

  close(): Promise<void> {
    return this.#alone(async () => {
      await this.#snapshots?.close()
      const database = this.#database
      this.#database = undefined
      // Only tidies the write-ahead log away; what is committed is safe in it. A large one is left to the next opener: an end
      // that outlasts its deadline would tear the thread out of DuckDB, which aborts the process.
      const logBytes = statSync(`${this.#path}.wal`, { throwIfNoEntry: false })?.size ?? 0
      const statement = logBytes > tidyBytesMax ? 'pragma disable_checkpoint_on_shutdown' : 'checkpoint'
      const tidied = database?.connection.run(statement).catch(() => undefined)
      if (failPointsArmed) await failPoint('in-checkpoint')
      await tidied
      closeDatabase(database)
      this.#lock?.release()
      this.#lock = undefined
    })
  }

  async #write(batches: readonly Batch[], signal: AbortSignal): Promise<readonly Ack[]> {
    const applying: Applying[] = []
    let acks: Ack[] = []
    try {
      await this.#transaction(async ({ connection, positions }) => {
        const stored = await positions.read()
        acks = batches.map((batch) => decide(batch, stored.get(positionKey(batch)), applying))
        await this.#append(connection, applying)
        await positions.move(applying.map(({ batch }) => batch))
        signal.throwIfAborted()
        if (failPointsArmed) await failPoint('after-write-before-sink-commit')
      })
      this.#snapshots?.changed()
      if (failPointsArmed) await failPoint('after-sink-commit-before-reply')
      return acks
    } catch (error) {
      const [only, other] = applying
      if (only === undefined || !isDataFault(error)) {
        return batches.map(() => ({ kind: 'retry', error: translated(error, this.#path) }))
      }
      // Each by itself then, so that the good ones are written and a bad row is looked for in one batch.
      if (other !== undefined) return eachAlone(batches, (batch) => this.#write([batch], signal))
      return [await this.#refusal(only, error, signal)]
    }
  }

  /** What becomes of a batch that DuckDB refuses for its rows. */
  async #refusal({ batch, from }: Applying, error: unknown, signal: AbortSignal): Promise<Ack> {
    try {
      const rows = await findBadRows(from, batch.rowCount, (...part) => this.#tryAppend(batch, ...part), signal)
      if (rows.length > 0) return { kind: 'poison', rows }
      signal.throwIfAborted()
    } catch (cause) {
      return { kind: 'retry', error: translated(cause, this.#path) }
    }
    // What shows at the commit only cannot be tried, so nobody can tell the rows.
    const cure = `rows break a constraint of table ${batch.table.name} and none does by itself: drop the constraint`
    return { kind: 'retry', error: new SinkRefusedError(cure, { cause: error }) }
  }

  async #append(connection: DuckDBConnection, applying: readonly Applying[]): Promise<void> {
    for (const name of new Set(applying.map(({ batch }) => batch.table.name))) {
      const table = this.#tables.get(name)
      if (table === undefined) throw new SinkRefusedError(`table ${name} was never made ready`)
      const parts = applying.filter(({ batch }) => batch.table.name === name)
      await table.append(
        connection,
        parts.map(({ batch, from }) => ({ batch, from, to: batch.rowCount })),
      )
    }
  }

  /** The error that some rows of a batch meet, in a transaction that is always rolled back. */
  async #tryAppend(batch: Batch, from: number, to: number): Promise<Error | undefined> {
    const undo = new Error('tried')
    try {
      await this.#transaction(async ({ connection }) => {
        await this.#tables.get(batch.table.name)!.append(connection, [{ batch, from, to }])
        throw undo
      })
      return undefined
    } catch (error) {
      if (error === undo) return undefined
      if (isDataFault(error)) return error as Error
      // A full disk says nothing of the row that was tried just then: it is no poison.
      throw error
    }
  }

  async #transaction(act: (database: Database) => Promise<void>): Promise<void> {
    const database = await this.#opened()
    const { connection } = database
    try {
      await connection.run('begin transaction')
      await act(database)
      await connection.run('commit')
    } catch (error) {
      await connection.run('rollback').catch(() => undefined)
      // After such an error the database in memory is good for nothing; the file is, and is opened anew by the next call.
      if (/\b(FATAL|INTERNAL) Error|database has been invalidated/.test(messageChain(error))) await this.#forget()
      throw error
    }
  }

  async #forget(): Promise<void> {
    const database = this.#database
    this.#database = undefined
    this.#tables.clear()
    await this.#snapshots?.settled()
    closeDatabase(database)
  }

  async #opened(): Promise<Database> {
    if (this.#database) return this.#database
    if (this.#lock === undefined) throw new SinkRefusedError(`${this.#path} is closed`)
    let instance: DuckDBInstance | undefined
    try {
      instance = await DuckDBInstance.create(this.#path, duckDbConfig(this.#options))
      const connection = await instance.connect()
      // It takes 0 and -0 for one value, and of a run of both keeps one: a value would be stored as another. Not a setting for
      // `create`, which ignores it.
      await connection.run(`set global disabled_compression_methods = 'rle'`)
      const positions = new DuckDbPositions(connection, this.#group)
      await positions.prepare()
      for (const schema of this.#schemas.values()) {
        this.#tables.set(schema.name, await DuckDbTable.open(connection, schema))
      }
      this.#database = { instance, connection, positions }
      return this.#database
    } catch (error) {
      // The next call opens the file anew: it must not be open twice.
      instance?.closeSync()
      throw translated(error, this.#path)
    }
  }

  #alone<T>(act: () => Promise<T>): Promise<T> {
    const done = this.#last.then(act)
    this.#last = done.catch(() => undefined)
    return done
  }
}

async function eachAlone(batches: readonly Batch[], write: (batch: Batch) => Promise<readonly Ack[]>): Promise<Ack[]> {
  const acks: Ack[] = []
  for (const batch of batches) acks.push(...(await write(batch)))
  return acks
}

function duckDbConfig({ memoryLimit, threads, checkpointBytes }: DuckDbOptions): Record<string, string> {
  return {
    memory_limit: `${memoryLimit}B`,
    threads: String(threads),
    // Each checkpoint compresses the last row group of a table anew: DuckDB's default, after 16 MiB, is for other loads.
    checkpoint_threshold: `${checkpointBytes}B`,
  }
}

function closeDatabase(database: Database | undefined): void {
  database?.connection.closeSync()
  database?.instance.closeSync()
}

/**
 * A row broke a rule of the table. Only what begins like this does: elsewhere in a message there may be a path or a value
 * with any words, and a full disk that passes for a bad row would be dead-lettered.
 */
const ruleBroken =
  /^((Failed to append|Constraint Error|TransactionContext Error: Failed to commit): )*((PRIMARY KEY or UNIQUE|NOT NULL|CHECK) constraint |Violates foreign key constraint |Duplicate key |Conversion Error: |Could not convert )/i

const isDataFault = (error: unknown): boolean =>
  error instanceof ValueRefusedError || (error instanceof Error && ruleBroken.test(error.message))

function translated(error: unknown, path: string): MillraceError {
  if (error instanceof SinkRefusedError || error instanceof SinkUnavailableError) return error
  const message = messageChain(error)
  // Whoever has it open may be a daemon that still closes, or somebody who looks into the file.
  if (/lock on file/i.test(message)) {
    return new SinkUnavailableError(`${path} is open in another process; close it there`, { cause: error })
  }
  if (
    /Failed to set config|Catalog Error|Binder Error|Parser Error|Permission|not a valid DuckDB|Cannot open file|Is a directory/i.test(
      message,
    )
  ) {
    return new SinkRefusedError(`DuckDB refuses ${path}`, { cause: error })
  }
  return new SinkUnavailableError(`DuckDB cannot take rows into ${path} now`, { cause: error })
}
