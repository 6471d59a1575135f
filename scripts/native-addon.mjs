import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { findNodeGyp, nodeHeaders } from './node-gyp.mjs'
import { attempt, root, runMain } from './steps.mjs'

const folder = join(root, 'src', 'kafka', 'native')
const built = join(folder, 'build', 'Release', 'kafka_addon.node')
/** What the addon was built for; it fits no other. */
const stamp = join(folder, 'build', 'built-for')

/**
 * Compiles our reader of librdkafka's queues, unless it is built. Without it the daemon works, through the binding, at a
 * fraction of the speed: so a failure is only told.
 */
export async function buildNativeAddon() {
  if (!existsSync(join(folder, 'binding.gyp')) || isBuilt()) return
  const started = performance.now()
  process.stdout.write('setup: compiling the native reader ... ')
  const problem = await compile()
  if (problem === undefined) writeFileSync(stamp, builtFor())
  const seconds = ((performance.now() - started) / 1000).toFixed(1)
  console.log(
    problem === undefined ? `${seconds} s` : `WARNING: ${problem}; Millrace will read at about an eighth of the speed`,
  )
}

async function compile() {
  const nodeGyp = await findNodeGyp()
  if (nodeGyp === undefined) return 'node-gyp is missing'
  // An older build must not outlive a failure: it may not fit.
  rmSync(built, { force: true })
  const { ok, output } = await attempt([process.execPath, nodeGyp, 'rebuild'], { cwd: folder, env: nodeHeaders() })
  if (ok && existsSync(built)) return undefined
  const missing = /not found: make|ERR! find Python|not found: g\+\+|not found: c\+\+/i.exec(output)?.[0]
  return missing ? `it needs g++, make and python3 (${missing})` : 'it did not compile, see .cache/setup.log'
}

function isBuilt() {
  if (!existsSync(built) || !existsSync(stamp) || readFileSync(stamp, 'utf8') !== builtFor()) return false
  const sources = readdirSync(folder).filter((name) => /\.(cc|h|gyp)$/.test(name))
  const builtAt = statSync(built).mtimeMs
  return sources.every((name) => statSync(join(folder, name)).mtimeMs <= builtAt)
}

function builtFor() {
  const binding = join(root, 'node_modules', '@confluentinc', 'kafka-javascript', 'package.json')
  const { version } = JSON.parse(readFileSync(binding, 'utf8'))
  return `node ${process.versions.modules} ${process.platform} ${process.arch}, binding ${version}\n`
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await runMain(buildNativeAddon)
