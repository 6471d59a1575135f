import pg from 'pg'
import type { QueryResult } from 'pg'
import { messageChain, SinkRefusedError, SinkUnavailableError } from '../../errors.ts'
import { CopyBuffers, CopyIn } from './copy-in.ts'
import type { CopyBytes } from './copy-encoder.ts'
import { hostText } from './postgres-address.ts'
import type { PostgresAddress } from './postgres-address.ts'
import { faultKind } from './sql-states.ts'

const connectMaxMs = 10_000
/** The server's own deadlines, in its transactions: `set local` passes a PgBouncer that hands a server on after each. */
export const limits = { statementMs: 60_000, lockMs: 5_000, idleMs: 30_000 }
/** When the server has not kept its own deadline, the connection is dead and nobody told us. */
const answerMaxMsDefault = limits.statementMs + 10_000
const keepAliveMs = 10_000

/** What begins every transaction. Text is UTF-8 on the wire, whatever the database keeps it in. */
export const begin = [
  'begin',
  `set local statement_timeout = ${limits.statementMs}`,
  `set local lock_timeout = ${limits.lockMs}`,
  `set local idle_in_transaction_session_timeout = ${limits.idleMs}`,
  `set local client_encoding = 'UTF8'`,
].join('; ')

/** Rows of texts, as the simple protocol has them. */
export type Rows = readonly Readonly<Record<string, string | null>>[]

// Every value stays the text that came: a bigint would lose digits.
const types = { getTypeParser: () => (text: string) => text } as unknown as pg.CustomTypesConfig

/**
 * One connection to the server that takes writes. It keeps no state between transactions and names no statements, so a
 * pooler may stand between. Every wait has a deadline, whose end destroys the socket: a half-open one would never tell.
 */
export class PostgresConnection {
  /** The host that was reached. */
  readonly host: string
  readonly #client: pg.Client
  readonly #answerMaxMs: number
  readonly #buffers = new CopyBuffers()
  #gone = false

  private constructor(client: pg.Client, host: string, answerMaxMs: number) {
    this.#client = client
    this.host = host
    this.#answerMaxMs = answerMaxMs
    // Told to whoever waits; without a listener it would end the process.
    client.on('error', () => (this.#gone = true))
    client.on('end', () => (this.#gone = true))
  }

  /** Connects to the first host that takes writes. Rejects with what each of them said. */
  static async open(address: PostgresAddress, answerMaxMs = answerMaxMsDefault): Promise<PostgresConnection> {
    const refusals: { host: string; error: unknown }[] = []
    for (const at of address.hosts) {
      try {
        return await PostgresConnection.#reach(address, at, answerMaxMs)
      } catch (error) {
        refusals.push({ host: hostText(at), error })
      }
    }
    const said = refusals.map(({ host, error }) => `${host}: ${messageChain(error)}`).join('; ')
    const message = `${address.shown} cannot be reached: ${said}`
    const refused = refusals.every(({ error }) => faultKind(error) === 'configuration' || isOfTls(error))
    throw refused ? new SinkRefusedError(message) : new SinkUnavailableError(message)
  }

  static async #reach(
    address: PostgresAddress,
    at: PostgresAddress['hosts'][number],
    answerMaxMs: number,
  ): Promise<PostgresConnection> {
    const { tls, tlsMayLack } = address
    let client = newClient(address, at, tls)
    try {
      await client.connect()
    } catch (error) {
      if (!tlsMayLack || !/does not support SSL/.test((error as Error).message)) throw error
      client = newClient(address, at, undefined)
      await client.connect()
    }
    const connection = new PostgresConnection(client, hostText(at), answerMaxMs)
    try {
      const [row] = await connection.query(`select current_setting('transaction_read_only') as read_only`)
      if (row?.['read_only'] === 'on') throw new SinkUnavailableError('takes no writes: a standby, or set to read-only')
      return connection
    } catch (error) {
      connection.destroy()
      throw error
    }
  }

  get usable(): boolean {
    return !this.#gone
  }

  /** Runs statements in one round trip; gives the rows of the last. */
  async query(statements: string): Promise<Rows> {
    return (await this.queryAll(statements)).at(-1)!.rows
  }

  /** Runs statements in one round trip; gives the result of each. */
  async queryAll(statements: string): Promise<QueryResult<Rows[number]>[]> {
    const asked = this.#client.query({ text: statements, types }) as Promise<unknown>
    const results = (await this.#inTime(asked)) as QueryResult | QueryResult[]
    return Array.isArray(results) ? results : [results]
  }

  /** Runs statements, of which the last is a COPY FROM STDIN of these bytes, in one round trip. */
  async copy(statements: string, source: CopyBytes): Promise<void> {
    const copy = new CopyIn(statements, source, this.#buffers)
    this.#client.query(copy)
    await this.#inTime(copy.done)
  }

  /** Ends in order, when nothing is under way. */
  async close(): Promise<void> {
    if (this.#gone) return
    await this.#inTime(this.#client.end()).catch(() => undefined)
    this.destroy()
  }

  /** Whoever waits for an answer is told at once; the server rolls back what was open. */
  destroy(reason = 'the connection was given up'): void {
    this.#gone = true
    socketOf(this.#client).destroy(new Error(reason))
  }

  async #inTime<T>(answer: Promise<T>): Promise<T> {
    const timer = setTimeout(
      () => this.destroy(`connection to ${this.host} gave no answer in ${this.#answerMaxMs / 1000} s`),
      this.#answerMaxMs,
    )
    try {
      return await answer
    } finally {
      clearTimeout(timer)
    }
  }
}

function newClient(
  { database, user, password, applicationName }: PostgresAddress,
  { host, port }: PostgresAddress['hosts'][number],
  ssl: PostgresAddress['tls'],
): pg.Client {
  return new pg.Client({
    host,
    port,
    database,
    user,
    // A function, because pg looks into ~/.pgpass where there is no text.
    password: () => password,
    ssl: ssl ?? false,
    application_name: applicationName,
    connectionTimeoutMillis: connectMaxMs,
    keepAlive: true,
    keepAliveInitialDelayMillis: keepAliveMs,
  })
}

const socketOf = (client: pg.Client) =>
  (client as unknown as { connection: { stream: { destroy(error: Error): void } } }).connection.stream

/** A certificate that is not trusted, or of another name: that does not pass by waiting. */
const isOfTls = (error: unknown): boolean =>
  error instanceof Error &&
  /certificate|self.signed|CERT_|ERR_TLS|does not support SSL/i.test(
    `${error.message} ${(error as NodeJS.ErrnoException).code ?? ''}`,
  )
