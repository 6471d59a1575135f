import { randomUUID } from 'node:crypto'
import { existsSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { SinkRefusedError } from '../../errors.ts'

/** Who has a database open, as its lock file tells it. */
interface Holder {
  readonly pid: number
  /** When the process started, in the kernel's ticks: a pid comes again, in a container nearly always. */
  readonly startedAt: string | undefined
  readonly token: string
}

/**
 * One opener of a database file, over threads and processes, by a file `<path>.lock` beside it. DuckDB's own lock is the
 * process's, so that within one process a second opener succeeds, sees only its own rows, and loses them (duckdb#18857).
 * The lock of a process that is gone is taken over.
 */
export class DuckDbLock {
  readonly #file: string
  readonly #token = randomUUID()

  /** Throws SinkRefusedError naming the holder. */
  constructor(path: string) {
    this.#file = `${realPath(path)}.lock`
    if (this.#take() === undefined) return
    this.#removeIfStale()
    const holder = this.#take()
    if (holder === undefined) return
    const where = holder.pid === process.pid ? 'this very process' : `process ${holder.pid}`
    throw new SinkRefusedError(
      `${path} is open in ${where} already; a DuckDB file has one writer: stop the other, or give this one a file of its own (${this.#file})`,
    )
  }

  /** Gives the file free, if it is still ours. */
  release(): void {
    if (readHolder(this.#file)?.token === this.#token) rmSync(this.#file, { force: true })
  }

  /** Undefined when the lock is ours now, else its holder. */
  #take(): Holder | undefined {
    const mine: Holder = { pid: process.pid, startedAt: startedAt(process.pid), token: this.#token }
    try {
      writeFileSync(this.#file, JSON.stringify(mine), { flag: 'wx' })
      return undefined
    } catch (cause) {
      const { code } = cause as NodeJS.ErrnoException
      if (code !== 'EEXIST') throw new SinkRefusedError(`${this.#file} cannot be written (${code})`, { cause })
      return readHolder(this.#file) ?? { pid: 0, startedAt: undefined, token: '' }
    }
  }

  #removeIfStale(): void {
    const holder = readHolder(this.#file)
    if (holder !== undefined && isAlive(holder)) return
    rmSync(this.#file, { force: true })
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

/** Undefined when there is none, or when it was cut short by a crash while it was written. */
function readHolder(file: string): Holder | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Holder
  } catch {
    return undefined
  }
}

function isAlive({ pid, startedAt: since }: Holder): boolean {
  try {
    process.kill(pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
  return since === undefined || startedAt(pid) === since
}

/** Field 22 of /proc/PID/stat (proc(5)); undefined where there is no /proc. */
function startedAt(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The second field is the name in parentheses, which may hold spaces and parentheses itself.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]
  } catch {
    return undefined
  }
}
