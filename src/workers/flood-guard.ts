import { DeadLetterFloodError } from '../errors.ts'

interface Second {
  readonly at: number
  records: number
  letters: number
}

const windowMs = 60_000
/** Three bad records of five are no flood; as many as that are nobody's slip. */
const lettersMin = 100

/**
 * The breaker of the dead letters: when most of a route's records are bad, it is the schema or the producer and not the data,
 * and carrying a whole topic over would only hide that. Counts over a minute; once tripped, it stays so until a load comes
 * that is within the rate by itself. Pure: `now` is the monotonic clock in milliseconds.
 */
export class FloodGuard {
  readonly #maxRate: number
  readonly #routes = new Map<string, { seconds: Second[]; tripped: boolean }>()

  /** `maxRate` is the share of records that may be dead letters; with 1 it never trips. */
  constructor(maxRate: number) {
    this.#maxRate = maxRate
  }

  /** A load of the route is done: so many of its records are dead letters. */
  settled(route: string, records: number, letters: number, now: number): void {
    const { seconds } = this.#route(route, now)
    const last = seconds.at(-1)
    if (last && now - last.at < 1000) {
      last.records += records
      last.letters += letters
    } else seconds.push({ at: now, records, letters })
  }

  /** Undefined when the letters of a load may be stored; else why not. */
  refusal(route: string, records: number, letters: number, now: number): DeadLetterFloodError | undefined {
    if (this.#maxRate >= 1) return undefined
    const state = this.#route(route, now)
    const all = state.seconds.reduce((sum, second) => sum + second.records, records)
    const bad = state.seconds.reduce((sum, second) => sum + second.letters, letters)
    const flood = bad >= lettersMin && bad > this.#maxRate * all
    state.tripped = flood || (state.tripped && letters > this.#maxRate * records)
    if (!state.tripped) return undefined
    return new DeadLetterFloodError(
      `route ${route}: ${bad} of ${all} records in a minute are bad, more than deadLetters.maxRate (${this.#maxRate}) allows: ` +
        'a schema or a producer is wrong, so nothing more is dead-lettered; mend `decode`, or raise the rate if they really are bad',
    )
  }

  #route(route: string, now: number): { seconds: Second[]; tripped: boolean } {
    const state = this.#routes.get(route) ?? { seconds: [], tripped: false }
    state.seconds = state.seconds.filter(({ at }) => now - at < windowMs)
    this.#routes.set(route, state)
    return state
  }
}
