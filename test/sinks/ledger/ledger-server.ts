import { once } from 'node:events'
import { createServer } from 'node:net'
import type { AddressInfo, Server, Socket } from 'node:net'
import { onLines } from './ledger-lines.ts'

/** A position as the ledger keeps it, for one reader of one partition: the topic's ids and where each of them stands. */
export interface LedgerPosition {
  readonly epoch: number
  readonly topicId: string
  readonly next: Readonly<Record<string, number>>
}

/** A row: the place that it is from, and its values as texts. */
export interface LedgerRow {
  readonly partition: number
  readonly offset: number
  readonly values: Readonly<Record<string, string | null>>
}

/**
 * What a client asks: one JSON text a line, each answered in order. From `begin`, which locks the positions that it names, to
 * `commit` is a transaction; without one a request stands for itself.
 */
export type LedgerRequest =
  | { readonly do: 'hello' }
  | { readonly do: 'begin'; readonly keys: readonly string[] }
  | { readonly do: 'read'; readonly keys: readonly string[] }
  | { readonly do: 'rows'; readonly rows: readonly LedgerRow[] }
  | { readonly do: 'move'; readonly positions: Readonly<Record<string, LedgerPosition>> }
  | { readonly do: 'columns'; readonly columns: Readonly<Record<string, string>> }
  | { readonly do: 'commit' }
  | { readonly do: 'rollback' }

export interface LedgerReply {
  readonly done: string
  readonly positions?: Readonly<Record<string, LedgerPosition>>
  readonly columns?: Readonly<Record<string, string>>
  /** Rows that broke the rule, by their index in the request. */
  readonly refused?: readonly number[]
}

/** What is stored, or what a transaction would add to it. */
class Pages {
  readonly rows: LedgerRow[] = []
  readonly positions = new Map<string, LedgerPosition>()

  add({ rows, positions }: Pages): void {
    for (const row of rows) this.rows.push(row)
    for (const [key, position] of positions) this.positions.set(key, position)
  }
}

/**
 * The smallest server that has what a sink with positions needs: transactions, locks on positions, and a rule that rows may
 * break. The sinks of the bug zoo write to it over real sockets. A transaction ends with its connection.
 */
export class LedgerServer {
  /** Rows at these offsets break the table's rule. */
  refused: readonly number[] = []
  /** Takes no rows. */
  full = false
  /** Says that it forgets what it was told when it ends: no sink should trust it. */
  forgetful = false
  columns: Record<string, string> = {}
  stored = new Pages()
  readonly #locks = new Map<string, Session>()
  readonly #waiting = new Set<() => void>()
  readonly #sockets = new Set<Socket>()
  readonly #server: Server = createServer({ noDelay: true }, (socket) => this.#accept(socket))
  #port = 0

  get port(): number {
    return this.#port
  }

  async start(): Promise<void> {
    this.#server.listen(this.#port, '127.0.0.1')
    await once(this.#server, 'listening')
    this.#port = (this.#server.address() as AddressInfo).port
  }

  /** Breaks every connection, and with it all that was not committed. */
  stop(): void {
    this.#server.close()
    for (const socket of this.#sockets) socket.resetAndDestroy()
  }

  /** Keeps what is stored now; what it returns puts that back. */
  backUp(): () => void {
    const kept = new Pages()
    kept.add(this.stored)
    return () => {
      this.stored = kept
    }
  }

  async lock(keys: readonly string[], owner: Session): Promise<void> {
    // All or none: so nobody waits for one who waits for him.
    while (keys.some((key) => (this.#locks.get(key) ?? owner) !== owner)) {
      await new Promise<void>((free) => this.#waiting.add(free))
    }
    if (!owner.gone) for (const key of keys) this.#locks.set(key, owner)
  }

  unlock(owner: Session): void {
    for (const [key, holder] of this.#locks) if (holder === owner) this.#locks.delete(key)
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    for (const free of waiting) free()
  }

  #accept(socket: Socket): void {
    this.#sockets.add(socket)
    const session = new Session(this)
    let last: Promise<unknown> = Promise.resolve()
    socket.on('error', () => undefined)
    socket.on('close', () => {
      this.#sockets.delete(socket)
      session.end()
    })
    onLines(socket, (line) => {
      last = last.then(async () => {
        const reply = await session.answer(JSON.parse(line) as LedgerRequest)
        if (!socket.destroyed) socket.write(`${JSON.stringify(reply)}\n`)
      })
    })
  }
}

/** One connection's side of the server. */
class Session {
  gone = false
  readonly #server: LedgerServer
  #transaction: Pages | undefined

  constructor(server: LedgerServer) {
    this.#server = server
  }

  end(): void {
    this.gone = true
    this.#transaction = undefined
    this.#server.unlock(this)
  }

  async answer(request: LedgerRequest): Promise<LedgerReply> {
    const server = this.#server
    if (this.gone) return { done: 'NOTHING' }
    const pages = this.#transaction ?? server.stored
    switch (request.do) {
      case 'hello':
        return { done: server.forgetful ? 'FORGETFUL' : 'HELLO' }
      case 'begin':
        await server.lock(request.keys, this)
        this.#transaction = new Pages()
        return { done: 'BEGIN', positions: this.#read(request.keys) }
      case 'read':
        return { done: 'READ', positions: this.#read(request.keys) }
      case 'rows': {
        if (server.full) return { done: 'FULL' }
        const refused = request.rows.flatMap(({ offset }, index) => (server.refused.includes(offset) ? [index] : []))
        if (refused.length > 0) return { done: 'REFUSED', refused }
        for (const row of request.rows) pages.rows.push(row)
        return { done: 'ROWS' }
      }
      case 'move':
        for (const [key, position] of Object.entries(request.positions)) pages.positions.set(key, position)
        return { done: 'MOVED' }
      case 'columns':
        // As in a database, a column keeps the type that it has.
        server.columns = { ...request.columns, ...server.columns }
        return { done: 'COLUMNS', columns: server.columns }
      case 'commit':
        if (this.#transaction) server.stored.add(this.#transaction)
        this.#finish()
        return { done: 'COMMIT' }
      case 'rollback':
        this.#finish()
        return { done: 'ROLLBACK' }
    }
  }

  #read(keys: readonly string[]): Record<string, LedgerPosition> {
    const all = this.#server.stored.positions
    return Object.fromEntries(keys.flatMap((key) => (all.has(key) ? [[key, all.get(key)!]] : [])))
  }

  #finish(): void {
    this.#transaction = undefined
    this.#server.unlock(this)
  }
}
