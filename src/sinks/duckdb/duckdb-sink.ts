import { DuckDBInstance } from '@duckdb/node-api'
import type { DuckDBConnection } from '@duckdb/node-api'
import type { Batch, TableSchema } from '../../decode/columns.ts'
import { messageChain, SinkRefusedError, SinkUnavailableError } from '../../errors.ts'
import type { MillraceError } from '../../errors.ts'
import type { Ack, Claimed, PoisonRow, Sink, SinkPartition } from '../sink.ts'
import { DuckDbLock } from './duckdb-lock.ts'
import { DuckDbPositions, positionKey } from './duckdb-positions.ts'
import type { StoredPosition } from './duckdb-positions.ts'
import { DuckDbTable } from './duckdb-table.ts'

interface Database {
  readonly instance: DuckDBInstance
  readonly connection: DuckDBConnection
  readonly positions: DuckDbPositions
}

/** A batch that applies: its rows from `from` on are not in the table yet. */
interface Applying {
  readonly batch: Batch
  readonly from: number
}

/**
 * Rows into one DuckDB file, with the position of each partition in the same transaction. One opener: this thread's.
 * https://duckdb.org/docs/stable/connect/concurrency
 */
export class DuckDbSink implements Sink {
  readonly #path: string
  readonly #mayChange: boolean
  readonly #group: string
  readonly #tables = new Map<string, DuckDbTable>()
  readonly #schemas = new Map<string, TableSchema>()
  #lock: DuckDbLock | undefined
  #database: Database | undefined
  /** Calls run one after the other: they share a connection, and a transaction belongs to one. */
  #last: Promise<unknown> = Promise.resolve()

  constructor(path: string, mayChange: boolean, group: string) {
    this.#path = path
    this.#mayChange = mayChange
    this.#group = group
  }

