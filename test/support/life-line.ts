import { spawn } from 'node:child_process'
import type { ChildProcess, StdioNull, StdioPipe } from 'node:child_process'

export interface LifeLineOptions {
  readonly env?: NodeJS.ProcessEnv
  /** Of stdout and stderr; stdin is the life line's, and empty for the command. */
  readonly stdio: readonly [StdioNull | StdioPipe | number, StdioNull | StdioPipe | number]
  /** Removed when the command had to be killed because we were gone; otherwise that is the caller's. */
  readonly folder?: string
  /** Whom the command runs as, when not as us. */
  readonly user?: { readonly uid: number; readonly gid: number } | undefined
}

/**
 * Starts a command that dies with this process, however this one ends: kill -9 included. `ChildProcess.pid` is the
 * command's own. It does not keep this process alive.
 */
export function spawnOnLifeLine(
  command: readonly string[],
  { env, stdio, folder = '', user }: LifeLineOptions,
): ChildProcess {
  // The system closes the pipe when this process is gone.
  const args = ['-c', script, 'sh', folder, ...command]
  const child = spawn('/bin/sh', args, { env, stdio: ['pipe', ...stdio], ...user })
  child.unref()
  // A socket to Node, but declared as any stream.
  ;(child.stdin as unknown as { unref(): void }).unref()
  return child
}

/**
 * The command takes the shell's place, so the child's pid is the command's. Before that the shell leaves a watch behind,
 * which waits for the end of stdin. That comes when this process has ended; or when the command's exit made Node close
 * the pipe, and then the kill finds nothing. Ctrl-C goes to all of them; the watch must outlive it.
 */
const script = `
exec 3<&0
command=$$
folder=$1
shift
( trap '' INT TERM HUP
  cat <&3
  kill -KILL "$command" && [ -n "$folder" ] && { rm -rf "$folder" || { sleep 1; rm -rf "$folder"; }; }
) >/dev/null 2>&1 &
exec "$@" </dev/null 3<&-
`
