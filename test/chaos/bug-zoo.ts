// npm run bug-zoo [-- --all] [--only NAME,NAME] [--layers NAME,NAME] [--out FILE]
// Plants one bug after the other in a copy of the compiled daemon, and asks which layer of the tests catches it: the cheapest
// first, until one does, or with --all each of them. A bug that none catches fails the run: then a test is missing. --out keeps
// what was found as JSON.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { machine } from '../../bench/support/figures.ts'
import { projectRoot } from '../support/kafka-installation.ts'
import { sharedKafkaBroker } from '../support/kafka-broker.ts'
import { bugs, placeOf } from './planted-bugs.ts'
import type { PlantedBug } from './planted-bugs.ts'

interface Layer {
  readonly name: string
  /** Compiled test files, from `dist/test`. */
  readonly files: (all: readonly string[]) => readonly string[]
  readonly timeoutMs: number
}

/** The files whose paths begin so; each beginning must have some, or a layer would quietly ask less than it seems to. */
const below =
  (...starts: string[]) =>
  (all: readonly string[]) =>
    starts.flatMap((start) => {
      const found = all.filter((path) => path.startsWith(start))
      assert(found.length > 0, `no test begins with ${start} any more`)
      return found
    })

/** Cheapest first. */
const layers: readonly Layer[] = [
  {
    name: 'unit',
    files: (all) =>
      below('lanes/', 'workers/', 'kafka/offset-committer')(all).filter((path) => !path.includes('.model.')),
    timeoutMs: 120_000,
  },
  { name: 'model', files: (all) => all.filter((path) => path.includes('.model.test')), timeoutMs: 240_000 },
  {
    name: 'contract',
    files: below('sinks/duckdb/duckdb-contract', 'kafka/partition-reader'),
    timeoutMs: 400_000,
  },
  // Whole daemons: dead letters whose topic is away, and a log with aborted transactions.
  { name: 'integration', files: below('integration/dead-letters', 'integration/verify'), timeoutMs: 400_000 },
  { name: 'crash matrix', files: below('integration/crash-matrix'), timeoutMs: 600_000 },
  { name: 'chaos', files: below('integration/chaos.test'), timeoutMs: 400_000 },
]

const { values } = parseArgs({
  options: {
    all: { type: 'boolean', default: false },
    only: { type: 'string' },
    layers: { type: 'string' },
    out: { type: 'string' },
  },
})
const chosen = bugs.filter(({ name }) => values.only === undefined || values.only.split(',').includes(name))
const asked = layers.filter(({ name }) => values.layers === undefined || values.layers.split(',').includes(name))
const root = projectRoot()
const folder = mkdtempSync(join(tmpdir(), 'millrace-bug-zoo-'))
const broker = await sharedKafkaBroker()
/** Without a bug: a layer that fails there has caught nothing. */
const healthy = plant({ name: 'no-bug', patches: [] })
const passesHealthy = new Map<Layer, Promise<boolean>>()
const found: { readonly bug: string; readonly caughtBy: readonly string[]; readonly seconds: number }[] = []
try {
  for (const bug of chosen) {
    const startedAt = performance.now()
    const caught = await huntIn(plant(bug), healthy)
    found.push({ bug: bug.name, caughtBy: caught, seconds: Math.round((performance.now() - startedAt) / 1000) })
    console.log(`${bug.name.padEnd(34)}${caught.length === 0 ? 'NOT CAUGHT' : caught.join(', ')}`)
  }
} finally {
  await broker.stop()
  rmSync(folder, { recursive: true, force: true })
}
const caught = found.filter(({ caughtBy }) => caughtBy.length > 0).length
console.log(`${caught} of ${chosen.length} planted bugs caught`)
if (values.out !== undefined) {
  const kept = { planted: chosen.length, caught, ...machine(), bugs: found }
  writeFileSync(values.out, `${JSON.stringify(kept, null, 2)}\n`)
}
process.exit(caught === chosen.length ? 0 : 1)

/** A copy of what is compiled, with the bug in it; all else is linked. */
function plant({ name, patches }: PlantedBug): string {
  const copy = join(folder, name)
  mkdirSync(copy)
  for (const entry of readdirSync(root)) {
    if (entry !== 'dist') symlinkSync(join(root, entry), join(copy, entry))
  }
  cpSync(join(root, 'dist'), join(copy, 'dist'), { recursive: true })
  for (const patch of patches) {
    const path = placeOf(patch, join(copy, 'dist/src'))
    writeFileSync(
      path,
      readFileSync(path, 'utf8').replace(patch.from, () => patch.to),
    )
  }
  return copy
}

async function huntIn(copy: string, healthy: string): Promise<string[]> {
  const tests = readdirSync(join(copy, 'dist/test'), { recursive: true, encoding: 'utf8' }).filter((path) =>
    path.endsWith('.test.js'),
  )
  const caught: string[] = []
  for (const layer of asked) {
    const paths = layer.files(tests)
    if (paths.length > 0 && !(await passes(paths, copy, layer.timeoutMs))) {
      if (!passesHealthy.has(layer)) passesHealthy.set(layer, passes(paths, healthy, layer.timeoutMs))
      if (await passesHealthy.get(layer)) caught.push(layer.name)
      else console.log(`the layer ${layer.name} fails without a bug, too`)
    }
    if (caught.length > 0 && !values.all) break
  }
  return caught
}

function passes(paths: readonly string[], cwd: string, timeout: number): Promise<boolean> {
  const files = paths.map((path) => join(cwd, 'dist/test', path))
  const env = { ...process.env, MILLRACE_TEST_KAFKA: broker.bootstrap }
  const child = spawn(process.execPath, ['--test', ...files], { cwd, env, stdio: 'ignore', timeout })
  return new Promise((resolve) => child.on('exit', (code) => resolve(code === 0)))
}
