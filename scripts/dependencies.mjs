import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { npm, root, run, step } from './steps.mjs'

/**
 * Makes node_modules what package-lock.json says. No install script runs: the only one that any package has fetches or
 * compiles the Kafka binding, and kafka-binding.mjs does that with more care.
 */
export async function installDependencies() {
  if (isInstalled()) return
  await step('npm ci', () =>
    run([...npm(), 'ci', '--ignore-scripts', '--include=dev', '--no-audit', '--no-fund'], {
      cure: 'npm needs its registry: check the network, and package-lock.json against package.json.',
    }),
  )
}

/**
 * npm keeps a lock file of its own in node_modules: it names what really is there. So an install by hand counts too, and
 * an interrupted one, or one before the last `git pull`, does not.
 */
function isInstalled() {
  const installedFile = join(root, 'node_modules', '.package-lock.json')
  if (!existsSync(installedFile)) return false
  const { packages: installed } = JSON.parse(readFileSync(installedFile, 'utf8'))
  const { packages: wanted } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'))
  return Object.entries(wanted).every(([path, { version, optional }]) => {
    // Optional ones are for other systems.
    if (path === '' || (optional && !installed[path])) return true
    return installed[path]?.version === version && existsSync(join(root, path, 'package.json'))
  })
}
