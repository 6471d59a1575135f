// Everything that must hold before a change is kept: lint, format, unit tests, integration tests on a real Kafka, and the
// benchmarks at a small size. Types are checked by the compiler, in setup.mjs, which runs before. Stops at the first
// stage that fails.
//   npm test -- lanes/ scheduler     only the test files and benchmarks whose path contains one of these
import { spawn } from 'node:child_process'
import { setMaxListeners } from 'node:events'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { run } from 'node:test'
import { pathToFileURL } from 'node:url'
import { root } from './steps.mjs'
import { TestReport } from './test-report.mjs'

const dist = join(root, 'dist')
/** For one file with all its tests: node:test has no limit for a single test before Node 21. */
const unitFileTimeoutMs = 300_000
// Two tests of a file may be told to keep something away for longer than they do by default.
const integrationFileTimeoutMs = 600_000 + 2 * Number(process.env['MILLRACE_TEST_AWAY_MS'] ?? 0)
const benchTimeoutMs = 120_000

const filters = process.argv.slice(2)
const interrupt = new AbortController()
// Every test process listens.
setMaxListeners(0, interrupt.signal)
const report = new TestReport(sourceOf)
/** @type {{ bootstrap: string, stop(): Promise<void> } | undefined} */
let broker
let benchCount = 0

// The children's stack traces then name our lines, not the compiler's.
process.env['NODE_OPTIONS'] = `${process.env['NODE_OPTIONS'] ?? ''} --enable-source-maps`

for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM'])) process.on(signal, () => interrupt.abort())

const unit = filesBelow('test', '.test.js').filter((file) => !isIntegration(file))
const integration = filesBelow('test', '.test.js').filter(isIntegration)
// One question a file, in the folder itself; below it is what they share and their rivals.
const benches = filesBelow('bench', '.js').filter((file) => dirname(file) === join(dist, 'bench'))

const startedAt = performance.now()
let ok = false
try {
  ok =
    (filters.length > 0 || (await stage('lint and format', checkText))) &&
    (!needsKafka([...unit, ...integration, ...benches]) || (await stage('starting Kafka', startBroker))) &&
    (unit.length === 0 ||
      (await stage('unit tests', () => runTests(unit, availableParallelism(), unitFileTimeoutMs)))) &&
    (integration.length === 0 ||
      (await stage('integration tests', () => runTests(integration, 1, integrationFileTimeoutMs)))) &&
    (benches.length === 0 || (await stage('benchmarks, small', runBenches)))
} finally {
  await broker?.stop()
}
const { passed, failed, skipped } = report
if (ok && passed + benchCount === 0) {
  console.log(`no test ran${filters.length > 0 ? `: no file's path contains ${filters.join(' or ')}` : ''}`)
  ok = false
}
const seconds = Math.round((performance.now() - startedAt) / 1000)
console.log(`\ntests: ${passed} passed, ${failed} failed, ${skipped} skipped; benches: ${benchCount}; ${seconds} s`)
process.exitCode = interrupt.signal.aborted ? 130 : ok ? 0 : 1

/**
 * @param {string} name
 * @param {() => Promise<boolean>} work
 */
async function stage(name, work) {
  const started = performance.now()
  console.log(`== ${name}`)
  const succeeded = (await work()) && !interrupt.signal.aborted
  const took = `${((performance.now() - started) / 1000).toFixed(1)} s`
  const outcome = interrupt.signal.aborted ? 'INTERRUPTED' : succeeded ? 'ok' : 'FAILED'
  console.log(`== ${name}: ${outcome}, ${took}`)
  return succeeded
}

async function checkText() {
  const bin = (/** @type {string[]} */ ...path) => join(root, 'node_modules', ...path)
  const [lint, format] = await Promise.all([
    runScript([bin('eslint', 'bin', 'eslint.js'), '.', '--max-warnings', '0']),
    runScript([bin('prettier', 'bin', 'prettier.cjs'), '--check', '.', '--log-level', 'warn']),
  ])
  if (!lint.ok) console.log(lint.output)
  if (!format.ok) console.log(`${format.output}\nMend it with: npx prettier --write .`)
  return lint.ok && format.ok
}

/**
 * @param {string[]} files
 * @param {number} concurrency
 * @param {number} timeout
 */
async function runTests(files, concurrency, timeout) {
  const failedBefore = report.failed
  await report.follow(run({ files, concurrency, timeout, signal: interrupt.signal }))
  return report.failed === failedBefore
}

/**
 * Whether one of the files imports what starts a broker.
 * @param {string[]} files
 */
function needsKafka(files) {
  return files.some((file) => readFileSync(file, 'utf8').includes('support/kafka-broker.js'))
}

/** One for all files; each test names its topics uniquely. The children find it in their environment. */
async function startBroker() {
  const support = pathToFileURL(join(dist, 'test', 'support', 'kafka-broker.js')).href
  broker = await (await import(support)).startKafkaBroker()
  process.env['MILLRACE_TEST_KAFKA'] = broker?.bootstrap
  return true
}

async function runBenches() {
  for (const file of benches) {
    const started = performance.now()
    const { ok, output } = await runScript([file], { env: { BENCH_SMOKE: '1' }, timeoutMs: benchTimeoutMs })
    const took = `${((performance.now() - started) / 1000).toFixed(1)} s`
    console.log(`  ${sourceOf(file)}: ${ok ? 'ran' : 'FAILED'}, ${took}`)
    if (!ok) {
      console.log(output)
      return false
    }
    benchCount += 1
  }
  return true
}

/**
 * Runs a script with this Node to its end; it is ended with us, or when its time is up.
 * @param {string[]} args
 * @param {{ env?: Record<string, string>, timeoutMs?: number }} [options]
 * @returns {Promise<{ ok: boolean, output: string }>}
 */
function runScript(args, { env = {}, timeoutMs = 0 } = {}) {
  const child = spawn(process.execPath, args, {
    cwd: root,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    signal: interrupt.signal,
    timeout: timeoutMs,
  })
  /** @type {Buffer[]} */
  const chunks = []
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => chunks.push(chunk))
  return new Promise((resolve) => {
    child.on('error', (error) => resolve({ ok: false, output: String(error) }))
    child.on('close', (code, signal) => {
      const note = signal ? `\n(ended by ${signal}${timeoutMs > 0 ? `; it may take ${timeoutMs / 1000} s` : ''})` : ''
      resolve({ ok: code === 0, output: `${Buffer.concat(chunks)}${note}` })
    })
  })
}

/**
 * @param {string} folder
 * @param {string} ending
 */
function filesBelow(folder, ending) {
  if (!existsSync(join(dist, folder))) return []
  return readdirSync(join(dist, folder), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith(ending))
    .map((path) => join(dist, folder, path))
    .filter((file) => filters.length === 0 || filters.some((part) => relative(dist, file).includes(part)))
    .sort()
}

/** @param {string} file */
function isIntegration(file) {
  return relative(dist, file).startsWith(join('test', 'integration'))
}

/**
 * The source, from the root, of a compiled file. Source maps make the test runner name the sources itself at times.
 * @param {string} file
 */
function sourceOf(file) {
  return relative(file.startsWith(dist) ? dist : root, file).replace(/\.js$/, '.ts')
}
