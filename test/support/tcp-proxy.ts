import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import type { AddressInfo, Server, Socket } from 'node:net'
import { Pipe } from './tcp-pipe.ts'
import type { Verdict } from './tcp-pipe.ts'

/** Which way bytes go: `fromClient` is what the one who connected sends. */
export type Direction = 'fromClient' | 'fromServer'
const directions: readonly Direction[] = ['fromClient', 'fromServer']

/** Some bytes that have arrived at the proxy and have not been passed on. */
export interface Seen {
  readonly direction: Direction
  /** Of this proxy, from 1. */
  readonly connection: number
  readonly bytes: Buffer
}

export interface ProxyTarget {
  readonly port: number
  readonly host?: string
}

interface Connection {
  readonly pipes: Readonly<Record<Direction, Pipe>>
  cut(): void
}

/**
 * The network between a client and a server, on loopback, with its faults on demand. What is set holds for the connections
 * that there are and for those to come.
 */
export class TcpProxy {
  /** Where connections that are opened from now on lead: another server is a failover. */
  target: ProxyTarget
  /** Bytes that arrive from now on are so much later. */
  readonly delayMs: Record<Direction, number> = { fromClient: 0, fromServer: 0 }
  /** Asked about all bytes before they are passed on, while it is set. `cutBefore` and its like set it. */
  hook: ((seen: Seen) => Verdict) | undefined
  readonly #server: Server
  readonly #open = new Set<Connection>()
  readonly #holes = new Set<Direction>()
  #port: number
  #count = 0

  private constructor(target: ProxyTarget, port: number) {
    this.target = target
    this.#port = port
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => this.#accept(client))
  }

  static async start(target: ProxyTarget, port = 0): Promise<TcpProxy> {
    const proxy = new TcpProxy(target, port)
    await proxy.reopen()
    return proxy
  }

  get port(): number {
    return this.#port
  }

  /** How many connections are open now. */
  get connections(): number {
    return this.#open.size
  }

  /** Breaks every connection, as a reset does. New ones are let through. */
  cut(): void {
    for (const connection of [...this.#open]) connection.cut()
  }

  /**
   * Passes on so many more bytes of a direction, all connections taken together, and cuts the connection that has more.
   * Once. Resolves when that has been decided.
   */
  cutAfter(direction: Direction, bytes: number): Promise<void> {
    let left = bytes
    return this.#once((seen) => {
      if (seen.direction !== direction) return 'pass'
      const passing = left
      left -= seen.bytes.length
      return left < 0 ? { passing, then: 'cut' } : 'pass'
    })
  }

  /**
   * Cuts a connection when these bytes are seen in a direction, however they are divided, before the last of them is passed
   * on: so the reply to a COMMIT gets lost, and the COMMIT does not. Once. Resolves when that has been decided.
   */
  cutBefore(direction: Direction, marker: string | Uint8Array): Promise<void> {
    return this.#at('cut', direction, marker)
  }

  /** Holds back, on one connection and direction, what follows from where these bytes are seen. Once. Resolves then. */
  holdBefore(direction: Direction, marker: string | Uint8Array): Promise<void> {
    return this.#at('hold', direction, marker)
  }

  /** Passes on all that was held back, in order. */
  release(): void {
    for (const { pipes } of this.#open) for (const direction of directions) pipes[direction].release()
  }

  /**
   * Swallows what comes, by default in both directions, and lets nobody know: half-open connections. One that there is now
   * stays lost, because it lacks bytes; after `heal` new ones are let through.
   */
  blackHole(...these: readonly Direction[]): void {
    for (const direction of these.length > 0 ? these : directions) {
      this.#holes.add(direction)
      for (const { pipes } of this.#open) pipes[direction].swallow()
    }
  }

  /** No holes, delays or hook for what comes. */
  heal(): void {
    this.#holes.clear()
    this.hook = undefined
    for (const direction of directions) this.delayMs[direction] = 0
  }

  /** Refuses new connections; those that there are go on. */
  refuse(): void {
    this.#server.close()
  }

  /** Accepts connections, on the port it had before. */
  async reopen(): Promise<void> {
    this.#server.listen(this.#port, '127.0.0.1')
    await once(this.#server, 'listening')
    this.#port = (this.#server.address() as AddressInfo).port
  }

  /** Cuts everything and refuses new connections. */
  stop(): void {
    this.refuse()
    this.cut()
  }

  #accept(client: Socket): void {
    const number = ++this.#count
    const server = connect({ host: '127.0.0.1', noDelay: true, allowHalfOpen: true, ...this.target })
    const cut = () => {
      this.#open.delete(connection)
      for (const socket of [client, server]) {
        if (!socket.destroyed) socket.resetAndDestroy()
      }
    }
    const pipe = (direction: Direction, from: Socket, to: Socket) =>
      new Pipe(
        from,
        to,
        (bytes) => this.hook?.({ direction, connection: number, bytes }) ?? 'pass',
        () => this.delayMs[direction],
      )
    const connection: Connection = {
      pipes: { fromClient: pipe('fromClient', client, server), fromServer: pipe('fromServer', server, client) },
      cut,
    }
    this.#open.add(connection)
    for (const direction of this.#holes) connection.pipes[direction].swallow()
    for (const socket of [client, server]) {
      socket.on('error', cut)
      // One that was ended in both directions closes by itself; the other has been sent the end by then.
      socket.on('close', () => {
        if (client.destroyed && server.destroyed) this.#open.delete(connection)
      })
    }
  }

  #at(then: 'cut' | 'hold', direction: Direction, marker: string | Uint8Array): Promise<void> {
    const wanted = Buffer.from(marker)
    const tails = new Map<number, Buffer>()
    return this.#once((seen) => {
      if (seen.direction !== direction) return 'pass'
      const tail = tails.get(seen.connection)
      const all = tail ? Buffer.concat([tail, seen.bytes]) : seen.bytes
      if (all.includes(wanted)) return { passing: 0, then }
      // Too short for a marker of its own, so that none is seen twice.
      tails.set(seen.connection, Buffer.from(all.subarray(Math.max(0, all.length - wanted.length + 1))))
      return 'pass'
    })
  }

  #once(decide: (seen: Seen) => Verdict): Promise<void> {
    return new Promise((resolve) => {
      const hook = (seen: Seen): Verdict => {
        const verdict = decide(seen)
        if (verdict !== 'pass') {
          if (this.hook === hook) this.hook = undefined
          resolve()
        }
        return verdict
      }
      this.hook = hook
    })
  }
}
