import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { root, run, step } from './steps.mjs'

const outputFolder = join(root, 'dist')
const sourceFolders = ['src', 'test', 'bench']
/** In dist, so that they go when dist goes. */
const stamp = join(outputFolder, '.compiled-from')
const buildInfo = join(outputFolder, '.tsbuildinfo')

/** Compiles src, test and bench into dist, unless nothing has changed since. */
export async function compile() {
  removeOrphans()
  const sources = describeSources()
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === sources) return
  await step('compiling', async () => {
    rmSync(stamp, { force: true })
    const compiler = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
    const options = ['-p', join(root, 'tsconfig.json'), '--incremental', '--tsBuildInfoFile', buildInfo]
    await run([process.execPath, compiler, ...options, '--pretty', 'false'])
    mkdirSync(outputFolder, { recursive: true })
    writeFileSync(stamp, sources)
  })
}

/** What a deleted test left in dist would still run, and pass. */
function removeOrphans() {
  for (const folder of sourceFolders) {
    for (const output of filesBelow(join('dist', folder))) {
      const source = output.slice('dist/'.length).replace(/\.js(\.map)?$/, '.ts')
      if (!existsSync(join(root, source))) rmSync(join(root, output))
    }
  }
}

/** Changes whenever the compiler's input does. */
function describeSources() {
  const sources = sourceFolders.flatMap((folder) => filesBelow(folder).filter((path) => path.endsWith('.ts')))
  const inputs = ['tsconfig.json', 'package.json', 'package-lock.json', ...sources.sort()]
  const lines = inputs.map((path) => {
    const { mtimeMs, size } = statSync(join(root, path))
    return `${path} ${size} ${mtimeMs}\n`
  })
  return lines.join('')
}

/**
 * Paths from the root, with slashes.
 * @param {string} folder
 * @returns {string[]}
 */
function filesBelow(folder) {
  if (!existsSync(join(root, folder))) return []
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = `${folder}/${entry.name}`
    return entry.isDirectory() ? filesBelow(path) : [path]
  })
}
