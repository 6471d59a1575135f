import type { Connection, Submittable } from 'pg'
import type { CopyBuffer, CopyBytes } from './copy-encoder.ts'

/** What pg hands to a query that is under way; its types know only the first. */
interface Wire extends Connection {
  endCopyFrom(): void
  sendCopyFail(reason: string): void
}

/** Written to the socket as a whole: large enough that neither side is woken too often, small enough to stay in the cache. */
const bufferBytes = 256 * 1024
/** One is encoded while the system sends the other. */
const buffersMax = 2
/** The head of a CopyData message: `d` and its length. */
const headBytes = 5

/** The buffers of one connection, taken up again by each COPY. */
export class CopyBuffers {
  readonly #free: CopyBuffer[] = Array.from({ length: buffersMax }, () => newBuffer(bufferBytes))

  take(): CopyBuffer | undefined {
    return this.#free.pop()
  }

  give(buffer: CopyBuffer): void {
    // One that was made for a huge row is not kept.
    if (buffer.bytes.length === bufferBytes) this.#free.push(buffer)
  }
}

const newBuffer = (size: number): CopyBuffer => {
  const bytes = Buffer.allocUnsafeSlow(size)
  return { bytes, view: new DataView(bytes.buffer) }
}

/**
 * COPY FROM STDIN as pg runs a query: begins with statements of which the last is the COPY, sends its bytes when the server
 * asks for them, each buffer as one message without another copy, and ends with the server's word.
 */
export class CopyIn implements Submittable {
  readonly done: Promise<void>
  readonly #statements: string
  readonly #source: CopyBytes
  readonly #buffers: CopyBuffers
  #resolve: () => void = () => undefined
  #reject: (error: Error) => void = () => undefined
  #ended = false
  #error: Error | undefined
  /** Called when a buffer is free again. */
  #onFree: () => void = () => undefined

  constructor(statements: string, source: CopyBytes, buffers: CopyBuffers) {
    this.#statements = statements
    this.#source = source
    this.#buffers = buffers
    this.done = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
  }

  submit(connection: Connection): void {
    connection.query(this.#statements)
  }

  handleCopyInResponse(connection: Connection): void {
    this.#send(connection as Wire).catch((error: unknown) => {
      // A fault of ours: the server is told, or it would wait for the rest.
      this.#error ??= error as Error
      ;(connection as Wire).sendCopyFail('the sender failed')
    })
  }

  /** The server does not wait for our end of the COPY: it ignores what is still on its way. Nothing is called after this. */
  handleError(error: Error): void {
    this.#ended = true
    this.#onFree()
    this.#reject(this.#error ?? error)
  }

  handleReadyForQuery(): void {
    this.#ended = true
    this.#resolve()
  }

  handleCommandComplete(): void {
    // Of the statements before; the COPY's own is followed by ReadyForQuery.
  }

  handleRowDescription(): void {
    // No statement before a COPY has rows.
  }

  handleDataRow(): void {
    // As above.
  }

  handleEmptyQuery(): void {
    // There are always statements.
  }

  handlePortalSuspended(): void {
    // Only of the extended protocol.
  }

  handleCopyData(): void {
    // Only of COPY TO.
  }

  async #send(connection: Wire): Promise<void> {
    let own: CopyBuffer | undefined
    for (;;) {
      const buffer = own ?? (await this.#buffer())
      own = undefined
      if (this.#ended) return this.#buffers.give(buffer)
      const end = this.#source.next(buffer, headBytes)
      if (end === undefined) {
        this.#buffers.give(buffer)
        // The head of the file, of the row's fields and of the message come on top.
        own = newBuffer(this.#source.bytesNeeded + 1024)
        continue
      }
      if (end === headBytes) {
        this.#buffers.give(buffer)
        return connection.endCopyFrom()
      }
      buffer.bytes[0] = 0x64
      buffer.view.setInt32(1, end - 1)
      connection.stream.write(buffer.bytes.subarray(0, end), () => {
        this.#buffers.give(buffer)
        this.#onFree()
      })
    }
  }

  async #buffer(): Promise<CopyBuffer> {
    for (;;) {
      const buffer = this.#buffers.take()
      if (buffer !== undefined) return buffer
      const freed = new Promise<void>((resolve) => (this.#onFree = resolve))
      await freed
      // After an error the buffers may come back late, or never, and are not needed.
      if (this.#ended) return newBuffer(headBytes)
    }
  }
}
