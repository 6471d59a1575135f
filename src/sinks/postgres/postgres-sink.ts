import type { Batch, TableSchema } from '../../decode/columns.ts'
import { SinkRefusedError } from '../../errors.ts'
import { failPoint, failPointsArmed } from '../../fail-points.ts'
import { decide, positionKey } from '../position-swap.ts'
import type { Applying } from '../position-swap.ts'
import type { Ack, Claimed, PoisonRow, Sink, SinkPartition } from '../sink.ts'
import { PoisonSearch, RowsRefused } from './poison-search.ts'
import { parseAddress } from './postgres-address.ts'
import type { PostgresAddress, PostgresOptions } from './postgres-address.ts'
import { begin, PostgresConnection } from './postgres-connection.ts'
import { FaultReporter, writing } from './postgres-faults.ts'
import { PostgresPositions } from './postgres-positions.ts'
import { planTable } from './postgres-table.ts'
import type { TablePlan } from './postgres-table.ts'
import { faultKind, reasonOf, sqlState } from './sql-states.ts'
import { AppendWriter } from './table-writer.ts'
import type { RowRange, TableWriter } from './table-writer.ts'
import { UpsertWriter } from './upsert-writer.ts'

/** DDL of several threads and daemons comes one after the other: `if not exists` alone does not keep two from colliding. */
const ddlLock = `select pg_advisory_xact_lock(hashtextextended('millrace ddl', 0))`

/**
 * Rows into PostgreSQL by COPY, with the position of each partition in the same transaction. One connection, taken anew
 * whenever it is lost; three round trips a load: begin and lock the positions, COPY, move the positions and commit.
 */
export class PostgresSink implements Sink {
  readonly #address: PostgresAddress
  readonly #answerMaxMs: number | undefined
  readonly #positions: PostgresPositions
  readonly #faults: FaultReporter
  readonly #schemas = new Map<string, TableSchema>()
  readonly #writers = new Map<string, TableWriter>()
  #connection: PostgresConnection | undefined
  /** Calls run one after the other: they share a connection, and a transaction belongs to one. */
  #last: Promise<unknown> = Promise.resolve()

  /** `answerMaxMs`: how long the server may leave a statement without an answer; by default a little more than it allows itself. */
  constructor(options: PostgresOptions, group: string, answerMaxMs?: number) {
    this.#address = parseAddress(options)
    this.#answerMaxMs = answerMaxMs
    this.#positions = new PostgresPositions(group, options.controlSchema)
    this.#faults = new FaultReporter(this.#address.shown)
  }

