// Runs benchmarks at full size, one after the other, and prints what they print: `npm run bench -- end-to-end reader`, or all.
import { readdirSync } from 'node:fs'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { root } from './steps.mjs'

const folder = join(root, 'dist', 'bench')
const all = readdirSync(folder).filter((name) => name.endsWith('.js'))
const wanted = process.argv.slice(2)
const chosen = wanted.length === 0 ? all : all.filter((name) => wanted.some((part) => name.startsWith(part)))
if (chosen.length === 0) {
  console.error(`no benchmark begins with ${wanted.join(' or ')}; there are ${all.join(', ')}`)
  process.exit(64)
}
for (const name of chosen) {
  const { status } = spawnSync(process.execPath, [join(folder, name)], { stdio: 'inherit' })
  if (status !== 0) process.exit(status ?? 1)
}
