import type { ColumnMemory } from './column-memory.ts'

/** The rows that have no value. Allocates nothing before the first of them. */
export class ValidityBuilder {
  readonly #memory: ColumnMemory
  /** Bits of rows to come are set, so that a value costs nothing here. */
  #bits: Uint8Array<ArrayBuffer> | undefined
  #nullCount = 0

  constructor(memory: ColumnMemory) {
    this.#memory = memory
  }

  begin(): void {
    this.#bits = undefined
    this.#nullCount = 0
  }

  clear(row: number, capacity: number): void {
    const byteCount = (capacity + 7) >> 3
    if (this.#bits === undefined || this.#bits.length < byteCount) this.#bits = this.#grown(byteCount)
    this.#bits[row >> 3]! &= ~(1 << (row & 7))
    this.#nullCount++
  }

  rollback(from: number, end: number): void {
    if (this.#bits === undefined) return
    for (let row = from; row < end; row++) {
      const byte = this.#bits[row >> 3]
      const bit = 1 << (row & 7)
      if (byte === undefined || (byte & bit) !== 0) continue
      this.#bits[row >> 3] = byte | bit
      this.#nullCount--
    }
  }

  finish(rowCount: number): Uint8Array | undefined {
    const byteCount = (rowCount + 7) >> 3
    let bits = this.#nullCount === 0 ? undefined : this.#bits
    // Rows appended after the last null may lie beyond the bitmap when the column grew since.
    if (bits !== undefined && bits.length < byteCount) bits = this.#grown(byteCount)
    this.begin()
    return bits?.subarray(0, byteCount)
  }

  #grown(byteCount: number): Uint8Array<ArrayBuffer> {
    const grown = new Uint8Array(this.#memory.take(byteCount)).fill(0xff)
    if (this.#bits === undefined) return grown
    grown.set(this.#bits)
    this.#memory.give(this.#bits.buffer)
    return grown
  }
}
