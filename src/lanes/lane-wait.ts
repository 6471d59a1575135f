import type { Lane } from './lane.ts'
import type { GateState } from './route-gate.ts'

/**
 * What a lane waits for: the label of a metric, so there are no others.
 *
 * - nothing to read: what the log has is done.
 * - kafka: the log has more and nothing comes, because the broker is away or answers with an error.
 * - batch: for more records or `batch.lingerMs`.
 * - worker: every thread of its sink has a load.
 * - sink: its load is being decoded and written.
 * - dead letters: its load has records that the dead-letter topic has not acknowledged.
 * - retry: its route is tried again at a known time, after a failure.
 * - probe: its route is being tried with a load of other lanes.
 * - claim: the sink has not yet said where it begins.
 * - operator: it stands still, with the reason.
 * - revoke: it is done and about to be given up.
 */
export const waitReasons = [
  'nothing to read',
  'kafka',
  'batch',
  'worker',
  'sink',
  'dead letters',
  'retry',
  'probe',
  'claim',
  'operator',
  'revoke',
] as const
export type WaitReason = (typeof waitReasons)[number]

export interface LaneWait {
  readonly reason: WaitReason
  /** Times on the monotonic clock. */
  readonly since: number
  /** When it is tried again; undefined when nobody can know. */
  readonly until: number | undefined
  /** Why it waits, where that is a fault. */
  readonly error: Error | undefined
}

/** What a lane does not know of itself. */
export interface LaneSurroundings {
  /** The circuit breaker of its route; undefined while loads pass. */
  readonly gate: GateState | undefined
  readonly probing: boolean
  /** Every thread of its sink has a load. */
  readonly busy: boolean
  /** Dead letters of it are on their way to their topic. */
  readonly storing: boolean
  /** Records in the log above what is durable. */
  readonly lag: number | undefined
  /** Why nothing comes from Kafka; undefined when it answers. */
  readonly kafka: Error | undefined
}

/** Why a lane makes no step just now. */
export function laneWait(lane: Lane, around: LaneSurroundings): LaneWait {
  const { gate } = around
  const wait = (reason: WaitReason, more: Partial<LaneWait> = {}): LaneWait => {
    return { reason, since: lane.changedAt, until: undefined, error: undefined, ...more }
  }
  switch (lane.waiting) {
    case 'operator':
      return wait('operator', { error: lane.stopReason })
    case 'claim': {
      const { error, until } = lane.lastFailure ?? {}
      return wait('claim', { error, until })
    }
    case 'load':
      return wait(around.storing ? 'dead letters' : 'sink')
    case 'scheduler':
      if (gate) {
        const more = { since: gate.since, error: gate.error }
        return around.probing ? wait('probe', more) : wait('retry', { ...more, until: gate.until })
      }
      return wait(around.busy ? 'worker' : 'batch')
    case 'nothing to read':
      if (lane.draining) return wait('revoke')
      return around.kafka && around.lag ? wait('kafka', { error: around.kafka }) : wait('nothing to read')
    case 'closed':
      return wait('revoke')
  }
}

/** Longer than any pause that the reader or a fetch makes by itself. */
const silenceMaxMs = 60_000

/**
 * True when a lane should move and does not: the log has more, and it waits for nothing that has a name, a deadline and a
 * cure of its own. Only a restart helps then.
 */
export function isStalled(
  lane: Pick<Lane, 'progressedAt'>,
  { reason }: Pick<LaneWait, 'reason'>,
  lag: number | undefined,
  lingerMs: number,
  now: number,
): boolean {
  const unexplained = reason === 'nothing to read' || reason === 'batch'
  return unexplained && (lag ?? 0) > 0 && now - lane.progressedAt > silenceMaxMs + lingerMs
}
