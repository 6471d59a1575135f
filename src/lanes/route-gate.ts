/** What an operator sees of a gate: why the route's sink is not written to, since and until when. */
export interface GateState {
  readonly error: Error
  readonly attempts: number
  /** Monotonic, milliseconds. */
  readonly since: number
  readonly until: number
}

/** How a load passed, to be shown with its outcome. */
export type Passage = number

/**
 * The circuit breaker of one route. Closed, loads pass. A failed load opens it for a backoff; then one load passes as a
 * probe, and only its success lets the others follow. So a sink that is away is tried once a backoff, not once a lane.
 *
 * ```
 * closed --failed--> open --until--> half open (one probe) --succeeded--> closed
 *                      ^------------------failed----------------'
 * ```
 * A load that passed before the last failure tells of the time before it, however late it ends: of eight loads that meet
 * one outage one opens the gate, and the other seven neither prolong the wait nor end the probe.
 */
export class RouteGate {
  readonly #waitMs: (error: Error, attempt: number) => number
  #state: GateState | undefined
  #probing = false
  #failures = 0

  constructor(waitMs: (error: Error, attempt: number) => number) {
    this.#waitMs = waitMs
  }

  get state(): GateState | undefined {
    return this.#state
  }

  /** True while the one load that may pass a gate past its time is under way. */
  get probing(): boolean {
    return this.#probing
  }

  blocked(now: number): boolean {
    return this.#state !== undefined && (this.#probing || now < this.#state.until)
  }

  /** When a load may pass again; undefined when that depends on the probe under way, or one may pass now. */
  get opensAt(): number | undefined {
    return this.#probing ? undefined : this.#state?.until
  }

  /** A load passes. Its outcome is to be told, unless it says nothing of the sink while the gate is closed. */
  departed(): Passage {
    if (this.#state) this.#probing = true
    return this.#failures
  }

  succeeded(passage: Passage): void {
    if (passage !== this.#failures) return
    this.#state = undefined
    this.#probing = false
  }

  failed(passage: Passage, error: Error, now: number): void {
    if (passage !== this.#failures) return
    this.#failures++
    const attempts = (this.#state?.attempts ?? 0) + 1
    this.#probing = false
    this.#state = { error, attempts, since: this.#state?.since ?? now, until: now + this.#waitMs(error, attempts) }
  }
}
