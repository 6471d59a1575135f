import { loadConfig } from '../config/load.ts'
import { ConfigError, DaemonUnreachableError } from '../errors.ts'
import { laneLine } from '../observe/lane-report.ts'
import type { LaneReport } from '../observe/lane-report.ts'
import { exitCodes } from '../shutdown.ts'
import { sinkOptions } from '../sinks/sink-catalog.ts'

const answerWithinMs = 5_000

export interface LanesOptions {
  readonly config: string | undefined
  readonly url: string | undefined
}

/** `millrace lanes`: asks a running daemon what each of its partitions waits for. One line a lane. Resolves with the exit code. */
export async function lanes(options: LanesOptions, print: (line: string) => void): Promise<number> {
  const url = new URL('/api/status', options.url ?? adminUrl(options.config))
  const status = await ask(url)
  if (status.lanes.length === 0) print('no partition is assigned to this daemon')
  const sorted = [...status.lanes].sort((a, b) =>
    a.topic === b.topic ? a.partition - b.partition : a.topic < b.topic ? -1 : 1,
  )
  for (const lane of sorted) print(laneLine(lane))
  return exitCodes.ok
}

function adminUrl(file: string | undefined): string {
  if (file === undefined) {
    throw new ConfigError('command line', [{ path: '', message: 'say which daemon: --config FILE or --url URL' }])
  }
  const { admin } = loadConfig(file, { env: process.env, sinkOptions })
  const fault = !admin.enabled ? 'is closed: admin.enabled is false' : admin.port === 0 ? 'is any free one' : undefined
  if (fault) {
    const message = `the admin port ${fault}; name it with --url, as the daemon's first log lines tell it`
    throw new ConfigError(file, [{ path: 'admin.port', message }])
  }
  const everywhere = admin.host === '0.0.0.0' || admin.host === '::'
  const host = everywhere ? '127.0.0.1' : admin.host.includes(':') ? `[${admin.host}]` : admin.host
  return `http://${host}:${admin.port}`
}

async function ask(url: URL): Promise<{ readonly lanes: readonly LaneReport[] }> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(answerWithinMs) })
    if (!response.ok) throw new Error(`it answers ${response.status}`)
    return (await response.json()) as { lanes: LaneReport[] }
  } catch (cause) {
    throw new DaemonUnreachableError(`no daemon answers at ${url.href}`, { cause })
  }
}
