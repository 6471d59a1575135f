import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { packageRoot } from '../../src/package-root.ts'
import { MemberProcess } from './member-process.ts'
import type { OwnFault, Setting, Target, Told } from './target.ts'
import { sourceTopics } from './topics.ts'

const internalError = '70'
const lastWordsLines = 3

/** What /metrics told last of one life; the life may end before it is asked again. */
interface Figures {
  readonly fenced: number
  readonly deduplicated: number
  readonly retries: number
  readonly loadsInFlight: number
}

const none: Figures = { fenced: 0, deduplicated: 0, retries: 0, loadsInFlight: 0 }

/** This project's daemon, as its users run it. */
export class MillraceTarget implements Target {
  readonly name = 'millrace'
  readonly encoding = 'protobuf'
  readonly ownFaults = ['worker-exit', 'main-stall', 'kill-in-commit', 'lost-sink-reply', 'slow-revoke']
  readonly #setting: Setting
  readonly #cli: string
  readonly #members = new Map<number, MemberProcess>()
  readonly #adminUrls = new Map<number, string>()
  #sum = none
  readonly #current = new Map<number, Figures>()
  readonly #unaskedEnds: Record<string, number> = {}
  #brokenAssertions = 0
  #revokesDuringWrite = 0
  readonly #ownFaultsFired: Record<string, number> = {}
  readonly #lastWords: string[] = []
  #expectedEnds = 0

  /** `cli` is another build of the daemon, for planted bugs. */
  constructor(setting: Setting, cli = fileURLToPath(new URL('dist/src/cli.js', packageRoot))) {
    this.#setting = setting
    this.#cli = cli
  }

