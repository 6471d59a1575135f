// Makes a fresh checkout able to run: `npm run demo` and `npm test` begin with this. Needs Node and npm, and nothing from
// node_modules. Does only what is not done yet, so that it costs half a second when all is there.
//   --test           also what the tests need: Java and the jars of Kafka, PostgreSQL made ready to run
//   --dependencies   only what does not depend on our code: for the layers of a container image
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { compile } from './compile.mjs'
import { installDependencies } from './dependencies.mjs'
import { installKafkaBinding } from './kafka-binding.mjs'
import { buildNativeAddon } from './native-addon.mjs'
import { root, runMain, SetupError, step } from './steps.mjs'
import { requireJava } from './system-packages.mjs'

const nodeMajorMin = 20

await runMain(async () => {
  checkNode()
  await installDependencies()
  await installKafkaBinding()
  if (process.argv.includes('--dependencies')) return
  await buildNativeAddon()
  await compile()
  if (!process.argv.includes('--test')) return
  await installKafkaBroker()
  await preparePostgres()
})

function checkNode() {
  const { node } = process.versions
  if (Number.parseInt(node) >= nodeMajorMin) return
  throw new SetupError(
    `Node ${nodeMajorMin} or newer is needed, this is ${node}: install one from your system or with nvm`,
  )
}

/** The tests know best what they start: so their code finds Java and fetches the jars, and can do so without us. */
async function installKafkaBroker() {
  const { findJava, installKafka, kafkaJarsMissing } = await testSupport('kafka-installation.js')
  if (findJava() === undefined) await requireJava()
  if (!kafkaJarsMissing()) return
  await step('fetching Apache Kafka for the tests, 45 MB', async () => {
    try {
      await installKafka()
    } catch (error) {
      throw new SetupError(`${error.message}${error.cause ? ` (${error.cause.message})` : ''}`)
    }
  })
}

/** Its programs came with npm; only links are missing. */
async function preparePostgres() {
  const { installPostgres } = await testSupport('postgres-installation.js')
  try {
    installPostgres()
  } catch (error) {
    throw new SetupError(error.message)
  }
}

/** @param {string} file */
function testSupport(file) {
  return import(pathToFileURL(join(root, 'dist', 'test', 'support', file)).href)
}
