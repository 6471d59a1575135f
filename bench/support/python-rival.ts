import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { projectRoot } from '../../test/support/kafka-installation.ts'
import { readingProto } from '../../test/support/readings.ts'
import type { Sample } from './figures.ts'
import { programSample } from './ways.ts'

/** What people write in Python, with what it needs, in a virtual environment of the benches' own below .cache. */
export class PythonRival {
  readonly #python: string
  readonly #generated: string

  private constructor(python: string, generated: string) {
    this.#python = python
    this.#generated = generated
  }

  /** Installs what is not there yet. Throws an Error that says what is missing on this machine. */
  static install(): PythonRival {
    const requirements = join(projectRoot(), 'bench/rivals/requirements.txt')
    const version = createHash('sha256').update(readFileSync(requirements)).digest('hex').slice(0, 12)
    const folder = join(projectRoot(), '.cache', `python-rival-${version}`)
    const python = join(folder, 'bin/python')
    const done = join(folder, 'done')
    if (!existsSync(done)) {
      rmSync(folder, { recursive: true, force: true })
      run('python3', ['-m', 'venv', folder])
      run(python, ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '-r', requirements])
      mkdirSync(join(folder, 'generated'))
      const proto = ['-I', dirname(readingProto), '--python_out', join(folder, 'generated'), readingProto]
      run(python, ['-m', 'grpc_tools.protoc', ...proto])
      writeFileSync(done, '')
    }
    return new PythonRival(python, join(folder, 'generated'))
  }

  /** The interpreter that has what the rivals need. */
  get python(): string {
    return this.#python
  }

  /** Runs a script of bench/rivals; its last argument is the folder of the generated code. */
  sample(script: string, ...args: readonly (string | number)[]): Promise<Sample> {
    const file = join(projectRoot(), 'bench/rivals', script)
    return programSample(this.#python, [file, ...args.map(String), this.#generated])
  }
}

function run(command: string, args: readonly string[]): void {
  const { status, error } = spawnSync(command, args, { stdio: ['ignore', 'ignore', 'inherit'] })
  if (status === 0) return
  throw new Error(
    `the Python rival needs python3 with venv and pip, and PyPI: ${error?.message ?? `${command} ${args.join(' ')} ended with ${status}`}`,
  )
}
