import { spawnSync } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync, closeSync, cpSync, existsSync, mkdtempSync, openSync } from 'node:fs'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import pg from 'pg'
import { freePorts } from './free-ports.ts'
import { spawnOnLifeLine } from './life-line.ts'
import { installPostgres } from './postgres-installation.ts'
import type { PostgresInstallation } from './postgres-installation.ts'

const startedWithinMs = 30_000
const endedWithinMs = 20_000
const knockAgainAfterMs = 20
const logTailLines = 40
const password = 'not-a-secret'

export interface PostgresServerOptions {
  /** Lines of postgresql.conf over ours. */
  readonly settings?: Readonly<Record<string, string>>
  /** Lines of pg_hba.conf before ours. */
  readonly access?: readonly string[]
  /** Files in the data folder by name, such as keys, which only its owner may read. */
  readonly files?: Readonly<Record<string, string>>
  /** Another PostgreSQL than the one that came with npm. */
  readonly installation?: PostgresInstallation
}

/** How a server is shut down: `smart` waits for its clients, `fast` breaks their transactions off, `immediate` is a crash. */
export type PostgresStop = 'smart' | 'fast' | 'immediate'

const stopSignals = { smart: 'SIGTERM', fast: 'SIGINT', immediate: 'SIGQUIT' } as const

/** Starts a real PostgreSQL on a free loopback port, with empty data in a temporary folder. Up in a second. */
export async function startPostgres(options: PostgresServerOptions = {}): Promise<PostgresServer> {
  const installation = options.installation ?? installPostgres()
  const [port = 0] = await freePorts(1)
  const folder = mkdtempSync(join(tmpdir(), 'millrace-postgres-'))
  const server = new PostgresServer(installation, folder, port)
  try {
    makeData(installation, folder, options)
    await server.start()
  } catch (error) {
    await server.stop()
    throw error
  }
  return server
}

/** A server of one's own. It dies with the process that started it, however that ends. */
export class PostgresServer {
  readonly port: number
  /** As a superuser, over TCP, with a password. */
  readonly url: string
  readonly #installation: PostgresInstallation
  readonly #folder: string
  #process: ChildProcess | undefined
  #client: Promise<pg.Client> | undefined

  constructor(installation: PostgresInstallation, folder: string, port: number) {
    this.#installation = installation
    this.#folder = folder
    this.port = port
    this.url = this.urlOf('postgres')
  }

  /** Of the postmaster; undefined while it is down. */
  get pid(): number | undefined {
    return this.#process?.pid
  }

