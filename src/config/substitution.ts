import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Place, Problems } from './problems.ts'

/** Where `${env:NAME}` and `${file:path}` take their values from. */
export interface SubstitutionSources {
  readonly env: Readonly<Record<string, string | undefined>>
  /** Relative paths in `${file:...}` start here: the folder of the configuration file. */
  readonly directory: string
}

// An alias that contains itself would otherwise be followed for ever.
const depthMax = 32

/**
 * A copy of what the file says in which every `${env:NAME}` and `${file:path}` is replaced. What cannot be replaced
 * is reported and left out, and so is what a variable sets anyhow. Places with replaced values are hidden, because
 * that is how secrets come in.
 */
export function substituteAll(value: unknown, place: Place, sources: SubstitutionSources, problems: Problems): unknown {
  if (problems.isSet(place)) return undefined
  if (typeof value === 'string') return substitute(value, place, sources, problems)
  if (typeof value !== 'object' || value === null) return value
  if (place.length > depthMax) {
    problems.add(place, 'is nested too deep')
    return undefined
  }
  if (Array.isArray(value)) return value.map((each, at) => substituteAll(each, [...place, at], sources, problems))
  const copy: Record<string, unknown> = {}
  for (const [key, each] of Object.entries(value)) {
    // Assigning it would set the copy's prototype.
    if (key === '__proto__') problems.addKey(place, key, 'unknown key `__proto__`; it is never allowed')
    else copy[key] = substituteAll(each, [...place, key], sources, problems)
  }
  return copy
}

/** `$${` stands for a plain `${`. */
export function substitute(
  text: string,
  place: Place,
  sources: SubstitutionSources,
  problems: Problems,
): string | undefined {
  let failed = false
  const result = text.replace(
    /\$?\$\{(?:(env|file):([^}]*)\})?/g,
    (all: string, kind: 'env' | 'file' | undefined, name: string) => {
      if (all.startsWith('$$')) return all.slice(1)
      problems.hide(place)
      const found = kind === 'env' ? fromEnvironment(name, sources) : kind === 'file' ? fromFile(name, sources) : plain
      if ('text' in found) return found.text
      problems.add(place, found.fault)
      failed = true
      return ''
    },
  )
  return failed ? undefined : result
}

type Found = { readonly text: string } | { readonly fault: string }

// What stands between the braces is not repeated: it may be part of a password.
const plain: Found = {
  fault: 'holds a `${` that begins neither `${env:NAME}` nor `${file:PATH}`; write `$${` for a plain `${`',
}

function fromEnvironment(name: string, { env }: SubstitutionSources): Found {
  if (!/^[A-Za-z_]\w*$/.test(name)) return { fault: 'holds a `${env:NAME}` whose NAME is not that of a variable' }
  const text = env[name]
  return text === undefined ? { fault: `the environment variable ${name} is not set` } : { text }
}

// Editors and `echo` end a file with a newline that is no part of the secret.
function fromFile(name: string, { directory }: SubstitutionSources): Found {
  const path = resolve(directory, name)
  try {
    return { text: readFileSync(path, 'utf8').replace(/\r?\n$/, '') }
  } catch (error) {
    return { fault: `the file ${path} cannot be read (${(error as NodeJS.ErrnoException).code})` }
  }
}
