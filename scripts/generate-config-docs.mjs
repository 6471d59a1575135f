// Writes docs/CONFIG.md from the compiled schema. Run it after `tsc`, whenever a key or a sink's option has changed;
// test/config/describe.test.ts fails until then. An argument names another folder of compiled files than dist.
import { writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const compiled = pathToFileURL(resolve(root, process.argv[2] ?? 'dist', 'src') + '/')
const { configMarkdown } = await import(new URL('config/describe.js', compiled).href)
const { sinkOptions } = await import(new URL('sinks/sink-catalog.js', compiled).href)

const file = resolve(root, 'docs/CONFIG.md')
writeFileSync(file, configMarkdown(sinkOptions))
console.log(`${file} written`)
