import { DatabaseError } from 'pg'

/**
 * What an error of PostgreSQL asks for. transient: the same again, later, on a new connection. configuration: somebody must
 * change something, and no record is at fault. data: a row breaks a rule. unknown: tried again, then somebody must look.
 */
export type FaultKind = 'transient' | 'configuration' | 'data' | 'unknown'

/** Whole codes decide before their classes (the first two characters). https://www.postgresql.org/docs/current/errcodes-appendix.html */
const byCode: Readonly<Record<string, FaultKind>> = {
  // Read-only after a failover: the writable server is another one now.
  '25006': 'transient',
  // Idle in transaction for too long: our own process stood still.
  '25P03': 'transient',
  // A foreign server of a foreign table.
  HV00N: 'transient',
  // Wrong width or form of a binary field: the table's types are not those that the rows were encoded for.
  '22P03': 'unknown',
  '08P01': 'unknown',
  // Not implemented for this kind of table, such as COPY with row-level security.
  '0A000': 'configuration',
  // The trigger of a table says no with its own code, P0001: as a check constraint does.
  P0001: 'data',
  '21000': 'data',
  '54000': 'data',
}

const byClass: Readonly<Record<string, FaultKind>> = {
  '08': 'transient', // connection
  '40': 'transient', // serialization, deadlock
  '53': 'transient', // disk, memory, connections
  '55': 'transient', // lock not available, cannot connect now
  '57': 'transient', // shutdown, cancelled
  '58': 'transient', // input and output
  '22': 'data',
  '23': 'data',
  '28': 'configuration', // password, role
  '3D': 'configuration', // database
  '3F': 'configuration', // schema
  '42': 'configuration', // rights, tables, columns
}

/** `upsert`: a unique violation is then a race with another writer or with an index that is being built. */
export function faultKind(error: unknown, upsert = false): FaultKind {
  const code = sqlState(error)
  if (code === undefined) return isOfTheConnection(error) ? 'transient' : 'unknown'
  if (upsert && code === '23505') return 'transient'
  return byCode[code] ?? byClass[code.slice(0, 2)] ?? 'unknown'
}

export const sqlState = (error: unknown): string | undefined =>
  error instanceof DatabaseError && error.code !== undefined ? error.code : undefined

/** The row of a COPY, counted from 0, that the server could not take. */
export function rowNamed(error: unknown): number | undefined {
  if (!(error instanceof DatabaseError)) return undefined
  const line = /^COPY .*, line (\d+)/m.exec(error.where ?? '')?.[1]
  return line === undefined ? undefined : Number(line) - 1
}

/**
 * What the server says of a row, without its values: those are in the detail, and in what it quotes of an input.
 * The column is in the context where the field did not parse, and a field of the error where a rule was broken.
 */
export function reasonOf(error: unknown): string {
  if (!(error instanceof DatabaseError)) return error instanceof Error ? error.message : String(error)
  const column = error.column ?? /, column ([^:\n]+)/.exec(error.where ?? '')?.[1]
  const message = error.message.replace(/(input syntax for type [^:]+|enum [^:]+): ".*/s, '$1')
  return column === undefined || message.includes(column) ? message : `column ${column}: ${message}`
}

// Node's own codes, and what pg says when the connection is gone, which has no code.
const isOfTheConnection = (error: unknown): boolean =>
  error instanceof Error &&
  (/^E[A-Z_]+$/.test((error as NodeJS.ErrnoException).code ?? '') ||
    /connection|socket|timeout|terminated|not queryable/i.test(error.message))
