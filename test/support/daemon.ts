import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { spawnOnLifeLine } from './life-line.ts'

const cli = fileURLToPath(new URL('../../src/cli.js', import.meta.url))
/** Our environment without what speaks to the tests or would configure every daemon. */
export const cleanEnvironment = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !name.startsWith('MILLRACE_')),
)
const startedWithinMs = 60_000
const askAgainAfterMs = 10

interface LogLine {
  readonly msg: string
  readonly [key: string]: unknown
}

/** A real `millrace run` of the test's own: another process, as its users run it. */
export class Daemon {
  static readonly #running = new Set<Daemon>()
  readonly #child: ChildProcess
  readonly #lines: LogLine[] = []
  readonly #errors: string[] = []
  readonly #watchers = new Set<() => void>()

  private constructor(child: ChildProcess) {
    this.#child = child
    createInterface({ input: child.stdout! }).on('line', (line) => {
      this.#lines.push(JSON.parse(line) as LogLine)
      for (const watcher of this.#watchers) watcher()
    })
    createInterface({ input: child.stderr! }).on('line', (line) => this.#errors.push(line))
    Daemon.#running.add(this)
    child.on('exit', () => {
      Daemon.#running.delete(this)
      for (const watcher of this.#watchers) watcher()
    })
  }

  /** Writes the config to `file`, starts the daemon with it and `env`, and waits until its admin port is open. */
  static async start(file: string, config: object, env: NodeJS.ProcessEnv = {}): Promise<Daemon> {
    const withDefaults = { admin: { port: 0 }, log: { level: 'info', format: 'json' }, ...config }
    writeFileSync(file, JSON.stringify(withDefaults))
    const daemon = new Daemon(
      spawnOnLifeLine([process.execPath, cli, 'run', '--config', file], {
        stdio: ['pipe', 'pipe'],
        env: { ...cleanEnvironment, ...env },
      }),
    )
    await daemon.logged('admin port open')
    return daemon
  }

  /** Ends what a failed test has left running; for `after`, because a child keeps the test process alive. */
  static async endAll(): Promise<void> {
    await Promise.all([...Daemon.#running].map((daemon) => daemon.kill()))
  }

  get pid(): number {
    return this.#child.pid!
  }

  /** All that it told so far, for a failed assertion. */
  get output(): string {
    return [...this.#lines.map((line) => JSON.stringify(line)), ...this.#errors].join('\n')
  }

  /** Resolves with the first line of this message, told already or to come. Rejects when the process ends without it. */
  async logged(message: string, matches: (line: LogLine) => boolean = () => true): Promise<LogLine> {
    const find = () => this.#lines.find((line) => line.msg === message && matches(line))
    const deadline = performance.now() + startedWithinMs
    for (;;) {
      const found = find()
      if (found) return found
      const left = deadline - performance.now()
      if (this.#ended || left <= 0) throw new Error(`the daemon never said «${message}»:\n${this.output}`)
      await this.#change(left)
    }
  }

  /** Where its metrics are; other pages of its admin port lie beside them. */
  async adminUrl(): Promise<string> {
    return ((await this.logged('admin port open')) as unknown as { url: string }).url
  }

  /** The sum of a metric's series, as /metrics tells it now; 0 while there are none. */
  async metric(name: string): Promise<number> {
    const text = await (await fetch(await this.adminUrl())).text()
    const values = [...text.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, 'gm'))].map(([, value]) =>
      Number(value),
    )
    return values.reduce((sum, value) => sum + value, 0)
  }

  /** Resolves when the metric's sum has reached `least`. Rejects when the process ends before. */
  async metricReaches(name: string, least: number, withinMs = 120_000, everyMs = askAgainAfterMs): Promise<void> {
    const deadline = performance.now() + withinMs
    for (;;) {
      if (this.#ended) throw new Error(`the daemon ended before ${name} reached ${least}:\n${this.output}`)
      const value = await this.metric(name).catch(() => 0)
      if (value >= least) return
      if (performance.now() > deadline) {
        throw new Error(`${name} is ${value}, not ${least}, after ${withinMs} ms:\n${this.output}`)
      }
      await pause(everyMs)
    }
  }

  /** SIGTERM, and its exit code. */
  async stop(): Promise<number | null> {
    return this.#end('SIGTERM')
  }

  async kill(): Promise<void> {
    await this.#end('SIGKILL')
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  get #ended(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null
  }

  async #end(signal: NodeJS.Signals): Promise<number | null> {
    if (!this.#ended) {
      const exit = once(this.#child, 'exit')
      this.#child.kill(signal)
      await exit
    }
    return this.#child.exitCode
  }

  async #change(withinMs: number): Promise<void> {
    let watcher: () => void = () => undefined
    const changed = new Promise<void>((resolve) => (watcher = resolve))
    this.#watchers.add(watcher)
    const timer = setTimeout(watcher, withinMs)
    await changed
    clearTimeout(timer)
    this.#watchers.delete(watcher)
  }
}

/** Runs the command line to its end. */
export async function runCli(args: readonly string[], env: NodeJS.ProcessEnv = cleanEnvironment) {
  const child = spawn(process.execPath, [cli, ...args], { stdio: ['ignore', 'pipe', 'pipe'], env })
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (part: Buffer) => (stdout += part.toString()))
  child.stderr.on('data', (part: Buffer) => (stderr += part.toString()))
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, stdout, stderr }
}
