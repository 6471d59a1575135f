import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { packageRoot } from '../../src/package-root.ts'
import { readingProto } from '../../test/support/readings.ts'
import type { Sample } from './figures.ts'

const root = fileURLToPath(packageRoot)
const venv = join(root, '.cache', 'bench-python')
const packages = ['confluent-kafka', 'psycopg[binary]', 'grpcio-tools']

/**
 * The rival in Python; undefined, with a line that says so, where a small run finds no environment for it. A full run makes
 * one, with the versions of the day.
 */
export function pythonSample(
  bootstrap: string,
  topic: string,
  url: string,
  records: number,
  smoke: boolean,
): (() => Promise<Sample>) | undefined {
  if (!existsSync(join(venv, 'ready'))) {
    if (smoke) {
      console.log('python: left out of this small run, because a full one has not made its environment yet')
      return undefined
    }
    makeEnvironment()
  }
  const script = join(root, 'bench', 'rivals', 'postgres_copy.py')
  return async () => {
    const args = [script, bootstrap, topic, url, String(records)]
    const child = spawn(join(venv, 'bin', 'python'), args, { stdio: ['ignore', 'pipe', 'inherit'] })
    let stdout = ''
    child.stdout.on('data', (part: Buffer) => (stdout += part.toString()))
    const [code] = (await once(child, 'close')) as [number | null]
    if (code !== 0) throw new Error(`${script} ended with ${code}`)
    return JSON.parse(stdout.trim().split('\n').at(-1)!) as Sample
  }
}

function makeEnvironment(): void {
  const proto = dirname(readingProto)
  const out = join(venv, 'generated')
  run('python3', ['-m', 'venv', venv])
  run(join(venv, 'bin', 'pip'), ['install', '--quiet', ...packages])
  run('mkdir', ['-p', out])
  run(join(venv, 'bin', 'python'), ['-m', 'grpc_tools.protoc', `-I${proto}`, `--python_out=${out}`, readingProto])
  run('touch', [join(venv, 'ready')])
}

function run(command: string, args: readonly string[]): void {
  const { status, stderr, error } = spawnSync(command, args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} failed: ${stderr}`, { cause: error })
}
