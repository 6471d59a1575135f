import type { PartCounts } from '../workers/messages.ts'

/**
 * The books of the process: each record that was read has exactly one fate, and the sum holds at any time:
 * read = written + deduplicated + deadLettered + skipped + givenUp + inFlight.
 */
export class Books {
  read = 0
  written = 0
  deduplicated = 0
  deadLettered = 0
  skipped = 0
  /** Read, then dropped unwritten: the next owner of the partition, or this process later, reads them again. */
  givenUp = 0
  inFlight = 0

  received(records: number): void {
    this.read += records
    this.inFlight += records
  }

  settled(counts: PartCounts): void {
    this.written += counts.rows
    this.deduplicated += counts.deduplicated
    this.deadLettered += counts.deadLettered
    this.skipped += counts.skipped
    this.inFlight -= counts.rows + counts.deduplicated + counts.deadLettered + counts.skipped
  }

  dropped(records: number): void {
    this.givenUp += records
    this.inFlight -= records
  }

  get balanced(): boolean {
    const fates = this.written + this.deduplicated + this.deadLettered + this.skipped + this.givenUp
    return this.inFlight >= 0 && this.read === fates + this.inFlight
  }
}
