import { MillraceError } from '../errors.ts'
import type { LaneWait, WaitReason } from '../lanes/lane-wait.ts'
import type { Lane } from '../lanes/lane.ts'

/** A lane as /api/status tells of it and `millrace lanes` prints it; times in milliseconds from the moment of the report. */
export interface LaneReport {
  readonly topic: string
  readonly partition: number
  readonly route: string
  readonly waiting: WaitReason
  readonly waitingMs: number
  /** Until it is tried again. */
  readonly nextTryMs: number | undefined
  /** Why it waits, where that is a fault. */
  readonly error: string | undefined
  /** Also of a fault that is over. */
  readonly lastError: { readonly code: string; readonly message: string; readonly agoMs: number } | undefined
  /** Everything below is durable or dead-lettered. */
  readonly durable: number | undefined
  readonly committed: number | undefined
  readonly lag: number | undefined
  /** The first record that is read and not yet durable. */
  readonly oldestOffset: number | undefined
  readonly bufferedRecords: number
  readonly inFlightRecords: number
}

export function reportLane(
  lane: Lane,
  { reason, since, until, error }: LaneWait,
  { committed, lag }: Pick<LaneReport, 'committed' | 'lag'>,
  now: number,
): LaneReport {
  const { lastFailure } = lane
  return {
    topic: lane.topic,
    partition: lane.partition,
    route: lane.route,
    waiting: reason,
    waitingMs: Math.round(now - since),
    nextTryMs: until && Math.max(0, Math.round(until - now)),
    error: error?.message,
    lastError: lastFailure && {
      code: lastFailure.error instanceof MillraceError ? lastFailure.error.code : 'UNKNOWN',
      message: lastFailure.error.message,
      agoMs: Math.round(now - lastFailure.at),
    },
    durable: lane.watermark,
    committed,
    lag,
    oldestOffset: lane.oldestOffset,
    bufferedRecords: lane.bufferedRecords,
    inFlightRecords: lane.inFlightRecords,
  }
}

const phrases: Readonly<Record<WaitReason, string>> = {
  'nothing to read': 'has nothing to read',
  kafka: 'waits for Kafka',
  batch: 'gathers a load',
  worker: 'waits for a free worker',
  sink: 'waits for its sink',
  'dead letters': 'waits for the dead-letter topic',
  retry: 'is tried again',
  probe: 'waits while its route is tried with another load',
  claim: 'waits to be claimed in its sink',
  operator: 'stands still until an operator acts',
  revoke: 'is being given up',
}

/** "Why is partition 7 not moving?" in one line. */
export function laneLine(lane: LaneReport): string {
  const { topic, partition, waiting, waitingMs, nextTryMs, error, lastError } = lane
  const next = nextTryMs === undefined ? '' : ` in ${duration(nextTryMs)}`
  const past =
    error === undefined && lastError ? [`last error ${duration(lastError.agoMs)} ago: ${lastError.message}`] : []
  const numbers = [
    lane.durable === undefined ? 'nothing durable yet' : `durable below ${lane.durable}`,
    ...(lane.oldestOffset === undefined ? [] : [`oldest on its way ${lane.oldestOffset}`]),
    ...(lane.lag === undefined ? [] : [`lag ${lane.lag}`]),
  ]
  return [
    `${topic}/${partition} ${phrases[waiting]}${next}, for ${duration(waitingMs)}`,
    ...(error === undefined ? [] : [error]),
    numbers.join(', '),
    ...past,
  ].join('; ')
}

function duration(ms: number): string {
  if (ms < 1000) return `${ms} ms`
  const seconds = Math.round(ms / 1000)
  if (seconds < 120) return `${seconds} s`
  return seconds < 7200 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`
}
