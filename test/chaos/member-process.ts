import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { setTimeout as pause } from 'node:timers/promises'
import { spawnOnLifeLine } from '../support/life-line.ts'

const linesKept = 200
const restartAfterMs = 300
const endedWithinMs = 30_000

export interface MemberCommand {
  readonly command: readonly string[]
  readonly env: NodeJS.ProcessEnv
  readonly onLine: (line: string) => void
}

/** One member of a target: its process, started again when it ends unasked. */
export class MemberProcess {
  readonly #describe: (first: boolean) => MemberCommand
  readonly #onUnasked: (how: string) => void
  readonly lines: string[] = []
  #child: ChildProcess | undefined
  #wanted = false

  /** `describe` tells the command of each life; `first` is true for the one that was asked for, not for restarts. */
  constructor(describe: (first: boolean) => MemberCommand, onUnasked: (how: string) => void) {
    this.#describe = describe
    this.#onUnasked = onUnasked
  }

  get pid(): number | undefined {
    return this.#child?.pid
  }

  start(): void {
    this.#wanted = true
    this.#spawn(true)
  }

  /** Resolves when it has ended; a SIGTERM that it does not heed becomes a SIGKILL. */
  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    this.#wanted = false
    const child = this.#child
    this.#child = undefined
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const exit = once(child, 'exit')
    const impatience = setTimeout(() => {
      this.#onUnasked('SIGTERM not heeded')
      child.kill('SIGKILL')
    }, endedWithinMs)
    child.kill(signal)
    await exit
    clearTimeout(impatience)
    if (signal === 'SIGTERM' && child.exitCode !== 0 && child.exitCode !== 75) {
      this.#onUnasked(`after SIGTERM: ${child.exitCode ?? child.signalCode}`)
    }
  }

  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal)
  }

  /** As the system tells it; 0 when it does not run. */
  residentBytes(): number {
    const pid = this.pid
    if (pid === undefined) return 0
    try {
      const [, pages] = readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')
      return Number(pages) * 4096
    } catch {
      return 0
    }
  }

  #spawn(first: boolean): void {
    const { command, env, onLine } = this.#describe(first)
    const child = spawnOnLifeLine(command, { stdio: ['pipe', 'pipe'], env })
    this.#child = child
    for (const stream of [child.stdout!, child.stderr!]) {
      createInterface({ input: stream }).on('line', (line) => {
        this.lines.push(line)
        if (this.lines.length > linesKept) this.lines.splice(0, this.lines.length - linesKept)
        onLine(line)
      })
    }
    child.on('exit', (code, signal) => {
      if (child !== this.#child || !this.#wanted) return
      this.#onUnasked(String(signal ?? code))
      void pause(restartAfterMs).then(() => {
        if (child === this.#child && this.#wanted) this.#spawn(false)
      })
    })
  }
}