  /** Its data, for a test that writes certificates or configuration there. */
  get dataFolder(): string {
    return join(this.#folder, 'data')
  }

  urlOf(database: string, user = 'postgres', userPassword = password): string {
    return `postgres://${user}:${userPassword}@127.0.0.1:${this.port}/${database}`
  }

  /** Runs SQL as superuser on a connection of its own; several statements give the rows of the last. */
  async query<Row = Record<string, unknown>>(sql: string, values?: readonly unknown[]): Promise<Row[]> {
    this.#client ??= this.#connect()
    const client = await this.#client
    const result = (await client.query(sql, values as unknown[])) as unknown as pg.QueryResult | pg.QueryResult[]
    return (Array.isArray(result) ? result.at(-1)! : result).rows as Row[]
  }

  /** The same in another database, on a connection for this query alone. */
  async queryIn<Row = Record<string, unknown>>(database: string, sql: string): Promise<Row[]> {
    const client = new pg.Client({ connectionString: this.urlOf(database) })
    await client.connect()
    try {
      return (await client.query(sql)).rows as Row[]
    } finally {
      await client.end()
    }
  }

  /** A new, empty database, and its URL. */
  async createDatabase(name: string): Promise<string> {
    await this.query(`create database ${pg.escapeIdentifier(name)}`)
    return this.urlOf(name)
  }

  /** Starts it with the data and on the port it had. Resolves when it answers queries. */
  async start(): Promise<void> {
    const deadline = performance.now() + startedWithinMs
    for (;;) {
      if (this.#process === undefined || hasEnded(this.#process)) {
        // After a kill, children of the old postmaster may hold its shared memory for a moment.
        this.#process = this.#spawn()
      }
      try {
        this.#client = this.#connect()
        await this.#client
        return
      } catch (error) {
        this.#client = undefined
        if (performance.now() > deadline) {
          throw new Error(`PostgreSQL did not answer within ${startedWithinMs} ms:\n${this.log()}`, { cause: error })
        }
        await pause(knockAgainAfterMs)
      }
    }
  }

  async restart(mode: PostgresStop = 'fast'): Promise<void> {
    await this.shutDown(mode)
    await this.start()
  }

  async shutDown(mode: PostgresStop = 'fast'): Promise<void> {
    await this.#disconnect()
    await this.#end(stopSignals[mode])
  }

  /** kill -9 of the postmaster, at which its children end by themselves. `start` brings it back. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL')
    await this.#disconnect()
  }

  /** Ends it for good and removes its data. */
  async stop(): Promise<void> {
    await this.shutDown('immediate')
    rmSync(this.#folder, { recursive: true, force: true })
  }

  /**
   * A streaming standby of this server: read-only until `promote`. This one is shut down for a moment meanwhile, because
   * the copy is made of its files.
   */
  async startStandby(): Promise<PostgresServer> {
    await this.shutDown('fast')
    const [port = 0] = await freePorts(1)
    const folder = mkdtempSync(join(tmpdir(), 'millrace-postgres-'))
    cpSync(this.dataFolder, join(folder, 'data'), { recursive: true, preserveTimestamps: true })
    const standby = new PostgresServer(this.#installation, folder, port)
    const source = `host=127.0.0.1 port=${this.port} user=postgres password=${password}`
    appendFileSync(join(standby.dataFolder, 'postgresql.conf'), `primary_conninfo = '${source}'\n`)
    writeFileSync(join(standby.dataFolder, 'standby.signal'), '')
    giveTo(this.#installation.user, folder)
    await this.start()
    await standby.start()
    return standby
  }

  /** Makes a standby the one that takes writes. */
  async promote(): Promise<void> {
    await this.query('select pg_promote(true)')
  }

  /** The end of the server's own log. */
  log(): string {
    const file = join(this.#folder, 'server.log')
    if (!existsSync(file)) return '(no log)'
    return readFileSync(file, 'utf8').trimEnd().split('\n').slice(-logTailLines).join('\n')
  }

  #spawn(): ChildProcess {
    const log = openSync(join(this.#folder, 'server.log'), 'a')
    const command = [join(this.#installation.binaries, 'postgres'), '-D', this.dataFolder, '-p', String(this.port)]
    const { user } = this.#installation
    const child = spawnOnLifeLine(command, { stdio: [log, log], folder: this.#folder, user, env: environment })
    closeSync(log)
    return child
  }

  async #connect(): Promise<pg.Client> {
    const client = new pg.Client({ connectionString: this.url, connectionTimeoutMillis: 5_000 })
    // Of the server's end; the next query tells.
    client.on('error', () => (this.#client = undefined))
    await client.connect()
    // A test that sets the whole server to read-only must be able to take that back.
    await client.query('set default_transaction_read_only = off')
    return client
  }

  async #disconnect(): Promise<void> {
    const client = this.#client
    this.#client = undefined
    await client?.then((each) => each.end()).catch(() => undefined)
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#process
    this.#process = undefined
    if (child === undefined || hasEnded(child)) return
    child.ref()
    const exit = once(child, 'exit')
    const impatience = setTimeout(() => child.kill('SIGKILL'), endedWithinMs)
    child.kill(signal)
    await exit
    clearTimeout(impatience)
  }
}

const hasEnded = (child: ChildProcess): boolean => child.exitCode !== null || child.signalCode !== null

/** Messages in English, and no variable of the shell's that would tell PostgreSQL's programs something. */
const environment = { PATH: process.env['PATH'], LC_ALL: 'C', TZ: 'UTC' }

function makeData(installation: PostgresInstallation, folder: string, options: PostgresServerOptions): void {
  const { user } = installation
  const data = join(folder, 'data')
  const passwordFile = join(folder, 'password')
  writeFileSync(passwordFile, password)
  giveTo(user, folder)
  const args = ['-D', data, '-U', 'postgres', '-A', 'scram-sha-256', '-E', 'UTF8', '--no-locale', '--no-sync']
  const command = join(installation.binaries, 'initdb')
  const { status, stdout, stderr, error } = spawnSync(command, [...args, `--pwfile=${passwordFile}`], {
    encoding: 'utf8',
    env: environment,
    cwd: folder,
    timeout: startedWithinMs,
    ...user,
  })
  if (status !== 0) throw new Error(`initdb failed with ${status}:\n${stdout}${stderr}`, { cause: error })
  const settings = Object.entries({ ...defaults, ...options.settings }).map(([name, value]) => `${name} = '${value}'`)
  appendFileSync(join(data, 'postgresql.conf'), `${settings.join('\n')}\n`)
  for (const [name, text] of Object.entries(options.files ?? {})) writeFileSync(join(data, name), text, { mode: 0o600 })
  giveTo(user, folder)
  if (options.access !== undefined) {
    const file = join(data, 'pg_hba.conf')
    writeFileSync(file, `${options.access.join('\n')}\n${readFileSync(file, 'utf8')}`)
  }
}

/** Durable as ever: what is under test is what survives. Its socket files would need a folder that all can write. */
const defaults = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  max_connections: '60',
  wal_level: 'replica',
  // The default of Debian and Docker; initdb takes the machine's own, which varies.
  timezone: 'UTC',
}

function giveTo(user: PostgresInstallation['user'], folder: string): void {
  if (user === undefined) return
  const { status, stderr } = spawnSync('chown', ['-R', `${user.uid}:${user.gid}`, folder], { encoding: 'utf8' })
  if (status !== 0) throw new Error(`chown failed: ${stderr}`)
}
