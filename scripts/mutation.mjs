// Asks of the tests of the lanes and of the committer: would they notice if the code were wrong? Changes the compiled code in
// one place at a time and runs the tests that come by there. Takes many minutes, so only on demand:
//   npm run mutation              all of it
//   npm run mutation -- lanes/lane scheduler    files whose path contains one of these
// Stryker is fetched when it is first wanted, into .cache: nothing else needs its 70 MB.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { npm, root, run, runMain, SetupError } from './steps.mjs'

const folder = join(root, '.cache', 'stryker')
const packages = join(folder, 'node_modules', '@stryker-mutator')
/** The newest that runs on Node 20. */
const version = '9.6.1'
const scorePercentMin = 80
/** Random cases a model test: enough to come by everywhere, and few, because they run for every change. */
const runsPerModel = '60'

await runMain(async () => {
  if (!existsSync(join(packages, 'tap-runner'))) {
    mkdirSync(folder, { recursive: true })
    const wanted = ['core', 'tap-runner'].map((name) => `@stryker-mutator/${name}@${version}`)
    await run([...npm(), 'install', '--no-save', '--no-audit', '--no-fund', '--prefix', folder, ...wanted])
  }
  const config = join(folder, 'config.json')
  writeFileSync(config, JSON.stringify(options(process.argv.slice(2)), null, 2))
  const env = { ...process.env, MILLRACE_TEST_RUNS: runsPerModel }
  const args = [join(packages, 'core', 'bin', 'stryker.js'), 'run', config]
  process.exitCode = spawnSync(process.execPath, args, { cwd: root, env, stdio: 'inherit' }).status ?? 1
})

/** @param {readonly string[]} wanted */
function options(wanted) {
  const all = [...filesOf('dist/src/lanes', '.js'), 'dist/src/kafka/offset-committer.js']
  const sources = all.filter((path) => wanted.length === 0 || wanted.some((part) => path.includes(part)))
  if (sources.length === 0)
    throw new SetupError(`no file to change has ${wanted.join(' or ')} in its path: ${all.join(', ')}`)
  const tests = [...filesOf('dist/test/lanes', '.test.js'), 'dist/test/kafka/offset-committer.test.js']
  // One file that imports them all: starting a process costs more than the tests of a change do.
  const allTests = join('dist', 'test', 'mutation.js')
  writeFileSync(join(root, allTests), tests.map((path) => `import '${path.replace('dist/test', '.')}'\n`).join(''))
  return {
    testRunner: 'tap',
    plugins: [join(packages, 'tap-runner', 'dist', 'src', 'index.js')],
    tap: { testFiles: [allTests] },
    mutate: sources,
    // Texts are for people: no test should pin their every word.
    mutator: { excludedMutations: ['StringLiteral'] },
    ignorePatterns: ['**', '!dist/**', '!package.json', '!proto/**'],
    tempDirName: join('.cache', 'stryker', 'sandbox'),
    coverageAnalysis: 'all',
    concurrency: 2,
    // A run takes a second; whoever loops for ever is waited for so long.
    timeoutMS: 8_000,
    reporters: ['clear-text', 'json'],
    clearTextReporter: { allowColor: false, reportTests: false },
    jsonReporter: { fileName: join('.cache', 'stryker', 'report.json') },
    thresholds: { high: 90, low: scorePercentMin, break: scorePercentMin },
    checkers: [],
    allowEmpty: true,
  }
}

/**
 * @param {string} path
 * @param {string} ending
 */
function filesOf(path, ending) {
  return readdirSync(join(root, path))
    .filter((name) => name.endsWith(ending))
    .map((name) => `${path}/${name}`)
}
