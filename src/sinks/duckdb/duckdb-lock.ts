import { randomUUID } from 'node:crypto'
import {
  existsSync,
  linkSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { SinkRefusedError, SinkUnavailableError } from '../../errors.ts'

/** Who has a database open, as its lock file tells it. */
interface Holder {
  readonly pid: number
  /** The kernel's id of the thread: one that ended gave up its database, though its process lives on. */
  readonly thread: number
  /** When the thread started, in the kernel's ticks: ids come again, in a container nearly always. */
  readonly startedAt: string | undefined
  readonly token: string
}

/** A lock file whose holder is gone, and so is nobody's. */
interface Leftover {
  readonly file: string
  readonly token: string
}

/**
 * One opener of a database file, over threads and processes, by a file `<path>.lock` beside it. DuckDB's own lock is the
 * process's, so that within one process a second opener succeeds, sees only its own rows, and loses them (duckdb#18857).
 * The lock of a process or thread that is gone is taken over.
 */
export class DuckDbLock {
  readonly #database: string
  readonly #file: string
  readonly #token = randomUUID()

  /**
   * Throws naming the holder: SinkUnavailableError when it is another process, which may be a daemon that still closes;
   * SinkRefusedError when it is this one, whose config then has two openers.
   */
  constructor(path: string) {
    this.#database = realPath(path)
    this.#file = `${this.#database}.lock`
    const holder = this.#take()
    if (holder === undefined) return
    const own = holder.pid === process.pid
    const message =
      `${path} is open in ${own ? 'this very process' : `process ${holder.pid}`} already; a DuckDB file has one writer: ` +
      `stop the other, or give this one a file of its own (${this.#file})`
    throw own ? new SinkRefusedError(message) : new SinkUnavailableError(message)
  }

  /** Gives the file free, if it is still ours. */
  release(): void {
    if (readHolder(this.#file)?.token === this.#token) rmSync(this.#file, { force: true })
  }

  /** Undefined when the lock is ours now, else its holder. */
  #take(): Holder | undefined {
    const own = `${this.#file}.${this.#token}`
    try {
      // Written whole before it gets the lock's name: one that is read half written would pass for a leftover.
      writeFileSync(own, JSON.stringify({ ...thisThread(), token: this.#token } satisfies Holder), { flag: 'wx' })
      return this.#publish(own)
    } catch (cause) {
      throw new SinkRefusedError(`${this.#file} cannot be written (${codeOf(cause)})`, { cause })
    } finally {
      rmSync(own, { force: true })
    }
  }

  /**
   * Makes `own` the lock by link(2), which only one can do. A leftover is never removed first, because of two who find it
   * the second would remove the first one's lock: whoever links the leftover's successor, a name that follows from its
   * token, may replace it, if it still stands. A successor may be a leftover itself, and then has one of its own.
   */
  #publish(own: string): Holder | undefined {
    for (;;) {
      const leftovers: Leftover[] = []
      let file = this.#file
      while (!linked(own, file)) {
        const holder = readHolder(file)
        // Released between our two looks at it.
        if (holder === undefined) continue
        if (this.#holds(holder)) return holder
        leftovers.push({ file, token: holder.token })
        file = `${this.#file}.after-${holder.token}`
      }
      if (leftovers.length === 0) return undefined
      if (leftovers.every((each) => readHolder(each.file)?.token === each.token)) {
        renameSync(file, this.#file)
        for (const each of leftovers.slice(1)) rmSync(each.file, { force: true })
        return undefined
      }
      rmSync(file, { force: true })
    }
  }

  /** A thread of ours that ended has closed its database; if it has not, a second opener would lose rows. */
  #holds(holder: Holder): boolean {
    return isAlive(holder) || (holder.pid === process.pid && isOpenHere(this.#database))
  }
}

/** The file's own path whatever links lead to it, so that two names of it are one lock. */
function realPath(path: string): string {
  const absolute = resolve(path)
  if (existsSync(absolute)) return realpathSync(absolute)
  try {
    return join(realpathSync(dirname(absolute)), basename(absolute))
  } catch (cause) {
    throw new SinkRefusedError(
      `${path}: its folder ${dirname(absolute)} cannot be entered; make it, or mend the path`,
      { cause },
    )
  }
}

/** False when there is such a file already. */
function linked(existing: string, file: string): boolean {
  try {
    linkSync(existing, file)
    return true
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false
    throw error
  }
}

/** Undefined when there is no such file. One that a power cut left empty or torn has a holder that is gone. */
function readHolder(file: string): Holder | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Holder
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    if (error instanceof SyntaxError) return { pid: 0, thread: 0, startedAt: undefined, token: 'torn' }
    throw error
  }
}

function isAlive({ pid, thread, startedAt: since }: Holder): boolean {
  if (pid === 0) return false
  if (since !== undefined) return startedAt(pid, thread) === since
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return codeOf(error) === 'EPERM'
  }
}

function thisThread(): Omit<Holder, 'token'> {
  const thread = threadOf(process.pid)
  return { pid: process.pid, thread, startedAt: startedAt(process.pid, thread) }
}

/** Synchronous file calls run in the thread that makes them, so this link is its own (proc(5)): `PID/task/TID`. */
function threadOf(pid: number): number {
  try {
    return Number(basename(readlinkSync('/proc/thread-self')))
  } catch {
    return pid
  }
}

/** Field 22 of /proc/PID/task/TID/stat (proc(5)); undefined where there is no /proc, or no such thread. */
function startedAt(pid: number, thread: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/task/${thread}/stat`, 'utf8')
    // The second field is the name in parentheses, which may hold spaces and parentheses itself.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]
  } catch {
    return undefined
  }
}

/** True when this process, in whatever thread, has the file open. */
function isOpenHere(file: string): boolean {
  const links = readdirSync('/proc/self/fd').map((descriptor) => {
    try {
      return readlinkSync(`/proc/self/fd/${descriptor}`)
    } catch {
      // Closed since it was listed.
      return undefined
    }
  })
  return links.includes(file)
}

const codeOf = (error: unknown): string | undefined => (error as NodeJS.ErrnoException).code
