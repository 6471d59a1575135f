import type { Socket } from 'node:net'

/** What the proxy decides about bytes that arrived: so many of them are passed on, and then that happens to the rest. */
export type Verdict = 'pass' | { readonly passing: number; readonly then: 'cut' | 'hold' | 'swallow' }

/** Bytes that wait for a delay or a release are bounded: at the bound the sender is not read. */
const waitingBytesMax = 1 << 20

/** One direction of a connection: the bytes of one socket on their way to the other. */
export class Pipe {
  readonly #from: Socket
  readonly #to: Socket
  readonly #waiting: { readonly bytes: Buffer; readonly dueAt: number }[] = []
  #waitingBytes = 0
  #state: 'open' | 'held' | 'hole' = 'open'
  #ended = false
  #timer: NodeJS.Timeout | undefined

  constructor(from: Socket, to: Socket, decide: (bytes: Buffer) => Verdict, delayMs: () => number) {
    this.#from = from
    this.#to = to
    from.on('data', (bytes: Buffer) => {
      const verdict = this.#state === 'open' ? decide(bytes) : 'pass'
      if (verdict === 'pass') return this.#take(bytes, delayMs())
      this.#take(bytes.subarray(0, verdict.passing), delayMs())
      if (verdict.then === 'swallow') return this.swallow()
      if (verdict.then === 'cut') return this.#cut()
      this.#state = 'held'
      this.#take(bytes.subarray(verdict.passing), delayMs())
    })
    from.on('end', () => {
      this.#ended = true
      this.#send()
    })
    to.on('drain', () => this.#send())
    to.on('close', () => clearTimeout(this.#timer))
  }

  /** All that comes is lost from now on, and what waits too. */
  swallow(): void {
    this.#state = 'hole'
    this.#waiting.length = 0
    this.#waitingBytes = 0
    this.#from.resume()
  }

  release(): void {
    if (this.#state !== 'held') return
    this.#state = 'open'
    this.#send()
  }

  #take(bytes: Buffer, delayMs: number): void {
    if (this.#state === 'hole' || bytes.length === 0) return
    this.#waiting.push({ bytes, dueAt: performance.now() + delayMs })
    this.#waitingBytes += bytes.length
    if (this.#waitingBytes > waitingBytesMax) this.#from.pause()
    this.#send()
  }

  /** A reset would throw away what the receiver has not read yet: it gets an end after it, and the sender the reset. */
  #cut(): void {
    this.#send()
    this.#to.destroySoon()
    this.#from.resetAndDestroy()
  }

  #send(): void {
    clearTimeout(this.#timer)
    while (this.#state === 'open' && !this.#to.writableNeedDrain) {
      const first = this.#waiting[0]
      if (first === undefined) break
      const waitMs = first.dueAt - performance.now()
      if (waitMs > 0) {
        this.#timer = setTimeout(() => this.#send(), waitMs)
        return
      }
      this.#waiting.shift()
      this.#waitingBytes -= first.bytes.length
      if (!this.#to.destroyed) this.#to.write(first.bytes)
    }
    if (this.#waitingBytes <= waitingBytesMax) this.#from.resume()
    if (this.#ended && this.#state === 'open' && this.#waiting.length === 0) this.#to.end()
  }
}
