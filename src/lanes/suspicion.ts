import type { Quarantine } from '../workers/messages.ts'

/** A load of a lane, as far as suspicion needs it. */
export interface SuspectLoad {
  readonly first: number
  readonly next: number
  readonly records: number
}

/** Sixteen loads find the sixteenth with the record in it, at the cost of one worker: fewer deaths than halves would take. */
const cuts = 16
/** Once may be chance, and twice too while threads keep ending for a reason of their own, such as memory running short. */
const deathsBeforeQuarantine = 3

/**
 * Finds the record that ends its worker, from nothing but which loads did. What such a load held is suspect:
 *
 * ```
 * load of several lanes died --> each lane alone --died--> in sixteenths --died--> ... --> one record alone
 *                                       |                      |                             | died again
 *                                       v passed               v passed: the next one        v
 *                                  beyond suspicion        of the range                 quarantine
 * ```
 * Pure: knows offsets and counts only.
 */
export class Suspicion {
  /** The offset after the range in which the record is; undefined: nothing is suspect. */
  #until: number | undefined
  #recordsMax = Infinity
  #alone: { readonly offset: number; readonly deaths: number; readonly code: string } | undefined

  get active(): boolean {
    return this.#until !== undefined
  }

  /** A load may not hold more records. */
  get recordsMax(): number {
    return this.#recordsMax
  }

  /** The load ended its worker. `alone`: it held nothing of other lanes. */
  died({ first, next, records }: SuspectLoad, alone: boolean, code: string): void {
    this.#until = next
    if (!alone) this.#recordsMax = Math.min(this.#recordsMax, records)
    else if (records > 1) this.#recordsMax = Math.ceil(records / cuts)
    else this.#alone = { offset: first, deaths: this.#alone?.offset === first ? this.#alone.deaths + 1 : 1, code }
  }

  /** Everything below `next` got through. */
  passed(next: number): void {
    if (this.#until === undefined || next < this.#until) return
    this.#until = undefined
    this.#recordsMax = Infinity
    this.#alone = undefined
  }

  /** What is to become of the record at this offset, if it is found to be the one. */
  quarantineOf(offset: number): Quarantine | undefined {
    if (this.#alone?.offset !== offset || this.#alone.deaths < deathsBeforeQuarantine) return undefined
    const { code, deaths } = this.#alone
    const did = code === 'WORKER_HUNG' ? 'its worker came to no end' : 'its worker ended'
    return { code, reason: `alone in a load, ${did}, ${deaths} times` }
  }
}
