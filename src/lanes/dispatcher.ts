import { WorkerDiedError } from '../errors.ts'
import { failPoint, failPointsArmed } from '../fail-points.ts'
import type { LoadResult, PartCounts, PartOutcome, TaskPart } from '../workers/messages.ts'
import type { LaneSet } from './lane-set.ts'
import type { Lane, LanePart, SplitSlab } from './lane.ts'
import { RouteGate } from './route-gate.ts'
import type { GateState, Passage } from './route-gate.ts'
import { planLoad } from './scheduler.ts'
import type { FlushReason, LoadLimits, PlannedLoad } from './scheduler.ts'

/** The workers of a route's sink, as the dispatcher needs them. */
export interface LoadRunner {
  /** So many loads at once. */
  readonly loadsMax: number
  /** Loads run side by side in one thread: one that ends it takes others along. */
  readonly threadsShared: boolean
  readonly limits: LoadLimits
  load(route: string, parts: readonly TaskPart[]): Promise<LoadResult>
}

/** What the dispatcher tells of; none may throw. Lanes may be closed by then: their rows are durable all the same. */
export interface DispatchEvents {
  departed(route: string, reason: FlushReason, parts: readonly LanePart[]): void
  /** A part is durable; its bytes are free again. */
  durable(lane: Lane, part: LanePart, counts: PartCounts): void
  /** The sink could not take a part: it is kept and tried again when the route's gate opens. */
  retry(lane: Lane, error: Error): void
  /** The lane's load is gone and its position unknown or moved: claim it again and read on from there. */
  lost(lane: Lane, part: LanePart, why: 'resync' | 'fenced' | 'worker', error: Error | undefined): void
  /** The lane stands still until an operator acts: what was durable before was told by `durable`. */
  stopped(lane: Lane, error: Error): void
  finished(route: string, result: LoadResult): void
}

/**
 * Takes loads from ready lanes to the workers and their outcomes back to the lanes. A sink gets at most as many loads at
 * once as its threads can have, so nothing queues behind a slow one; what waits stays in its lane, within the lane's bound.
 */
export class Dispatcher {
  readonly #lanes: LaneSet
  readonly #runnerOf: (route: string) => LoadRunner
  readonly #events: DispatchEvents
  readonly #reviveError: (outcome: PartOutcome & { kind: 'retry' | 'stopped' }) => Error
  readonly #gates = new Map<string, RouteGate>()
  readonly #waitMs: (error: Error, attempt: number) => number
  readonly #split: SplitSlab
  readonly #loads = new Map<LoadRunner, number>()
  /** Runners that get no load for now, with whoever waits until they have none. */
  readonly #held = new Map<LoadRunner, () => void>()
  #scheduled = false
  #timer: NodeJS.Timeout | undefined

  constructor(options: {
    lanes: LaneSet
    runnerOf: (route: string) => LoadRunner
    waitMs: (error: Error, attempt: number) => number
    reviveError: (outcome: PartOutcome & { kind: 'retry' | 'stopped' }) => Error
    split: SplitSlab
    events: DispatchEvents
  }) {
    this.#lanes = options.lanes
    this.#runnerOf = options.runnerOf
    this.#waitMs = options.waitMs
    this.#reviveError = options.reviveError
    this.#split = options.split
    this.#events = options.events
  }

  /** Why a route is not written to; undefined when it is. */
  gateState(route: string): GateState | undefined {
    return this.#gates.get(route)?.state
  }

  /** True while one load tries a route that failed, and the others wait for its end. */
  probing(route: string): boolean {
    return this.#gates.get(route)?.probing ?? false
  }

  /** True while the route's sink has all the loads that it takes at once, or may get none. */
  busy(route: string): boolean {
    const runner = this.#runnerOf(route)
    return this.#held.has(runner) || this.loadsInFlight(runner) >= runner.loadsMax
  }

  loadsInFlight(runner: LoadRunner): number {
    return this.#loads.get(runner) ?? 0
  }

  /** Lets no more load depart to the runner, until `release`. True when none is in flight any more, false after the deadline. */
  async hold(runner: LoadRunner, withinMs: number): Promise<boolean> {
    let timer: NodeJS.Timeout | undefined
    const quiet = new Promise<boolean>((resolve) => {
      this.#held.set(runner, () => resolve(true))
      timer = setTimeout(() => resolve(false), withinMs)
    })
    if (this.loadsInFlight(runner) === 0) this.#held.get(runner)!()
    return quiet.finally(() => clearTimeout(timer))
  }

  release(runner: LoadRunner): void {
    this.#held.delete(runner)
    this.wake()
  }

  /** Something changed: looks for due loads once this turn of the event loop is over, however often it was called. */
  wake(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    setImmediate(() => {
      this.#scheduled = false
      this.#dispatch()
    })
  }

