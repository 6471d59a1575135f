import type { Batch } from '../../decode/columns.ts'
import { findBadRows } from '../bad-rows.ts'
import type { PoisonRow } from '../sink.ts'
import { begin } from './postgres-connection.ts'
import type { PostgresConnection } from './postgres-connection.ts'
import { faultKind, reasonOf, rowNamed, sqlState } from './sql-states.ts'
import type { RowRange, TableWriter } from './table-writer.ts'

/** So many bad rows are looked for at once. The rest shows when what is left of the batch is written. */
const poisonMax = 1000
/** Rows of a try. What follows a bad row in it was sent for nothing, so it is kept near the distance of bad rows. */
const pieceRows = { least: 64, most: 4096 }
const savepoint = 'savepoint millrace_try'

/** The server refused rows of one table's COPY or merge. */
export class RowsRefused extends Error {
  readonly ranges: readonly RowRange[]

  constructor(ranges: readonly RowRange[], cause: unknown) {
    super('rows refused', { cause })
    this.ranges = ranges
  }
}

/**
 * Finds the bad rows among those that were refused, by trying them in one transaction that is rolled back. Good rows stay in
 * it until then, so that one that repeats the key of an earlier one is found too. Gives some at least of those that the
 * server refuses by themselves; rejects with what else goes wrong.
 */
export class PoisonSearch {
  readonly #connection: PostgresConnection
  readonly #writer: TableWriter
  readonly #signal: AbortSignal
  /** What puts the transaction in order for the next try, sent along with it. */
  #before = savepoint

  constructor(connection: PostgresConnection, writer: TableWriter, signal: AbortSignal) {
    this.#connection = connection
    this.#writer = writer
    this.#signal = signal
  }

  async find({ ranges, cause }: RowsRefused): Promise<[Batch, PoisonRow[]][]> {
    const named = placeOf(ranges, rowNamed(cause))
    await this.#connection.query(begin)
    try {
      if (named !== undefined) return [[named.range.batch, await this.#after(named, cause)]]
      const found: [Batch, PoisonRow[]][] = []
      for (const range of ranges) found.push([range.batch, await this.#within(range, range.from)])
      return found.filter(([, rows]) => rows.length > 0)
    } finally {
      if (this.#connection.usable) await this.#connection.query('rollback')
    }
  }

  async #after({ range, row }: { range: RowRange; row: number }, cause: unknown): Promise<PoisonRow[]> {
    // Refused or not, these are no rows of the search any more.
    if (row > range.from) await this.#try(range, range.from, row, 'keep')
    return [poison(row, cause), ...(await this.#within(range, row + 1))]
  }

  /** From one bad row to the next; by halves where the server names none. */
  async #within(range: RowRange, first: number): Promise<PoisonRow[]> {
    const { to } = range
    const found: PoisonRow[] = []
    let piece = pieceRows.least
    for (let from = first; from < to && found.length < poisonMax && !this.#signal.aborted;) {
      const end = Math.min(from + piece, to)
      const error = await this.#try(range, from, end, 'keep')
      if (error === undefined) {
        from = end
        piece = Math.min(piece * 2, pieceRows.most)
        continue
      }
      const named = rowNamed(error)
      if (named === undefined) {
        const probe = (...part: [number, number]) => this.#try(range, ...part, 'forget')
        return [...found, ...(await findBadRows(from, to, probe, this.#signal))]
      }
      found.push(poison(from + named, error))
      if (named > 0) await this.#try(range, from, from + named, 'keep')
      from += named + 1
      piece = Math.max(pieceRows.least, Math.min((named + 1) * 2, pieceRows.most))
    }
    return found
  }

  /** The error that rows meet; rejects when it says nothing of the rows. */
  async #try(range: RowRange, from: number, to: number, good: 'keep' | 'forget'): Promise<Error | undefined> {
    try {
      await this.#writer.write(this.#connection, [{ ...range, from, to }], this.#before)
      this.#before = good === 'keep' ? `release ${savepoint}; ${savepoint}` : `rollback to ${savepoint}`
      return undefined
    } catch (error) {
      if (faultKind(error, range.batch.table.rules.mode === 'upsert') !== 'data') throw error
      this.#before = `rollback to ${savepoint}`
      return error as Error
    }
  }
}

function poison(row: number, error: unknown): PoisonRow {
  const code = sqlState(error)
  return { row, reason: reasonOf(error), ...(code === undefined ? {} : { code }) }
}

/** Where the row that was named by its number in the COPY is. */
function placeOf(ranges: readonly RowRange[], named: number | undefined): { range: RowRange; row: number } | undefined {
  let left = named ?? -1
  if (left < 0) return undefined
  for (const range of ranges) {
    const rows = range.to - range.from
    if (left < rows) return { range, row: range.from + left }
    left -= rows
  }
  return undefined
}
