import type { Encoding } from './entry.ts'
import type { Topics } from './topics.ts'

/** What a target is told of the run. */
export interface Setting {
  readonly folder: string
  /** Through the proxy. */
  readonly bootstrap: string
  readonly group: string
  readonly topics: Topics
  /** Where rows go, as the target's own configuration says it: of a store behind its proxy. */
  readonly sink: SinkPlace
  /** Records of a load at the most. */
  readonly loadRecordsMax: number
}

export type SinkPlace =
  { readonly type: 'duckdb'; readonly path: string } | { readonly type: 'postgres'; readonly url: string }

/** What members of a target tell of themselves, summed over all their lives; undefined where one cannot tell. */
export interface Told {
  readonly fencesFired: number | undefined
  readonly replaysAbsorbed: number | undefined
  readonly retries: number | undefined
  readonly revokesDuringWrite: number | undefined
  /** How often the failures fired that members were started with, by place. */
  readonly ownFaultsFired: Readonly<Record<string, number>>
  /** Lives that ended with a broken assertion. */
  readonly brokenAssertions: number
  /** Lives that ended unasked, by exit code or signal. */
  readonly unaskedEnds: Readonly<Record<string, number>>
  /** What they said last. */
  readonly lastWords: readonly string[]
}

/**
 * A system under test: some members of one consumer group that write to one store. Members that end unasked are started again,
 * as a supervisor would.
 */
export interface Target {
  readonly name: string
  readonly encoding: Encoding
  /** Kinds of fault that this target's own switches are needed for. */
  readonly ownFaults: readonly string[]
  start(member: number, own?: OwnFault): Promise<void>
  /** SIGTERM; resolves at the exit. */
  stop(member: number): Promise<void>
  /** SIGKILL; resolves at the exit. True when a load was under way just before. */
  kill(member: number): Promise<boolean>
  signal(member: number, signal: 'SIGSTOP' | 'SIGCONT'): void
  running(): number[]
  residentBytes(): number
  /** Asks the members for what `told` tells; called now and then. */
  look(): Promise<void>
  told(): Told
  /** What members say of themselves now, for a run that does not come to its end. */
  status(): Promise<string>
  /** The last of what members printed, for a report of a failed run. */
  output(): string
}

/** A failure that the target inflicts on itself, at the given hit of a place in its code. */
export interface OwnFault {
  readonly place: string
  readonly action: string
  readonly hit: number
}
