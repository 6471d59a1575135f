import { resolve } from 'node:path'
import convict from 'convict'
import { convictFormat, formats, isMapping, meant } from './formats.ts'
import type { ReportingProperty } from './formats.ts'
import { placeText } from './problems.ts'
import type { Fault, Place, Problems } from './problems.ts'
import { isProperty, propertiesOf } from './schema.ts'
import type { Section } from './schema.ts'
import { hasVariable, variableName } from './environment.ts'

type Values = Record<string, unknown>

export interface SectionContext {
  readonly problems: Problems
  /** The folder that paths start at. */
  readonly directory: string
  /** MILLRACE_ variables, over the file. */
  readonly variables?: Readonly<Record<string, string>>
}

/**
 * What a section holds: the file's values under those of the environment and over the defaults, of the right types.
 * Keys that are wrong, or missing without a default, are absent, and why is among the problems.
 */
export function readSection(schema: Section, value: unknown, place: Place, context: SectionContext): Values {
  const { problems, variables } = context
  hideSecrets(schema, place, problems)
  const known = pickKnown(schema, value, place, problems)
  const wrong = new Set<string>()
  const report: Report = (property, fault) => {
    const item = fault.at === undefined ? property : [...property, fault.at]
    // Of a mapping only the entry is dropped: the others can still be looked at together with other keys.
    wrong.add(placeText(typeof fault.at === 'string' ? item : property))
    problems.add(item, fault)
  }
  // Convict reads process.env and process.argv unless it is given others.
  const options = { env: { ...variables }, args: [] }
  const section = convict<Values>(toConvict(schema, place, variables !== undefined, report), options)
  // Our formats report, and never throw: an error of convict's here is a fault of ours.
  section.load(known).validate({ allowed: 'strict' })
  return finish(schema, section.getProperties(), place, wrong, context)
}

/**
 * The part of a file that the schema knows, in the shape convict can take: it fails on a scalar where a section should
 * be, and takes dots in a mapping's keys for levels, so mappings go as lists of entries. Reports what is left out.
 */
function pickKnown(schema: Section, value: unknown, place: Place, problems: Problems): Values {
  // A section of which all lines are commented out.
  if (value === undefined || value === null) return {}
  if (!isPlainObject(value)) {
    problems.add(place, `must be a section: keys such as \`${Object.keys(schema)[0] ?? 'type'}: ...\``)
    return {}
  }
  const known: Values = {}
  for (const [key, each] of Object.entries(value)) {
    const node = Object.hasOwn(schema, key) ? schema[key] : undefined
    const at = [...place, key]
    let picked: unknown
    if (node === undefined) problems.addKey(place, key, unknownKey(key, Object.keys(schema)))
    else if (!isProperty(node)) picked = pickKnown(node, each, at, problems)
    else if (isMapping(node)) picked = entries(each, at, problems)
    else if (isPlainObject(each))
      problems.add(at, formats[node.format].faults(each, node)[0] ?? 'must not be a mapping')
    else picked = each ?? undefined
    if (picked !== undefined) known[key] = picked
  }
  return known
}

/** Keys are shown only as far as they look like one: `password:secret`, without a space, is a key to YAML. */
function unknownKey(key: string, known: readonly string[]): string {
  const name = /^[\w.-]{0,60}/.exec(key)![0]
  if (name === key) return `unknown key \`${name}\`${meant(name, known)}`
  if (name !== '' && key[name.length] === ':') return `\`${name}:\` needs a space after the colon`
  return 'unknown key, which is not even a name'
}

function entries(value: unknown, place: Place, problems: Problems): [string, unknown][] | undefined {
  if (value === undefined || value === null) return undefined
  if (!isPlainObject(value)) {
    problems.add(place, 'must be a mapping: `name: value`')
    return undefined
  }
  return Object.entries(value).filter(([name]) => {
    const isName = /^[a-z0-9][\w.-]*$/i.test(name)
    if (!isName) problems.addKey(place, name, 'a name here must be of letters, digits, `.`, `_` and `-`')
    return isName
  })
}

type Report = (property: Place, fault: Fault & { readonly at?: number | string }) => void

function toConvict(schema: Section, place: Place, variables: boolean, report: Report): convict.Schema<Values> {
  const nodes = Object.entries(schema).map(([key, node]) => {
    const at = [...place, key]
    if (!isProperty(node)) return [key, toConvict(node, at, variables, report)]
    const reporting: ReportingProperty = { property: node, report: (fault) => report(at, fault) }
    const env = variables && hasVariable(node) ? { env: variableName(at as string[]) } : {}
    const { doc, sensitive = false } = node
    return [key, { doc, sensitive, format: convictFormat(node.format), default: node.default, ...env, ...reporting }]
  })
  return Object.fromEntries(nodes) as convict.Schema<Values>
}

/** Takes away what is wrong and what is not set, demands what is required, and makes paths absolute. */
function finish(
  schema: Section,
  values: Values,
  place: Place,
  wrong: ReadonlySet<string>,
  { problems, directory }: SectionContext,
): Values {
  const finished: Values = {}
  for (const [key, node] of Object.entries(schema)) {
    const at = [...place, key]
    const value = values[key]
    if (!isProperty(node)) {
      finished[key] = finish(node, value as Values, at, wrong, { problems, directory })
    } else if (wrong.has(placeText(at))) {
      continue
    } else if (value === undefined) {
      // Of a section that is something else altogether, all is missing: no need to say so.
      if (node.required !== undefined && !problems.has(place)) problems.add(at, `is missing: ${node.required}`)
    } else if (isMapping(node)) {
      const right = (value as [string, unknown][]).filter(([name]) => !wrong.has(placeText([...at, name])))
      finished[key] = Object.fromEntries(right)
    } else {
      finished[key] = node.relativeToFile === true ? absolute(value as string | string[], directory) : value
    }
  }
  return finished
}

const absolute = (path: string | readonly string[], directory: string): string | string[] =>
  typeof path === 'string' ? resolve(directory, path) : path.map((each) => resolve(directory, each))

function hideSecrets(schema: Section, place: Place, problems: Problems): void {
  for (const [at, { sensitive }] of propertiesOf(schema)) if (sensitive === true) problems.hide([...place, ...at])
}

const isPlainObject = (value: unknown): value is Values =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
