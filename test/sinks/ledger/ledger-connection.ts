import { once } from 'node:events'
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { onLines } from './ledger-lines.ts'
import type { LedgerReply, LedgerRequest } from './ledger-server.ts'

/** One connection to a ledger: requests and replies in turn. One that failed is good for nothing more. */
export class LedgerConnection {
  readonly #socket: Socket
  #answer: { resolve(line: string): void; reject(error: Error): void } | undefined

  private constructor(socket: Socket) {
    this.#socket = socket
    onLines(socket, (line) => this.#answer?.resolve(line))
    socket.on('error', () => undefined)
    socket.on('close', () => this.#answer?.reject(new Error('the connection is gone')))
  }

  static async open(port: number, signal: AbortSignal): Promise<LedgerConnection> {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true })
    try {
      await once(socket, 'connect', { signal })
    } catch (error) {
      socket.destroy()
      throw error
    }
    return new LedgerConnection(socket)
  }

  async ask(request: LedgerRequest, signal: AbortSignal): Promise<LedgerReply> {
    const giveUp = () => this.close()
    signal.addEventListener('abort', giveUp)
    try {
      signal.throwIfAborted()
      if (this.#socket.destroyed) throw new Error('the connection is gone')
      const line = await new Promise<string>((resolve, reject) => {
        this.#answer = { resolve, reject }
        this.#socket.write(`${JSON.stringify(request)}\n`)
      })
      return JSON.parse(line) as LedgerReply
    } finally {
      signal.removeEventListener('abort', giveUp)
    }
  }

  close(): void {
    this.#socket.destroy()
  }
}
