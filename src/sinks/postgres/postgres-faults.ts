import type { Batch } from '../../decode/columns.ts'
import { MillraceError, SinkRefusedError, SinkUnavailableError } from '../../errors.ts'
import { faultKind, reasonOf, sqlState } from './sql-states.ts'

/** What an operator can do about a fault of the configuration, by SQLSTATE. */
const cures: Readonly<Record<string, string>> = {
  '42501': 'grant the role what it lacks',
  '42P01': 'the table or the control table is gone: restore it, or restart the daemon to have it made',
  '42703': 'a column is gone: restore it, or restart the daemon to have it made',
  '3F000': 'create the schema, or correct the name of the table',
  '28P01': 'correct `password`',
  '28000': "correct the user, or let pg_hba.conf's rules admit it",
  '3D000': "create the database, or correct the url's path",
  '0A000': 'write to a table that COPY can fill: one without row-level security, no view',
}

/** So often in a row an unknown error is taken for one that passes; then somebody must look. */
const unknownMax = 5

/** An error of a write or a claim in our terms: what may be waited for, and what an operator must mend. */
export class FaultReporter {
  readonly #shown: string
  #unknown = 0

  /** `shown` names the database, without its password. */
  constructor(shown: string) {
    this.#shown = shown
  }

  succeeded(): void {
    this.#unknown = 0
  }

  translate(error: unknown, doing: string): MillraceError {
    if (error instanceof MillraceError) return error
    const kind = faultKind(error)
    const state = sqlState(error)
    const message = `${this.#shown}: ${doing}: ${state === undefined ? '' : `${state} `}${reasonOf(error)}`
    if (kind === 'configuration') {
      return new SinkRefusedError(`${message}; ${cures[state ?? ''] ?? 'see the code in the manual of PostgreSQL'}`)
    }
    if (kind === 'transient') return new SinkUnavailableError(message)
    this.#unknown += 1
    if (this.#unknown < unknownMax) return new SinkUnavailableError(message, { cause: error })
    const cure = 'nothing is known of this error, and it does not pass: look at the server and its log'
    return new SinkRefusedError(`${message}; ${cure}`, { cause: error })
  }
}

/** `writing readings/3 offsets 100 to 199 and 4 more to readings` */
export function writing(batches: readonly Batch[]): string {
  const [first, ...others] = batches
  if (first === undefined) return 'writing'
  const more = others.length === 0 ? '' : ` and ${others.length} more`
  return `writing ${first.topic}/${first.partition} offsets ${first.base} to ${first.next - 1}${more} to ${first.table.name}`
}