  async start(member: number, own?: OwnFault): Promise<void> {
    const file = join(this.#setting.folder, `member-${member}.json`)
    writeFileSync(file, JSON.stringify(config(this.#setting)))
    if (own?.action === 'kill') this.#expectedEnds++
    const process = new MemberProcess(
      (first) => ({
        command: [globalThis.process.execPath, this.#cli, 'run', '--config', file],
        env: first && own ? { ...cleanEnvironment, ...variables(own) } : cleanEnvironment,
        onLine: (line) => this.#onLine(member, line),
      }),
      (how) => this.#onUnasked(how, process.lines.slice(-lastWordsLines)),
    )
    this.#members.set(member, process)
    process.start()
  }

  async stop(member: number): Promise<void> {
    await this.#end(member, 'SIGTERM')
  }

  async kill(member: number): Promise<boolean> {
    await this.#ask(member)
    const busy = (this.#current.get(member)?.loadsInFlight ?? 0) > 0
    await this.#end(member, 'SIGKILL')
    return busy
  }

  signal(member: number, signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.#members.get(member)?.signal(signal)
  }

  running(): number[] {
    return [...this.#members.keys()]
  }

  residentBytes(): number {
    return Math.max(0, ...[...this.#members.values()].map((member) => member.residentBytes()))
  }

  async look(): Promise<void> {
    await Promise.all(this.running().map((member) => this.#ask(member)))
  }

  told(): Told {
    return {
      fencesFired: this.#sum.fenced,
      replaysAbsorbed: this.#sum.deduplicated,
      retries: this.#sum.retries,
      revokesDuringWrite: this.#revokesDuringWrite,
      ownFaultsFired: this.#ownFaultsFired,
      brokenAssertions: this.#brokenAssertions,
      unaskedEnds: this.#unaskedEnds,
      lastWords: this.#lastWords,
    }
  }

  async status(): Promise<string> {
    const told = [...this.#adminUrls].map(async ([member, url]) => {
      const at = new URL('/api/status', url)
      const text = await fetch(at, { signal: AbortSignal.timeout(5000) }).then(
        (reply) => reply.text(),
        (error: Error) => String(error),
      )
      return `member ${member}: ${text}`
    })
    return (await Promise.all(told)).join('\n')
  }

  output(): string {
    return [...this.#members].map(([member, { lines }]) => `member ${member}:\n${lines.join('\n')}`).join('\n')
  }

  async #end(member: number, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const process = this.#members.get(member)
    await process?.end(signal)
    this.#members.delete(member)
    this.#retire(member)
  }

  #retire(member: number): void {
    this.#current.delete(member)
    this.#adminUrls.delete(member)
  }

  #onLine(member: number, line: string): void {
    const open = /"url":"([^"]+)","msg":"admin port open"/.exec(line)
    if (open) {
      this.#retire(member)
      this.#adminUrls.set(member, open[1]!)
    }
    const [, fired] = /^fail point (\S+) hit/.exec(line) ?? []
    if (fired !== undefined) this.#ownFaultsFired[fired] = (this.#ownFaultsFired[fired] ?? 0) + 1
    if (line.includes('"msg":"partitions given up"') && (this.#current.get(member)?.loadsInFlight ?? 0) > 0) {
      this.#revokesDuringWrite++
    }
  }

  #onUnasked(how: string, lines: readonly string[]): void {
    if (how === internalError) this.#brokenAssertions++
    if (this.#expectedEnds > 0 && how === 'SIGKILL') {
      this.#expectedEnds--
      return
    }
    this.#lastWords.push(...lines.map((line) => `${how}: ${line}`))
    this.#unaskedEnds[how] = (this.#unaskedEnds[how] ?? 0) + 1
  }

  async #ask(member: number): Promise<void> {
    const url = this.#adminUrls.get(member)
    if (url === undefined) return
    try {
      const text = await (await fetch(url, { signal: AbortSignal.timeout(500) })).text()
      const value = (name: string) =>
        [...text.matchAll(new RegExp(`^millrace_${name}(?:\\{[^}]*\\})? (\\S+)$`, 'gm'))].reduce(
          (sum, [, each]) => sum + Number(each),
          0,
        )
      const before = this.#current.get(member) ?? none
      const now: Figures = {
        fenced: value('fenced_total'),
        deduplicated: value('records_deduplicated_total'),
        retries: value('load_retries_total'),
        loadsInFlight: value('loads_in_flight'),
      }
      this.#current.set(member, now)
      // A series goes with its partition, so a sum may fall: only what it rises by counts.
      const rise = (figure: 'fenced' | 'deduplicated' | 'retries') =>
        this.#sum[figure] + Math.max(0, now[figure] - before[figure])
      this.#sum = { ...now, fenced: rise('fenced'), deduplicated: rise('deduplicated'), retries: rise('retries') }
    } catch {
      // It does not answer now: stopped, stalled or just starting.
    }
  }
}

/** Our environment without what speaks to the tests or would configure every daemon. */
const cleanEnvironment = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !name.startsWith('MILLRACE_')),
)

const variables = ({ place, action, hit }: OwnFault) => ({
  MILLRACE_TEST: '1',
  MILLRACE_FAIL_POINTS: `${place}=${action}@${hit}`,
})

function config({ bootstrap, group, topics, sink, loadRecordsMax }: Setting): object {
  return {
    kafka: {
      brokers: bootstrap,
      group,
      properties: {
        'session.timeout.ms': 6000,
        'max.poll.interval.ms': 10_000,
        'topic.metadata.refresh.interval.ms': 2000,
        'reconnect.backoff.max.ms': 1000,
        'socket.timeout.ms': 8000,
        'message.timeout.ms': 6000,
      },
    },
    routes: [
      {
        topics: sourceTopics(topics),
        decode: {
          format: 'protobuf',
          files: [fileURLToPath(new URL('test/chaos/chaos.proto', packageRoot))],
          message: 'chaos.v1.Entry',
        },
        sink: 'sink',
        table: 'entries',
        metadata: ['topic', 'partition', 'offset'],
      },
    ],
    sinks: { sink },
    deadLetters: { topic: topics.dead },
    batch: { maxRecords: loadRecordsMax, lingerMs: 50 },
    commit: { intervalMs: 200 },
    rebalance: { drainMs: 3000 },
    shutdown: { deadlineMs: 8000 },
    memory: { maxBytes: 128 * 1024 * 1024 },
    admin: { port: 0 },
    log: { level: 'info', format: 'json' },
  }
}
