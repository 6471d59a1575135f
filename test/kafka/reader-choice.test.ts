import assert from 'node:assert/strict'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath, pathToFileURL } from 'node:url'
import type { BindingConsumer } from '../../src/kafka/binding.ts'
import type { createReader } from '../../src/kafka/reader-choice.ts'
import { sharedKafkaBroker } from '../support/kafka-broker.ts'
import type { SharedKafkaBroker } from '../support/kafka-broker.ts'
import { projectRoot } from '../support/kafka-installation.ts'
import { connectConsumer, disconnect } from './native-reader-fixture.ts'

const compiledSource = fileURLToPath(new URL('../../src', import.meta.url))
const addonFolder = join('src', 'kafka', 'native', 'build', 'Release')
const bindingFolder = join('node_modules', '@confluentinc', 'kafka-javascript')

let broker: SharedKafkaBroker
let folder: string
let consumer: BindingConsumer
before(async () => {
  broker = await sharedKafkaBroker()
  folder = mkdtempSync(join(tmpdir(), 'millrace-reader-choice-'))
  consumer = (await connectConsumer(broker.bootstrap)) as BindingConsumer
})
after(async () => {
  await disconnect(consumer)
  rmSync(folder, { recursive: true, force: true })
  await broker.stop()
})

/** Installations in which the addon is of no use, and what must be said of each. */
const misfits: readonly { name: string; spoil: (root: string) => void; says: RegExp }[] = [
  {
    name: 'it was never built',
    spoil: (root) => rmSync(join(root, addonFolder), { recursive: true }),
    says: /has not been built: run `npm run build:native`/,
  },
  {
    name: 'its file is no addon',
    spoil: (root) => writeFileSync(join(root, addonFolder, 'kafka_addon.node'), 'not a library'),
    says: /does not load into this Node: run `npm run build:native` again/,
  },
  {
    name: 'the binding has another version than it was built for',
    spoil: (root) => {
      const file = join(root, bindingFolder, 'package.json')
      const manifest = JSON.parse(readFileSync(file, 'utf8')) as object
      writeFileSync(file, JSON.stringify({ ...manifest, version: '1.11.0' }))
    },
    says: /was built for @confluentinc\/kafka-javascript 1\.10\.\d+, and 1\.11\.0 is installed: rebuild it/,
  },
]

describe('createReader, where our addon does not fit', () => {
  for (const [index, { name, spoil, says }] of misfits.entries()) {
    test(`${name}: auto says so once and reads through the binding, native refuses`, async () => {
      const root = join(folder, String(index))
      install(root)
      spoil(root)
      const module = pathToFileURL(join(root, 'compiled', 'kafka', 'reader-choice.js')).href
      const { createReader: create } = (await import(module)) as { createReader: typeof createReader }
      const notices: string[] = []
      const choose = (wanted: 'auto' | 'native') =>
        create(
          consumer,
          wanted,
          { slabBytesMax: 65_536, recordBytesMax: 65_536 },
          (notice) => notices.push(notice),
          assert.fail,
        )

      assert.throws(() => choose('native'), { code: 'NATIVE_READER_UNAVAILABLE', message: says })
      assert.deepEqual(notices, [])
      const reader = choose('auto')
      assert.equal(reader.name, 'binding')
      assert.equal(notices.length, 1)
      assert.match(notices[0]!, says)
      assert.match(notices[0]!, /reading through the binding instead/)
      await reader.stop()
    })
  }
})

/** Our compiled source with an addon folder and a binding's manifest of its own; everything else is linked. */
function install(root: string): void {
  const project = projectRoot()
  cpSync(compiledSource, join(root, 'compiled'), { recursive: true })
  writeFileSync(join(root, 'package.json'), '{ "type": "module" }')
  cpSync(join(project, addonFolder, 'kafka_addon.node'), join(root, addonFolder, 'kafka_addon.node'))
  linkAll(join(project, 'node_modules'), join(root, 'node_modules'), ['@confluentinc'])
  linkAll(join(project, bindingFolder), join(root, bindingFolder), ['package.json'])
  cpSync(join(project, bindingFolder, 'package.json'), join(root, bindingFolder, 'package.json'))
}

function linkAll(from: string, to: string, except: readonly string[]): void {
  mkdirSync(to, { recursive: true })
  for (const entry of readdirSync(from)) if (!except.includes(entry)) symlinkSync(join(from, entry), join(to, entry))
}
