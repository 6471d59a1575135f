/** What an operator sees of a gate: why the route's sink is not written to, since and until when. */
export interface GateState {
  readonly error: Error
  readonly attempts: number
  /** Monotonic, milliseconds. */
  readonly since: number
  readonly until: number
}

/**
 * The circuit breaker of one route. Closed, loads pass. A failed load opens it for a backoff; then one load passes as a
 * probe, and only its success lets the others follow. So a sink that is away is tried once a backoff, not once a lane.
 *
 * ```
 * closed --failed--> open --until--> half open (one probe) --succeeded--> closed
 *                      ^------------------failed----------------'
 * ```
 */
export class RouteGate {
  readonly #waitMs: (error: Error, attempt: number) => number
  #state: GateState | undefined
  #probing = false

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

  departed(): void {
    if (this.#state) this.#probing = true
  }

  succeeded(): void {
    this.#state = undefined
    this.#probing = false
  }

  failed(error: Error, now: number): void {
    const attempts = (this.#state?.attempts ?? 0) + 1
    this.#probing = false
    this.#state = { error, attempts, since: this.#state?.since ?? now, until: now + this.#waitMs(error, attempts) }
  }
}
