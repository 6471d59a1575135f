/** Smaller buffers are made this large. */
const bytesMin = 512
/** What was not needed for so long is left to the garbage collector. */
const sparesKeptMs = 10_000

/** Buffers of one size that nobody has. */
interface Spares {
  readonly buffers: ArrayBuffer[]
  /** So many of them, the longest-lying, were never needed since the last look. */
  idle: number
}

/**
 * The buffers that columns are made of, for use again and again: made anew for each load they would be most of what the
 * garbage collector has to do, and every page of them would come from the system. Sizes are powers of two, so that loads
 * of other lengths find them fit.
 *
 * Its bound is what the largest load took, or the loads under way at once: a buffer is made only where none of its size is
 * spare. What was too much of that for 10 to 20 seconds goes.
 */
export class ColumnMemory {
  readonly #spares = new Map<number, Spares>()
  /** Of the columns that are being filled. */
  #taken = new Set<ArrayBuffer>()
  #timer: NodeJS.Timeout | undefined

  /** Begins new columns. Those that were begun before and never handed over are nobody's. */
  begin(): void {
    const abandoned = this.#taken
    this.#taken = new Set()
    for (const buffer of abandoned) this.keep(buffer)
  }

  /** At least so many bytes, of any content. */
  take(bytes: number): ArrayBuffer {
    const size = bytes <= bytesMin ? bytesMin : 2 ** (32 - Math.clz32(bytes - 1))
    const spares = this.#spares.get(size)
    const buffer = spares?.buffers.pop() ?? new ArrayBuffer(size)
    if (spares !== undefined) spares.idle = Math.min(spares.idle, spares.buffers.length)
    this.#taken.add(buffer)
    return buffer
  }

  /** Gives a buffer back that the columns being filled have outgrown. */
  give(buffer: ArrayBuffer): void {
    if (this.#taken.delete(buffer)) this.keep(buffer)
  }

  /** Lets the columns go. What it returns takes their buffers back: once, however often it is called. */
  handOver(): () => void {
    let lent = this.#taken
    this.#taken = new Set()
    return () => {
      const back = lent
      lent = new Set()
      for (const buffer of back) this.keep(buffer)
    }
  }

  /** Keeps a buffer that nobody reads any more. One whose bytes were transferred to another thread has none left. */
  protected keep(buffer: ArrayBuffer): void {
    const size = buffer.byteLength
    if (size === 0) return
    let spares = this.#spares.get(size)
    if (spares === undefined) this.#spares.set(size, (spares = { buffers: [], idle: 0 }))
    spares.buffers.push(buffer)
    // It does not keep the process or the thread from ending.
    this.#timer ??= setInterval(() => this.#dropIdle(), sparesKeptMs).unref()
  }

  /** Bytes that nobody has. */
  get spareBytes(): number {
    let bytes = 0
    for (const [size, { buffers }] of this.#spares) bytes += size * buffers.length
    return bytes
  }

  #dropIdle(): void {
    for (const [size, spares] of this.#spares) {
      // Taken from the end: so those at the front were not.
      spares.buffers.splice(0, spares.idle)
      spares.idle = spares.buffers.length
      if (spares.idle === 0) this.#spares.delete(size)
    }
    if (this.#spares.size > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }
}
