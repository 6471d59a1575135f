/** Why a load left: the label of its metric. */
export type FlushReason = 'bytes' | 'records' | 'age' | 'revoke' | 'shutdown' | 'suspect'

/** A lane with something to write and no load in flight, as the scheduler sees it. */
export interface ReadyLane {
  readonly route: string
  readonly bufferedBytes: number
  readonly bufferedRecords: number
  readonly oldestAt: number | undefined
  readonly draining: 'revoke' | 'shutdown' | undefined
  /** A record of it may end its worker. */
  readonly suspect: boolean
}

export interface LoadLimits {
  readonly maxBytes: number
  readonly maxRecords: number
  readonly lingerMs: number
}

export interface PlannedLoad<L> {
  readonly route: string
  readonly reason: FlushReason
  /** In the order given: the caller lists lanes least recently served first, which makes it round robin. */
  readonly lanes: readonly L[]
}

/**
 * The next load that is due, or when one may be. Lanes of one route share a load; a load leaves when its lanes hold enough
 * bytes or records, when the oldest record has waited `lingerMs`, or when a lane is being drained. A suspect lane goes alone and
 * at once. Pure: `now` is the
 * monotonic clock in milliseconds, and `blocked` names routes whose sink must not be tried now.
 */
export function planLoad<L extends ReadyLane>(
  ready: readonly L[],
  limitsOf: (route: string) => LoadLimits,
  now: number,
  blocked: (route: string) => boolean,
): { load: PlannedLoad<L> } | { dueAt: number } {
  let dueAt = Infinity
  for (const [route, lanes] of byRoute(ready)) {
    if (blocked(route)) continue
    const suspect = lanes.find((lane) => lane.suspect)
    if (suspect) return { load: { route, reason: 'suspect', lanes: [suspect] } }
    const limits = limitsOf(route)
    const reason = flushReason(lanes, limits, now)
    if (reason !== undefined) return { load: { route, reason, lanes: enough(lanes, limits) } }
    dueAt = Math.min(dueAt, ...lanes.map(({ oldestAt }) => (oldestAt ?? Infinity) + limits.lingerMs))
  }
  return { dueAt }
}

function flushReason(lanes: readonly ReadyLane[], limits: LoadLimits, now: number): FlushReason | undefined {
  let bytes = 0
  let records = 0
  let oldestAt = Infinity
  let draining: 'revoke' | 'shutdown' | undefined
  for (const lane of lanes) {
    bytes += lane.bufferedBytes
    records += lane.bufferedRecords
    oldestAt = Math.min(oldestAt, lane.oldestAt ?? Infinity)
    draining ??= lane.draining
  }
  if (bytes >= limits.maxBytes) return 'bytes'
  if (records >= limits.maxRecords) return 'records'
  if (draining) return draining
  return now >= oldestAt + limits.lingerMs ? 'age' : undefined
}

/** As many lanes as fill a load. A drained lane goes first: a whole group may be waiting for it. */
function enough<L extends ReadyLane>(lanes: readonly L[], limits: LoadLimits): L[] {
  const chosen: L[] = []
  let bytes = 0
  let records = 0
  for (const lane of [...lanes.filter((each) => each.draining), ...lanes.filter((each) => !each.draining)]) {
    if (chosen.length > 0 && (bytes >= limits.maxBytes || records >= limits.maxRecords)) break
    chosen.push(lane)
    bytes += lane.bufferedBytes
    records += lane.bufferedRecords
  }
  return chosen
}

function byRoute<L extends ReadyLane>(lanes: readonly L[]): Map<string, L[]> {
  const routes = new Map<string, L[]>()
  for (const lane of lanes) {
    const group = routes.get(lane.route)
    if (group) group.push(lane)
    else routes.set(lane.route, [lane])
  }
  return routes
}