  stop(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  #dispatch(): void {
    clearTimeout(this.#timer)
    for (;;) {
      const now = performance.now()
      const ready = [...this.#lanes].filter((lane) => lane.ready)
      const limitsOf = (route: string) => this.#runnerOf(route).limits
      const blocked = (route: string) => this.busy(route) || this.#keepsApart(route) || this.#gate(route).blocked(now)
      const plan = planLoad(ready, limitsOf, now, blocked)
      if ('load' in plan) {
        this.#depart(plan.load)
        continue
      }
      const dueAt = Math.min(plan.dueAt, ...ready.map(({ route }) => this.#gate(route).opensAt ?? Infinity))
      // A gate that is past its time and a due load both wait for a free worker, whose end wakes us.
      if (dueAt < Infinity && dueAt > now) this.#timer = setTimeout(() => this.#dispatch(), Math.ceil(dueAt - now))
      return
    }
  }

  #depart({ route, reason, lanes }: PlannedLoad<Lane>): void {
    const runner = this.#runnerOf(route)
    const { maxBytes, maxRecords } = runner.limits
    const taken: { lane: Lane; part: LanePart }[] = []
    let bytes = 0
    let records = 0
    for (const lane of lanes) {
      lane.cutHead(this.#split)
      // Something is left for each of them: all before the last one do not fill the load.
      const part = lane.take(maxBytes - bytes, maxRecords - records)
      bytes += part.bytes
      records += part.records
      taken.push({ lane, part })
      this.#lanes.served(lane)
    }
    this.#loads.set(runner, this.loadsInFlight(runner) + 1)
    const passage = this.#gate(route).departed()
    this.#events.departed(
      route,
      reason,
      taken.map(({ part }) => part),
    )
    void this.#run(route, passage, runner, taken)
  }

  async #run(
    route: string,
    passage: Passage,
    runner: LoadRunner,
    taken: readonly { lane: Lane; part: LanePart }[],
  ): Promise<void> {
    const parts = taken.map(({ lane, part }) => ({
      topic: lane.topic,
      partition: lane.partition,
      epoch: lane.epoch,
      base: part.base,
      next: part.next,
      slabs: part.slabs.map(({ buffer }) => buffer),
      deadLettered: part.deadLettered,
      quarantine: part.quarantine,
    }))
    let result: LoadResult | undefined
    let failure: Error | undefined
    try {
      if (failPointsArmed) await failPoint('before-dispatch')
      const reply = await runner.load(route, parts)
      if (failPointsArmed) await failPoint('after-reply-before-watermark')
      result = reply
    } catch (error) {
      failure = error as Error
    }
    this.#loads.set(runner, this.loadsInFlight(runner) - 1)
    if (this.loadsInFlight(runner) === 0) this.#held.get(runner)?.()
    if (result === undefined) {
      // The worker died with the load: written or not is unknown, so the sink is asked where it stands.
      this.#died(route, passage, taken, failure!)
    } else {
      const failed = result.outcomes.find((outcome) => outcome.kind === 'retry')
      if (failed) this.#gate(route).failed(passage, this.#reviveError(failed), performance.now())
      else this.#gate(route).succeeded(passage)
      taken.forEach(({ lane, part }, index) => this.#settle(lane, part, result.outcomes[index]!))
      this.#events.finished(route, result)
    }
    this.wake()
  }

  #died(route: string, passage: Passage, taken: readonly { lane: Lane; part: LanePart }[], failure: Error): void {
    const blamed = failure instanceof WorkerDiedError && failure.blamesRecords
    // While one bad record is looked for, its neighbours in other partitions go on.
    const expected = blamed && taken.length === 1 && taken[0]!.lane.suspect
    const gate = this.#gate(route)
    if (!expected || gate.state) gate.failed(passage, failure, performance.now())
    for (const { lane, part } of taken) {
      if (blamed) lane.suspectLoad(taken.length === 1, failure.code)
      this.#lose(lane, part, 'worker', failure)
    }
  }

  #settle(lane: Lane, part: LanePart, outcome: PartOutcome): void {
    switch (outcome.kind) {
      case 'durable':
        lane.settle(outcome.next, outcome.counts)
        this.#events.durable(lane, part, outcome.counts)
        // Another writer was further on: what is buffered overlaps with what it wrote, so it is read again from there.
        if (outcome.next > part.next) this.#lose(lane, part, 'resync', undefined)
        return
      case 'retry': {
        const slabs = part.slabs.map((slab, index) => ({ ...slab, buffer: outcome.slabs[index]! }))
        const error = this.#reviveError(outcome)
        lane.putBack(slabs, outcome.deadLettered)
        lane.failed(error, this.gateState(lane.route)?.until)
        this.#events.retry(lane, error)
        return
      }
      case 'stopped': {
        const error = this.#reviveError(outcome)
        lane.settle(outcome.next, outcome.counts)
        this.#events.durable(lane, part, outcome.counts)
        // Its partition may have another lane by now, which must not be stopped for this one.
        if (lane.closed) return
        lane.stop(error)
        this.#events.stopped(lane, error)
        return
      }
      default:
        this.#lose(lane, part, outcome.kind, undefined)
    }
  }

  #lose(lane: Lane, part: LanePart, why: 'resync' | 'fenced' | 'worker', error: Error | undefined): void {
    lane.abandon()
    if (error) lane.failed(error)
    if (!lane.closed && lane.stopReason === undefined) this.#events.lost(lane, part, why, error)
  }

  /** True while loads must go one by one: a suspect one may end its thread, and who shares it would be suspect too. */
  #keepsApart(route: string): boolean {
    const runner = this.#runnerOf(route)
    if (!runner.threadsShared || this.loadsInFlight(runner) === 0) return false
    return [...this.#lanes].some((lane) => lane.suspect && this.#runnerOf(lane.route) === runner)
  }

  #gate(route: string): RouteGate {
    let gate = this.#gates.get(route)
    if (gate === undefined) {
      gate = new RouteGate(this.#waitMs)
      this.#gates.set(route, gate)
    }
    return gate
  }
}
