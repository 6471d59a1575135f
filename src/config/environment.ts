import { failPointsVariable, parseFailPoints, testSwitchVariable } from '../fail-points.ts'
import { propertiesOf } from './schema.ts'
import type { Section } from './schema.ts'
import { isMapping, meant } from './formats.ts'
import type { Property } from './formats.ts'
import type { Problems } from './problems.ts'
import { substitute } from './substitution.ts'
import type { SubstitutionSources } from './substitution.ts'

const prefix = 'MILLRACE_'

/** The variable that sets a key: `batch.maxBytes` is MILLRACE_BATCH_MAX_BYTES. */
export function variableName(place: readonly string[]): string {
  return prefix + place.map((part) => part.replace(/([a-z0-9])([A-Z])/g, '$1_$2').toUpperCase()).join('_')
}

/** Whether a variable can set the key: sections and mappings are for the file. */
export const hasVariable = (property: Property): boolean => !isMapping(property) && property.format !== 'sections'

/**
 * The variables that set keys of the schema, with `${...}` in them replaced. Reports MILLRACE_ variables that set
 * nothing. An empty one counts as not set, because that is what `VARIABLE: ${VARIABLE}` of a compose file gives.
 */
export function readVariables(
  schema: Section,
  sources: SubstitutionSources,
  problems: Problems,
): Record<string, string> {
  const places = new Map(
    propertiesOf(schema)
      .filter(([, property]) => hasVariable(property))
      .map(([place]) => [variableName(place), place]),
  )
  const variables: Record<string, string> = {}
  for (const [name, text] of Object.entries(sources.env)) {
    if (!name.startsWith(prefix) || !text || isServiceLink(name, text) || name === testSwitchVariable) continue
    if (name === failPointsVariable) {
      checkFailPoints(text, sources.env[testSwitchVariable], problems)
      continue
    }
    const place = places.get(name)
    if (place === undefined) {
      problems.addElsewhere(name, `unknown variable${meantVariable(name, [...places.keys()])}`)
      continue
    }
    problems.setBy(place, name)
    const value = substitute(text, place, sources, problems)
    if (value !== undefined) variables[name] = value
  }
  return variables
}

/** They let the process fail on purpose, so they need a second switch: one left behind must never arm a daemon. */
function checkFailPoints(text: string, testSwitch: string | undefined, problems: Problems): void {
  if (testSwitch !== '1') {
    problems.addElsewhere(failPointsVariable, `is for tests: remove it, or set ${testSwitchVariable}=1 beside it`)
    return
  }
  try {
    parseFailPoints(text)
  } catch (error) {
    problems.addElsewhere(failPointsVariable, (error as Error).message)
  }
}

function meantVariable(name: string, known: readonly string[]): string {
  const bare = (each: string) => each.slice(prefix.length)
  const hint = meant(bare(name), known.map(bare), '')
  return hint.endsWith('?') ? hint.replace('`', `\`${prefix}`) : '; docs/CONFIG.md lists those there are'
}

/**
 * Kubernetes sets such variables in every pod beside a Service whose name begins with `millrace`:
 * MILLRACE_SERVICE_HOST, MILLRACE_PORT_9464_TCP_ADDR and, for a Service `millrace-admin`, even
 * MILLRACE_ADMIN_PORT=tcp://10.0.0.1:9464.
 * https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
 */
function isServiceLink(name: string, text: string): boolean {
  return (
    /_SERVICE_(?:HOST|PORT(?:_\w+)?)$|_PORT_\d+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?$/.test(name) ||
    (name.endsWith('_PORT') && /^(?:tcp|udp|sctp):\/\//.test(text))
  )
}
