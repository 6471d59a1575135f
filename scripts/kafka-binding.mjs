import { cpSync, existsSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { findNodeGyp, nodeHeaders } from './node-gyp.mjs'
import { attempt, root, run, SetupError, step } from './steps.mjs'
import { requireBuildPackages } from './system-packages.mjs'

const name = '@confluentinc/kafka-javascript'
const folder = join(root, 'node_modules', name)
const build = join(folder, 'build')
const installer = join(root, 'node_modules', '@mapbox', 'node-pre-gyp', 'bin', 'node-pre-gyp')
const downloadTimeoutMs = 90_000

/**
 * Makes the native part of the Kafka binding loadable: from the publisher's ready builds, from what we compiled here
 * before, or compiled now.
 *
 * The package's own install script falls back to a static build, which downloads the sources of OpenSSL, curl and more.
 * Linked to the system's libraries instead, it builds from what is in the package.
 */
export async function installKafkaBinding() {
  if (await loads()) return
  if (restoreBuild() && (await loads())) return
  if (await step('fetching the Kafka client', fetchReadyBuild)) return
  console.log('setup: no ready build of the Kafka client can be had here: it is compiled, which takes some minutes')
  await requireBuildPackages()
  await step('compiling the Kafka client', compile)
  keepBuild()
}

async function loads() {
  return (await attempt([process.execPath, '-e', `require('${name}').librdkafkaVersion.length`])).ok
}

async function fetchReadyBuild() {
  const fetched = await attempt([process.execPath, installer, 'install'], { cwd: folder, timeoutMs: downloadTimeoutMs })
  // A ready build may need a newer C library than this system's.
  return fetched.ok && (await loads())
}

async function compile() {
  const nodeGyp = await findNodeGyp()
  if (nodeGyp === undefined)
    throw new SetupError('node-gyp is missing: install an npm that brings it, or `npm i -g node-gyp`')
  rmSync(build, { recursive: true, force: true })
  const cores = availableParallelism()
  // The binding calls `make -j` without a number for librdkafka: the load limit keeps that from a process for each file.
  const env = { CKJS_LINKING: 'dynamic', MAKEFLAGS: `--load-average=${4 * cores + 4}`, ...nodeHeaders() }
  // librdkafka first and without --jobs: its rules do not say that its configuration must come before the rest.
  const commands = [['configure'], ['build', 'librdkafka'], ['build', '--jobs', String(cores)]]
  for (const command of commands) await run([process.execPath, nodeGyp, ...command], { cwd: folder, env })
  if (!(await loads())) throw new SetupError(`${name} was compiled and does not load: see .cache/setup.log`)
}

/** Compiled builds are kept outside node_modules, where `npm ci` would delete them. */
function keptBuild() {
  const { version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
  const { platform, arch, versions } = process
  return join(root, '.cache', `kafka-binding-${version}-node${versions.modules}-${platform}-${arch}`)
}

function keepBuild() {
  const kept = keptBuild()
  const partial = `${kept}.part`
  rmSync(partial, { recursive: true, force: true })
  copyBuild(build, partial)
  rmSync(kept, { recursive: true, force: true })
  renameSync(partial, kept)
}

function restoreBuild() {
  const kept = keptBuild()
  if (existsSync(kept)) copyBuild(kept, build)
  return existsSync(kept)
}

/**
 * @param {string} from
 * @param {string} to
 */
function copyBuild(from, to) {
  const addon = join('Release', 'confluent-kafka-javascript.node')
  cpSync(join(from, addon), join(to, addon))
  const libraries = readdirSync(join(from, 'deps')).filter((file) => /\.(so|dylib)/.test(file))
  for (const library of libraries) {
    cpSync(join(from, 'deps', library), join(to, 'deps', library), { verbatimSymlinks: true })
  }
}