  open(): Promise<void> {
    return this.#alone(async () => {
      await this.#doing('making the control table', async (connection) => {
        await this.#change(connection, () => this.#positions.missing(connection))
      })
    })
  }

  evolve(table: TableSchema): Promise<void> {
    return this.#alone(async () => {
      this.#schemas.set(table.name, table)
      this.#writers.delete(table.name)
      await this.#doing(`making table ${table.name} ready`, (connection) => this.#makeReady(connection, table))
    })
  }

  plan(tables: readonly TableSchema[]): Promise<readonly string[]> {
    return this.#alone(async () =>
      this.#doing('looking at the tables', async (connection) => {
        const statements = [...(await this.#positions.missing(connection))]
        for (const table of tables) {
          const plan = await planTable(connection, table)
          writerFor(plan, table)
          statements.push(...plan.changes)
        }
        return statements
      }),
    )
  }

  claim(partitions: readonly SinkPartition[]): Promise<readonly Claimed[]> {
    if (partitions.length === 0) return Promise.resolve([])
    return this.#alone(async () =>
      this.#doing(`claiming ${partitions.length} partitions`, (connection) =>
        this.#positions.claim(connection, partitions),
      ),
    )
  }

  write(batches: readonly Batch[], signal: AbortSignal): Promise<readonly Ack[]> {
    return this.#alone(async () => {
      const stop = () => this.#connection?.destroy('the write was broken off')
      signal.addEventListener('abort', stop)
      try {
        return await this.#write(batches, signal)
      } finally {
        signal.removeEventListener('abort', stop)
      }
    })
  }

  close(): Promise<void> {
    return this.#alone(async () => {
      await this.#connection?.close()
      this.#connection = undefined
    })
  }

  /** Takes batches with bad rows out until the others are written. Each round settles one at least, so it ends. */
  async #write(batches: readonly Batch[], signal: AbortSignal): Promise<readonly Ack[]> {
    const settled = new Map<Batch, Ack>()
    for (;;) {
      const open = batches.filter((batch) => !settled.has(batch))
      if (open.length === 0) break
      try {
        const acks = await this.#attempt(open, signal)
        open.forEach((batch, index) => settled.set(batch, acks[index]!))
        this.#faults.succeeded()
      } catch (error) {
        const refused = await this.#refusals(error, signal).catch((cause: unknown) => cause as Error)
        if (Array.isArray(refused)) for (const [batch, ack] of refused) settled.set(batch, ack)
        else for (const batch of open) settled.set(batch, { kind: 'retry', error: this.#failed(refused, open) })
      }
    }
    return batches.map((batch) => settled.get(batch)!)
  }

  /** One transaction. Rejects, with nothing written, with RowsRefused or with what went wrong. */
  async #attempt(batches: readonly Batch[], signal: AbortSignal): Promise<readonly Ack[]> {
    signal.throwIfAborted()
    const connection = await this.#connected()
    await this.#readyTables(connection, batches)
    const stored = await this.#positions.lock(connection, batches)
    const applying: Applying[] = []
    const acks = batches.map((batch) => decide(batch, stored.get(positionKey(batch)), applying))
    const bent = this.#bentRows(applying)
    if (bent.size > 0 || applying.length === 0) {
      await connection.query('rollback')
      if (bent.size === 0) return acks
      const others = batches.filter((batch) => !bent.has(batch))
      const acksOfOthers = others.length === 0 ? [] : await this.#attempt(others, signal)
      return batches.map((batch) => {
        const rows = bent.get(batch)
        return rows === undefined ? acksOfOthers[others.indexOf(batch)]! : { kind: 'poison', rows }
      })
    }
    for (const name of new Set(applying.map(({ batch }) => batch.table.name))) {
      const ranges = applying
        .filter(({ batch }) => batch.table.name === name)
        .map((each) => ({ ...each, to: each.batch.rowCount }))
      if (ranges.some(hasWork)) await this.#writeRows(connection, name, ranges)
    }
    signal.throwIfAborted()
    if (failPointsArmed) await failPoint('after-write-before-sink-commit')
    await this.#commit(connection, applying)
    if (failPointsArmed) await failPoint('after-sink-commit-before-reply')
    return acks
  }

  async #writeRows(connection: PostgresConnection, table: string, ranges: readonly RowRange[]): Promise<void> {
    try {
      await this.#writers.get(table)!.write(connection, ranges)
    } catch (error) {
      const upsert = ranges[0]!.batch.table.rules.mode === 'upsert'
      throw faultKind(error, upsert) === 'data' ? new RowsRefused(ranges, error) : error
    }
  }

  async #commit(connection: PostgresConnection, applying: readonly Applying[]): Promise<void> {
    try {
      await connection.query(`${this.#positions.move(applying.map(({ batch }) => batch))}; commit`)
    } catch (error) {
      if (faultKind(error) !== 'data') throw error
      // A constraint that is looked at here only names no row, and cannot be tried either.
      const cure = 'rows break a constraint that is checked at the commit: make it not deferrable'
      throw new SinkRefusedError(`${this.#address.shown}: ${reasonOf(error)}; ${cure}`)
    }
  }

  /** The acks of the batches whose rows were refused; rejects with what else went wrong. The transaction is over after it. */
  async #refusals(error: unknown, signal: AbortSignal): Promise<[Batch, Ack][]> {
    if (!(error instanceof RowsRefused)) throw error
    const connection = await this.#connected()
    await connection.query('rollback')
    const { name } = error.ranges[0]!.batch.table
    // Somebody may have changed the table meanwhile: then no row is at fault, and all are written anew in another way.
    const before = this.#writers.get(name)!.signature
    await this.#makeReady(connection, this.#schemas.get(name)!)
    if (this.#writers.get(name)!.signature !== before) return []
    const found = await new PoisonSearch(connection, this.#writers.get(name)!, signal).find(error)
    signal.throwIfAborted()
    if (found.length > 0) return found.map(([batch, rows]) => [batch, { kind: 'poison', rows }])
    const cure = 'rows are refused together and none by itself: look at the constraints of the table'
    throw new SinkRefusedError(`${writing(error.ranges.map(({ batch }) => batch))}: ${reasonOf(error.cause)}; ${cure}`)
  }

  #bentRows(applying: readonly Applying[]): Map<Batch, readonly PoisonRow[]> {
    const found = applying.map(({ batch, from }): [Batch, readonly PoisonRow[]] => [
      batch,
      this.#writers.get(batch.table.name)!.bent(batch, from),
    ])
    return new Map(found.filter(([, rows]) => rows.length > 0))
  }

  /** After a fault of the configuration a table may have been mended, or be gone: it is looked at anew. */
  async #readyTables(connection: PostgresConnection, batches: readonly Batch[]): Promise<void> {
    for (const name of new Set(batches.map(({ table }) => table.name))) {
      if (this.#writers.has(name)) continue
      const schema = this.#schemas.get(name)
      if (schema === undefined) throw new SinkRefusedError(`table ${name} was never made ready`)
      await this.#makeReady(connection, schema)
    }
  }

  async #makeReady(connection: PostgresConnection, schema: TableSchema): Promise<void> {
    const changed = await this.#change(connection, async () => (await planTable(connection, schema)).changes)
    const plan = await planTable(connection, schema)
    if (changed && plan.changes.length > 0) {
      throw new SinkRefusedError(`table ${schema.name}: ${plan.changes.join('; ')} had no effect`)
    }
    this.#writers.set(schema.name, writerFor(plan, schema))
  }

  /** Runs what is missing, looked for again when no other may change anything. True when there was something. */
  async #change(connection: PostgresConnection, missing: () => Promise<readonly string[]>): Promise<boolean> {
    if ((await missing()).length === 0) return false
    await connection.query(`${begin}; ${ddlLock}`)
    const statements = await missing()
    await connection.query([...statements, 'commit'].join(';\n')).catch((error: unknown) => {
      if (faultKind(error) !== 'configuration') throw error
      const cure = `let its owner run: ${statements.join('; ')}`
      throw new SinkRefusedError(`${this.#address.shown}: ${sqlState(error)} ${reasonOf(error)}; ${cure}`)
    })
    return true
  }

  async #doing<T>(what: string, act: (connection: PostgresConnection) => Promise<T>): Promise<T> {
    try {
      return await act(await this.#connected())
    } catch (error) {
      this.#forget()
      throw this.#faults.translate(error, what)
    }
  }

  #failed(error: Error, batches: readonly Batch[]): Error {
    this.#forget()
    // A table that was changed meanwhile is looked at anew by the next write.
    if (faultKind(error) !== 'transient') this.#writers.clear()
    return this.#faults.translate(error, writing(batches))
  }

  async #connected(): Promise<PostgresConnection> {
    if (this.#connection?.usable === true) return this.#connection
    this.#forget()
    this.#connection = await PostgresConnection.open(this.#address, this.#answerMaxMs)
    return this.#connection
  }

  /** Whatever state it is in, a new one is in none. */
  #forget(): void {
    this.#connection?.destroy()
    this.#connection = undefined
  }

  #alone<T>(act: () => Promise<T>): Promise<T> {
    const done = this.#last.then(act)
    this.#last = done.catch(() => undefined)
    return done
  }
}

const hasWork = ({ batch, from, to, deletesFrom }: RowRange): boolean =>
  from < to || deletesFrom < (batch.deletes?.offsets.length ?? 0)

const writerFor = (plan: TablePlan, schema: TableSchema): TableWriter =>
  schema.rules.mode === 'upsert' ? new UpsertWriter(plan, schema) : new AppendWriter(plan)