  open(): Promise<void> {
    return this.#alone(async () => {
      this.#lock ??= new DuckDbLock(this.#path)
      await this.#opened()
    })
  }

  evolve(table: TableSchema): Promise<void> {
    return this.#alone(async () => {
      const { connection } = await this.#opened()
      const ready = await DuckDbTable.open(connection, table, this.#mayChange).catch((error: unknown) => {
        throw translated(error, this.#path)
      })
      this.#tables.set(table.name, ready)
      this.#schemas.set(table.name, table)
    })
  }

  claim(partitions: readonly SinkPartition[]): Promise<readonly Claimed[]> {
    return this.#alone(async () => {
      const claimed: Claimed[] = []
      await this.#transaction(async ({ positions }) => {
        for (const partition of partitions) claimed.push(await positions.claim(partition))
      })
      return claimed
    })
  }

  write(batches: readonly Batch[], signal: AbortSignal): Promise<readonly Ack[]> {
    return this.#alone(() => this.#write(batches, signal))
  }

  close(): Promise<void> {
    return this.#alone(async () => {
      const database = this.#database
      this.#database = undefined
      // Only tidies the write-ahead log away; what is committed is safe in it.
      await database?.connection.run('checkpoint').catch(() => undefined)
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
        for (const { batch } of applying) await positions.move(batch, batch.epoch, batch.next)
        signal.throwIfAborted()
      })
      return acks
    } catch (error) {
      const [only, other] = applying
      if (only === undefined || !isDataFault(error)) {
        return batches.map(() => ({ kind: 'retry', error: translated(error, this.#path) }))
      }
      // Each by itself then, so that the good ones are written and a bad row is looked for in one batch.
      if (other !== undefined) return eachAlone(batches, (batch) => this.#write([batch], signal))
      const rows = await this.#badRows(only.batch, only.from, only.batch.rowCount)
      if (rows.length > 0) return [{ kind: 'poison', rows }]
      // What shows at the commit only cannot be tried, so nobody can tell the rows.
      const cure = `rows break a constraint of table ${only.batch.table.name} and none does by itself: drop the constraint`
      return [{ kind: 'retry', error: new SinkRefusedError(cure, { cause: error }) }]
    }
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

  /** DuckDB names a key or a value, not its row: halves are tried, each in a transaction that is rolled back. */
  async #badRows(batch: Batch, from: number, to: number): Promise<PoisonRow[]> {
    const error = from < to ? await this.#tryAppend(batch, from, to) : undefined
    if (error === undefined) return []
    if (to - from === 1) return [{ row: from, reason: messageChain(error), code: 'CONSTRAINT' }]
    const middle = (from + to) >> 1
    const halves = [...(await this.#badRows(batch, from, middle)), ...(await this.#badRows(batch, middle, to))]
    if (halves.length > 0) return halves
    // Each half is good by itself: a row of the second repeats a key of the first. The later one goes.
    return this.#repeats(batch, from, middle, to)
  }

  /** The rows of [middle, to) that do not fit beside those of [from, middle) which do. */
  async #repeats(batch: Batch, from: number, middle: number, to: number): Promise<PoisonRow[]> {
    for (let row = middle; row < to; row++) {
      const error = await this.#tryAppend(batch, from, row + 1)
      if (error !== undefined) return [{ row, reason: messageChain(error), code: 'CONSTRAINT' }]
    }
    return []
  }

  async #tryAppend(batch: Batch, from: number, to: number): Promise<Error | undefined> {
    const undo = new Error('tried')
    try {
      await this.#transaction(async ({ connection }) => {
        await this.#tables.get(batch.table.name)!.append(connection, [{ batch, from, to }])
        throw undo
      })
      return undefined
    } catch (error) {
      return error === undo ? undefined : (error as Error)
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
      if (/FATAL|INTERNAL|invalidated/.test(messageChain(error))) this.#forget()
      throw error
    }
  }

  #forget(): void {
    closeDatabase(this.#database)
    this.#database = undefined
    this.#tables.clear()
  }

  async #opened(): Promise<Database> {
    if (this.#database) return this.#database
    if (this.#lock === undefined) throw new SinkRefusedError(`${this.#path} is closed`)
    try {
      const instance = await DuckDBInstance.create(this.#path)
      const connection = await instance.connect()
      const positions = new DuckDbPositions(connection, this.#group)
      await positions.prepare()
      for (const schema of this.#schemas.values()) {
        this.#tables.set(schema.name, await DuckDbTable.open(connection, schema, this.#mayChange))
      }
      this.#database = { instance, connection, positions }
      return this.#database
    } catch (error) {
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

function closeDatabase(database: Database | undefined): void {
  database?.connection.closeSync()
  database?.instance.closeSync()
}

/** Compare-and-swap: what becomes of a batch, given what is stored. One that applies is put on the list. */
function decide(batch: Batch, stored: StoredPosition | undefined, applying: Applying[]): Ack {
  if (stored?.epoch !== batch.epoch) return { kind: 'fenced' }
  const { next } = stored
  if (next !== null && next >= batch.next) return { kind: 'durable', next, rows: 0 }
  if (next !== null && next < batch.base) return { kind: 'resync', position: next }
  let from = 0
  while (next !== null && from < batch.rowCount && batch.offsets[from]! < next) from++
  applying.push({ batch, from })
  return { kind: 'durable', next: batch.next, rows: batch.rowCount - from }
}

/** A row broke a rule of the table. The appender's messages name the rule, other statements' begin with the kind of error. */
const isDataFault = (error: unknown): boolean =>
  /constraint|Conversion Error|could not convert/i.test(messageChain(error))

function translated(error: unknown, path: string): MillraceError {
  if (error instanceof SinkRefusedError || error instanceof SinkUnavailableError) return error
  const message = messageChain(error)
  if (
    /Catalog Error|Binder Error|Permission|permission denied|not a valid DuckDB|Cannot open file|lock on file/i.test(
      message,
    )
  ) {
    return new SinkRefusedError(`DuckDB refuses ${path}`, { cause: error })
  }
  return new SinkUnavailableError(`DuckDB cannot take rows into ${path} now`, { cause: error })
}
