import { spawn } from 'node:child_process'
import { appendFileSync, mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The checkout. */
export const root = dirname(dirname(fileURLToPath(import.meta.url)))
/** Everything the steps' commands print, in full. */
const logFile = join(root, '.cache', 'setup.log')
/** npm tells the reason first, a compiler last. */
const headLines = 8
const tailLines = 15

/** Ends the script with what is wrong and what to do about it. */
export class SetupError extends Error {}

/**
 * Runs one step that does work and says so in one line, with its time.
 * @template T
 * @param {string} what
 * @param {() => Promise<T>} work
 * @returns {Promise<T>}
 */
export async function step(what, work) {
  const started = performance.now()
  process.stdout.write(`setup: ${what} ... `)
  try {
    const result = await work()
    console.log(`${((performance.now() - started) / 1000).toFixed(1)} s`)
    return result
  } catch (error) {
    console.log('failed')
    throw error
  }
}

/**
 * Runs a command to its end and gives its outcome; its output goes to the log. Never rejects.
 * @param {readonly string[]} command
 * @param {{ cwd?: string, env?: Record<string, string>, input?: string, timeoutMs?: number }} [options]
 * @returns {Promise<{ ok: boolean, output: string }>}
 */
export function attempt(command, { cwd = root, env = {}, input, timeoutMs } = {}) {
  const [file = '', ...args] = command
  const child = spawn(file, args, {
    cwd,
    env: { ...process.env, ...env },
    stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    ...(timeoutMs === undefined ? {} : { timeout: timeoutMs }),
  })
  child.stdin?.on('error', () => undefined).end(input)
  const chunks = []
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => chunks.push(chunk))
  return new Promise((resolve) => {
    const end = (/** @type {boolean} */ ok, note = '') => {
      const output = `${Buffer.concat(chunks)}${note}`
      mkdirSync(dirname(logFile), { recursive: true })
      appendFileSync(logFile, `\n$ ${command.join(' ')}\n${output}`)
      resolve({ ok, output })
    }
    child.on('error', (error) => end(false, String(error)))
    child.on('close', (code, signal) => end(code === 0, signal ? `(ended by ${signal})` : ''))
  })
}

/**
 * As `attempt`, for a command that must succeed.
 * @param {readonly string[]} command
 * @param {Parameters<typeof attempt>[1] & { cure?: string }} [options]
 */
export async function run(command, options = {}) {
  const { ok, output } = await attempt(command, options)
  if (ok) return output
  const lines = output.trimEnd().split('\n')
  const left = lines.length - headLines - tailLines
  if (left > 0) lines.splice(headLines, left, `... ${left} lines ...`)
  const cure = options.cure ? `\n${options.cure}` : ''
  throw new SetupError(`${command.join(' ')} failed (all of it in .cache/setup.log):\n${lines.join('\n')}${cure}`)
}

/** npm as it was called, or the one on the PATH when a script was started by hand. */
export function npm() {
  const script = process.env['npm_execpath']
  return script?.endsWith('npm-cli.js') ? [process.execPath, script] : ['npm']
}

/**
 * Runs `main` and turns its failure into a line and an exit code.
 * @param {() => Promise<void>} main
 */
export async function runMain(main) {
  try {
    await main()
  } catch (error) {
    console.error(error instanceof SetupError ? `setup: ${error.message}` : error)
    process.exitCode = 1
  }
}
