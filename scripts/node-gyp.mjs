import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { attempt, npm, root } from './steps.mjs'

/**
 * node-gyp's script: the project's own when it is a dependency, else the one inside npm. Undefined when there is neither.
 * @returns {Promise<string | undefined>}
 */
export async function findNodeGyp() {
  try {
    return createRequire(join(root, 'package.json')).resolve('node-gyp/bin/node-gyp.js')
  } catch {
    const insideNpm = join('node_modules', 'node-gyp', 'bin', 'node-gyp.js')
    const [, script] = npm()
    const global = (await attempt([...npm(), 'root', '--global'])).output.trim().split('\n').at(-1) ?? ''
    const folders = [...(script ? [dirname(dirname(script))] : []), join(global, 'npm')]
    return folders.map((folder) => join(folder, insideNpm)).find((file) => existsSync(file))
  }
}

/**
 * Where node-gyp finds Node's headers without downloading them: beside Node itself, as all common packages of it have
 * them. Empty when they are not there, or of another version.
 * @returns {Record<string, string>}
 */
export function nodeHeaders() {
  const prefix = dirname(dirname(process.execPath))
  const header = join(prefix, 'include', 'node', 'node_version.h')
  if (!existsSync(header)) return {}
  const text = readFileSync(header, 'utf8')
  const version = ['MAJOR', 'MINOR', 'PATCH'].map(
    (part) => new RegExp(`#define NODE_${part}_VERSION (\\d+)`).exec(text)?.[1],
  )
  return version.join('.') === process.versions.node ? { npm_config_nodedir: prefix } : {}
}
