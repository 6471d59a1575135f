import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { WriterTask } from './sink-writer.ts'

const script = fileURLToPath(new URL('./sink-writer.js', import.meta.url))

/** A process that writes to a sink until it is killed; see `sink-writer.ts`. `launcher` is a command that gets node's as its arguments. */
export function startWriter(task: WriterTask, launcher: readonly string[] = []): ChildProcess {
  const [command, ...given] = [...launcher, process.execPath, script, JSON.stringify(task)]
  return spawn(command, given, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
}
