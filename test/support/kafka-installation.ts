import { spawnSync } from 'node:child_process'
import { createHash, randomUUID } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { mkdir, rename, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** Where the jars come from; a mirror of Maven Central may stand in. */
const mavenRepository = process.env['MAVEN_REPO_URL'] ?? 'https://repo1.maven.org/maven2'
const javaMajorMin = 17
const downloadsAtOnce = 4
const attemptsPerJar = 4
const attemptTimeoutMs = 60_000

interface Jar {
  readonly path: string
  readonly bytes: number
  readonly sha256: string
}

/** Everything needed to start Kafka's main classes with `java -cp`. */
export interface KafkaInstallation {
  readonly version: string
  readonly java: string
  readonly classPath: string
  /** Inside `.cache`: kept between runs, shared by all test processes of this checkout. */
  readonly folder: string
}

/** The Java to use and the jars, those that are missing downloaded first: 45 MB at most, once for a checkout. */
export async function installKafka(): Promise<KafkaInstallation> {
  const java = findJava()
  if (java === undefined) throw new Error(`Kafka needs Java ${javaMajorMin} or newer: install one, or set JAVA_HOME`)
  const { version, jars } = readJarList()
  const folder = join(projectRoot(), '.cache', `kafka-${version}`)
  await downloadJars(jars, folder)
  return { version, java, folder, classPath: jars.map((jar) => jarFile(folder, jar)).join(':') }
}

/** True when `installKafka` would have to download something. */
export function kafkaJarsMissing(): boolean {
  const { version, jars } = readJarList()
  const folder = join(projectRoot(), '.cache', `kafka-${version}`)
  return jars.some((jar) => !isComplete(folder, jar))
}

/** The `java` to start Kafka with, its whole path, or undefined when this machine has none that is new enough. */
export function findJava(): string | undefined {
  for (const candidate of javaCandidates()) {
    const java = askJava(candidate)
    if (java !== undefined && java.major >= javaMajorMin) return java.file
  }
  return undefined
}

/** The checkout that this file, or what was compiled of it, lies in. */
export function projectRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url))
  while (!existsSync(join(folder, 'package.json'))) {
    const parent = dirname(folder)
    if (parent === folder) throw new Error('no package.json above the compiled tests: run them inside the checkout')
    folder = parent
  }
  return folder
}

/** JAVA_HOME is a choice, PATH a habit, the others are what happens to be there. */
function javaCandidates(): string[] {
  const chosen = process.env['JAVA_HOME']
  const linuxHomes = '/usr/lib/jvm'
  const macHomes = '/usr/libexec/java_home'
  const found = existsSync(linuxHomes) ? readdirSync(linuxHomes).map((name) => join(linuxHomes, name)) : []
  if (existsSync(macHomes)) {
    found.push(spawnSync(macHomes, ['-v', `${javaMajorMin}+`], { encoding: 'utf8' }).stdout.trim())
  }
  const homes = found.map((home) => join(home, 'bin', 'java')).filter((java) => existsSync(java))
  return [...(chosen ? [join(chosen, 'bin', 'java')] : []), 'java', ...homes]
}

/** macOS has a `java` that only says it is none: so the answer counts, not that the file is there. */
function askJava(command: string): { readonly file: string; readonly major: number } | undefined {
  const settings = spawnSync(command, ['-XshowSettings:properties', '-version'], { encoding: 'utf8', timeout: 20_000 })
  const home = /^\s*java\.home = (.+)$/m.exec(settings.stderr)?.[1]
  const major = /version "(\d+)/.exec(settings.stderr)?.[1]
  return home === undefined || major === undefined
    ? undefined
    : { file: join(home, 'bin', 'java'), major: Number(major) }
}

function readJarList(): { readonly version: string; readonly jars: readonly Jar[] } {
  const text = readFileSync(join(projectRoot(), 'test', 'support', 'kafka-jars.json'), 'utf8')
  return JSON.parse(text) as { version: string; jars: Jar[] }
}

const jarFile = (folder: string, jar: Jar) => join(folder, jar.path.slice(jar.path.lastIndexOf('/') + 1))

/** A jar gets its name only after its checksum was right, so its size is enough of a check later. */
function isComplete(folder: string, jar: Jar): boolean {
  return statSync(jarFile(folder, jar), { throwIfNoEntry: false })?.size === jar.bytes
}

async function downloadJars(jars: readonly Jar[], folder: string): Promise<void> {
  const missing = jars.filter((jar) => !isComplete(folder, jar))
  if (missing.length === 0) return
  await mkdir(folder, { recursive: true })
  const worker = async () => {
    for (let jar = missing.pop(); jar !== undefined; jar = missing.pop()) await downloadJar(jar, jarFile(folder, jar))
  }
  await Promise.all(Array.from({ length: downloadsAtOnce }, worker))
}

async function downloadJar(jar: Jar, file: string): Promise<void> {
  const url = `${mavenRepository}/${jar.path}`
  for (let attempt = 1; ; attempt++) {
    try {
      const bytes = await fetchBytes(url)
      const sha256 = createHash('sha256').update(bytes).digest('hex')
      if (sha256 !== jar.sha256) throw new Error(`its sha256 is ${sha256}, kafka-jars.json says ${jar.sha256}`)
      // Two test processes may download the same jar; the rename makes either one's whole.
      const partial = `${file}.${randomUUID()}.part`
      await writeFile(partial, bytes)
      return await rename(partial, file)
    } catch (cause) {
      const cure = 'check the network, or set MAVEN_REPO_URL to a mirror of Maven Central'
      if (attempt === attemptsPerJar) throw new Error(`cannot download ${url}: ${cure}`, { cause })
    }
  }
}

async function fetchBytes(url: string): Promise<Buffer> {
  const response = await fetch(url, { signal: AbortSignal.timeout(attemptTimeoutMs) })
  if (!response.ok) throw new Error(`it answered ${response.status} ${response.statusText}`)
  return Buffer.from(await response.arrayBuffer())
}
