import { attempt, run, SetupError, step } from './steps.mjs'

/**
 * Names of packages by the package manager that has them.
 * @typedef {{ apt: string, dnf: string, brew: string }} PackageNames
 */

/** @type {readonly (PackageNames & { command: string })[]} */
const buildTools = [
  { command: 'g++', apt: 'g++', dnf: 'gcc-c++', brew: '' },
  { command: 'make', apt: 'make', dnf: 'make', brew: '' },
  { command: 'python3', apt: 'python3', dnf: 'python3', brew: 'python' },
]

/**
 * What librdkafka links against. Its own build does without any that is missing, silently: no TLS then, no zstd.
 * @type {readonly (PackageNames & { header: string })[]}
 */
const libraries = [
  { header: 'openssl/ssl.h', apt: 'libssl-dev', dnf: 'openssl-devel', brew: 'openssl@3' },
  { header: 'curl/curl.h', apt: 'libcurl4-openssl-dev', dnf: 'libcurl-devel', brew: 'curl' },
  { header: 'sasl/sasl.h', apt: 'libsasl2-dev', dnf: 'cyrus-sasl-devel', brew: 'cyrus-sasl' },
  { header: 'zlib.h', apt: 'zlib1g-dev', dnf: 'zlib-devel', brew: 'zlib' },
  { header: 'zstd.h', apt: 'libzstd-dev', dnf: 'libzstd-devel', brew: 'zstd' },
  { header: 'lz4.h', apt: 'liblz4-dev', dnf: 'lz4-devel', brew: 'lz4' },
]

/** Makes sure that librdkafka can be compiled here. Installs what is missing when we may, else says what to install. */
export async function requireBuildPackages() {
  await requirePackages(
    await missingPackages(),
    'to compile the Kafka client, which has no ready build for this system',
  )
}

/** Installs a Java that can run Kafka, when we may, else says how to get one. */
export async function requireJava() {
  const names = ['openjdk-17-jre-headless', 'openjdk-21-jre-headless', 'openjdk-25-jre-headless']
  let apt = names[1] ?? ''
  if (await mayInstall()) {
    await updateLists()
    for (const name of names) {
      if ((await attempt(['apt-get', 'install', '--simulate', name])).ok) {
        apt = name
        break
      }
    }
  }
  const java = { apt, dnf: 'java-21-openjdk-headless', brew: 'openjdk@21' }
  await requirePackages([java], 'to run Kafka for the tests: Java 17 or newer, or JAVA_HOME set to one')
}

/** @returns {Promise<PackageNames[]>} */
async function missingPackages() {
  const tools = await Promise.all(
    buildTools.map(async (tool) => !(await attempt([tool.command, '--version'])).ok && tool),
  )
  // Without a compiler no header can be looked for: all of them are named then, installing what is there does no harm.
  const compiler = !tools[0]
  const headers = libraries.map(async (library) => !(compiler && (await hasHeader(library.header))) && library)
  return [...tools, ...(await Promise.all(headers))].filter((found) => found !== false)
}

/** @param {string} header */
async function hasHeader(header) {
  return (await attempt(['g++', '-E', '-x', 'c++', '-o', '/dev/null', '-'], { input: `#include <${header}>\n` })).ok
}

/**
 * @param {readonly PackageNames[]} packages
 * @param {string} purpose
 */
async function requirePackages(packages, purpose) {
  if (packages.length === 0) return
  const names = packages.map(({ apt }) => apt)
  if (!(await mayInstall())) throw new SetupError(`these are needed ${purpose}:\n  ${installCommand(packages)}`)
  await step(`installing ${names.join(' ')}`, async () => {
    await updateLists()
    await run(['apt-get', 'install', '-y', '--no-install-recommends', '--no-upgrade', ...names], {
      env: { DEBIAN_FRONTEND: 'noninteractive' },
      cure: `Install them by hand, ${purpose}.`,
    })
  })
}

/** @param {readonly PackageNames[]} packages */
function installCommand(packages) {
  const list = (/** @type {keyof PackageNames} */ manager) =>
    packages.flatMap((names) => names[manager] || []).join(' ')
  if (process.platform === 'darwin') return `xcode-select --install; brew install ${list('brew')}`
  return [`sudo apt-get install -y ${list('apt')}`, `(Fedora: sudo dnf install ${list('dnf')})`].join('   ')
}

/** Not under sudo on our own account: who runs an npm script did not ask for that. */
async function mayInstall() {
  return process.platform === 'linux' && process.getuid?.() === 0 && (await attempt(['apt-get', '--version'])).ok
}

let listsAreFresh = false

async function updateLists() {
  // Its failure is told by the install that follows: with old lists that may still work.
  if (!listsAreFresh) await attempt(['apt-get', 'update'])
  listsAreFresh = true
}
