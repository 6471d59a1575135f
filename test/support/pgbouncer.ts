import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { freePorts } from './free-ports.ts'
import { spawnOnLifeLine } from './life-line.ts'
import { installPostgres } from './postgres-installation.ts'
import type { PostgresServer } from './postgres-server.ts'

const startedWithinMs = 10_000
const knockAgainAfterMs = 20

export interface PgBouncer {
  readonly port: number
  stop(): Promise<void>
}

/** The system's PgBouncer, where it has one. */
export function systemPgBouncer(): string | undefined {
  const { stdout } = spawnSync('sh', ['-c', 'PATH="$PATH:/usr/sbin" command -v pgbouncer'], { encoding: 'utf8' })
  return stdout.trim() || undefined
}

/** Starts it before all databases of a server, with transaction pooling: whoever sends the next transaction gets the connection. */
export async function startPgBouncer(program: string, server: PostgresServer): Promise<PgBouncer> {
  const [port = 0] = await freePorts(1)
  const folder = mkdtempSync(join(tmpdir(), 'millrace-pgbouncer-'))
  const { username, password } = new URL(server.url)
  const users = join(folder, 'users.txt')
  const config = join(folder, 'pgbouncer.ini')
  writeFileSync(users, `"${username}" "${password}"\n`)
  const lines = [
    '[databases]',
    `* = host=127.0.0.1 port=${server.port}`,
    '[pgbouncer]',
    'listen_addr = 127.0.0.1',
    `listen_port = ${port}`,
    'unix_socket_dir =',
    'auth_type = scram-sha-256',
    `auth_file = ${users}`,
    'pool_mode = transaction',
    // A database that is to be dropped must not be held open for long.
    'server_idle_timeout = 1',
  ]
  writeFileSync(config, `${lines.join('\n')}\n`)
  // Like PostgreSQL it refuses to run as root.
  const { user } = installPostgres()
  if (user !== undefined) spawnSync('chown', ['-R', `${user.uid}:${user.gid}`, folder])
  const log = openSync(join(folder, 'log'), 'a')
  const child = spawnOnLifeLine([program, config], { stdio: [log, log], folder, user })
  closeSync(log)
  const stop = async () => {
    if (child.exitCode === null && child.signalCode === null) {
      child.ref()
      child.kill('SIGTERM')
      await once(child, 'exit')
    }
    rmSync(folder, { recursive: true, force: true })
  }
  const deadline = performance.now() + startedWithinMs
  while (!(await accepts(port))) {
    if (child.exitCode !== null || performance.now() > deadline) {
      const said = existsSync(join(folder, 'log')) ? readFileSync(join(folder, 'log'), 'utf8') : ''
      await stop()
      throw new Error(`PgBouncer did not start:\n${said}`)
    }
    await pause(knockAgainAfterMs)
  }
  return { port, stop }
}

async function accepts(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}
