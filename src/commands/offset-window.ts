/** Offsets as ranges: `17-19, 25`, in the order in which they come. */
export class OffsetRanges {
  count = 0
  readonly #ranges: { first: number; last: number }[] = []
  /** More ranges than anybody reads are counted and not kept. */
  readonly #max: number

  constructor(max = 1000) {
    this.#max = max
  }

  /** Offsets must rise. */
  add(offset: number): void {
    this.count++
    const open = this.#ranges.at(-1)
    if (open && open.last === offset - 1) open.last = offset
    else if (this.#ranges.length < this.#max) this.#ranges.push({ first: offset, last: offset })
  }

  get text(): string {
    const shown = this.#ranges.map(({ first, last }) => (first === last ? `${first}` : `${first}-${last}`)).join(', ')
    const kept = this.#ranges.reduce((sum, { first, last }) => sum + last - first + 1, 0)
    return kept < this.count ? `${shown} and ${this.count - kept} more` : shown
  }
}

/** What became of the offsets of a partition, summed up window by window. */
export class Fates {
  rows = 0
  deadLetters = 0
  skipped = 0
  /** Offsets at which the log has no record: control records, aborted, compacted. */
  holes = 0
  /** Rows whose records the log does not have (any more): compacted or expired since they were written. */
  rowsOfHoles = 0
  readonly lost = new OffsetRanges()
  readonly doubled = new OffsetRanges()
}

const delivered = 1
const isNull = 2
const row = 4
const rowAgain = 8
const deadLetter = 16

/** The offsets [start, end) of a partition and what was seen of each: a byte an offset, whatever the log's length. */
export class OffsetWindow {
  readonly start: number
  readonly end: number
  readonly #seen: Uint8Array

  constructor(start: number, end: number) {
    this.start = start
    this.end = end
    this.#seen = new Uint8Array(end - start)
  }

  /** The log has a record here; `valueIsNull` for a tombstone. */
  markRecord(offset: number, valueIsNull: boolean): void {
    this.#seen[offset - this.start]! |= valueIsNull ? delivered | isNull : delivered
  }

  markRow(offset: number): void {
    const index = offset - this.start
    this.#seen[index]! |= this.#seen[index]! & row ? rowAgain : row
  }

  markDeadLetter(offset: number): void {
    this.#seen[offset - this.start]! |= deadLetter
  }

  /** Adds what became of each offset. `skipsNulls`: the route leaves tombstones out. */
  settle(fates: Fates, skipsNulls: boolean): void {
    for (let index = 0; index < this.#seen.length; index++) {
      const seen = this.#seen[index]!
      const offset = this.start + index
      const isRow = (seen & row) !== 0
      const isDead = (seen & deadLetter) !== 0
      if (isRow) fates.rows++
      if (isDead) fates.deadLetters++
      if ((seen & rowAgain) !== 0 || (isRow && isDead)) fates.doubled.add(offset)
      if ((seen & delivered) === 0) {
        fates.holes++
        if (isRow) fates.rowsOfHoles++
      } else if (!isRow && !isDead) {
        if (skipsNulls && (seen & isNull) !== 0) fates.skipped++
        else fates.lost.add(offset)
      }
    }
  }
}
