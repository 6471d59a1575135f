import convict from 'convict'
import { nearestName } from './nearest-name.ts'
import type { Fault } from './problems.ts'
import { parseSize } from './sizes.ts'

/** What a key may hold. `anyCase` is `oneOf` for words that other tools write in capitals, such as SASL_SSL. */
export type FormatName =
  | 'text'
  | 'textList'
  | 'commaList'
  | 'integer'
  | 'number'
  | 'milliseconds'
  | 'size'
  | 'flag'
  | 'oneOf'
  | 'anyCase'
  | 'columnList'
  | 'metadataList'
  | 'autoOrInteger'
  | 'properties'
  | 'sections'
  | 'namedSections'
  | 'any'

/** One key of the configuration: a convict property, and what we say and check beyond convict. */
export interface Property {
  /** What the key means, in sentences. */
  readonly doc: string
  readonly format: FormatName
  /** Undefined: there is none. Texts are read as in a file, so that a size may be `8MiB`. */
  readonly default: unknown
  readonly sensitive?: boolean
  /** Set when the key must be there: how to add it. */
  readonly required?: string
  readonly choices?: readonly string[]
  readonly min?: number
  readonly max?: number
  /** A relative path starts at the folder of the configuration file. */
  readonly relativeToFile?: boolean
  /** What is wrong with a value, or an item of a list, that has the right type. */
  readonly check?: (value: unknown) => string | undefined
}

export interface Format {
  /** The type as the documentation names it. */
  readonly describe: (property: Property) => string
  /** What a text (of the environment, of a substitution, in quotes) stands for; the text itself when for nothing. */
  readonly coerce?: (text: string) => unknown
  /** What is wrong with the value or, with `at`, with an item of it. */
  readonly faults: (value: unknown, property: Property) => readonly (Fault & { readonly at?: number | string })[]
}

// Node's timers fire at once when they are asked to wait longer than this.
const timerMsMax = 2 ** 31 - 1

export const formats: Readonly<Record<FormatName, Format>> = {
  text: { describe: () => 'text', faults: (value) => textFaults(value) },
  textList: {
    describe: () => 'text, or a list of texts',
    coerce: (text) => [text],
    faults: (value, property) => listFaults(value, property, 'must be a text or a list of texts', textFaults),
  },
  commaList: {
    describe: () => 'a list of texts, or one text with commas',
    coerce: (text) => splitAtCommas(text),
    faults: (value, property) =>
      listFaults(value, property, 'must be a list of texts, or one text with commas', textFaults),
  },
  integer: {
    describe: (property) => wholeNumber(property),
    coerce: (text) => toInteger(text),
    faults: (value, property) => integerFaults(value, property, `must be a ${wholeNumber(property)}`),
  },
  number: {
    describe: () => 'number',
    coerce: (text) => (/^[+-]?\d+(\.\d+)?$/.test(text) ? Number(text) : text),
    faults: (value) => (Number.isFinite(value) ? [] : [{ message: 'must be a number', value }]),
  },
  milliseconds: {
    describe: () => 'milliseconds',
    coerce: (text) => toInteger(text),
    faults: (value, { min }) => {
      const bounds = { min: min ?? 0, max: timerMsMax }
      return integerFaults(value, bounds, `must be a ${wholeNumber(bounds)}, in milliseconds`)
    },
  },
  size: {
    describe: () => 'size, such as `8MiB`, or bytes',
    coerce: (text) => parseSize(text) ?? text,
    faults: (value, { min = 0 }) => integerFaults(value, { min }, sizeSentence(min)),
  },
  flag: {
    describe: () => '`true` or `false`',
    coerce: (text) => (/^true$/i.test(text) ? true : /^false$/i.test(text) ? false : text),
    faults: (value) => (typeof value === 'boolean' ? [] : [{ message: 'must be `true` or `false`', value }]),
  },
  oneOf: {
    describe: ({ choices = [] }) => listed(choices),
    faults: (value, { choices = [] }) => choiceFaults(value, choices),
  },
  anyCase: {
    describe: ({ choices = [] }) => listed(choices),
    coerce: (text) => text.toLowerCase(),
    faults: (value, { choices = [] }) => choiceFaults(value, choices),
  },
  metadataList: {
    describe: ({ choices = [] }) => `a list of any of ${listed(choices)}, and of \`{ header: name }\``,
    coerce: (text) => splitAtCommas(text),
    faults: (value, property) => {
      const { choices = [] } = property
      const message = `must be a list of any of ${listed(choices)}, and of \`{ header: name }\``
      return listFaults(value, property, message, (item) => metadataFaults(item, choices))
    },
  },
  columnList: {
    describe: () => 'a list of names and of `{ from: name, as: other }`',
    coerce: (text) => splitAtCommas(text),
    faults: (value, property) => {
      const message = 'must be a list: of names, or of `{ from: name, as: other }`'
      return listFaults(value, { ...property, required: message }, message, columnFaults)
    },
  },
  autoOrInteger: {
    describe: (property) => `\`auto\`, or a ${wholeNumber(property)}`,
    coerce: (text) => toInteger(text),
    faults: (value, property) =>
      value === 'auto' ? [] : integerFaults(value, property, `must be \`auto\` or a ${wholeNumber(property)}`),
  },
  properties: {
    describe: () => 'a mapping of names to texts, numbers or booleans',
    faults: (value) => (value as readonly [string, unknown][]).flatMap(([name, each]) => propertyFaults(name, each)),
  },
  sections: {
    describe: () => 'a list of sections',
    faults: (value) => (Array.isArray(value) ? [] : [{ message: 'must be a list: begin each item with `- `', value }]),
  },
  namedSections: { describe: () => 'a mapping of names to sections', faults: () => [] },
  any: { describe: () => 'any value', faults: () => [] },
}

/** Formats whose value is a mapping; that of all others is a scalar or a list. */
export const isMapping = ({ format }: Property): boolean => format === 'properties' || format === 'namedSections'

/** Calls a function for each thing wrong with a value. Convict's own errors would be one text, with values in it. */
export interface ReportingProperty {
  readonly property: Property
  readonly report: (fault: Fault & { readonly at?: number | string }) => void
}

/** What convict knows our formats by: its own would read `12abc` as 12 and `no` as true. */
export const convictFormat = (name: FormatName): string => `millrace-${name}`

// Convict keeps formats for the whole process.
convict.addFormats(
  Object.fromEntries(
    Object.entries(formats).map(([name, { coerce, faults }]) => {
      const validate = (value: unknown, schema: unknown) => {
        const { property, report } = schema as ReportingProperty
        const found = faults(value, property)
        for (const fault of found.length > 0 ? found : checkFaults(value, property)) report(fault)
      }
      return [convictFormat(name as FormatName), { validate, ...(coerce ? { coerce } : {}) }]
    }),
  ),
)

/** `a`, `b` or `c` */
export function listed(names: readonly string[], word: 'or' | 'and' = 'or'): string {
  const quoted = names.map((name) => `\`${name}\``)
  if (quoted.length < 2) return quoted.join('')
  return `${quoted.slice(0, -1).join(', ')} ${word} ${quoted.at(-1)}`
}

/** `; did you mean x?`, or the names there are when none is near. */
export function meant(name: string, known: readonly string[], otherwise = 'known here'): string {
  const nearest = nearestName(name, known)
  if (nearest !== undefined) return `; did you mean \`${nearest}\`?`
  return known.length > 0 ? `; ${otherwise}: ${listed(known, 'and')}` : ''
}

const isList = ({ format }: Property): boolean => ['textList', 'commaList'].includes(format)

function checkFaults(value: unknown, property: Property): readonly (Fault & { at?: number })[] {
  const { check, format } = property
  if (check === undefined) return []
  if (isList(property)) {
    return (value as unknown[]).flatMap((item, at) => {
      const message = check(item)
      return message === undefined ? [] : [{ message, value: item, at }]
    })
  }
  const message = check(value)
  if (message === undefined) return []
  // What is wrong with `any` value are a sink's own words.
  return [format === 'any' ? { message: 'is not accepted', quoting: message } : { message, value }]
}

function textFaults(value: unknown): Fault[] {
  if (value === '') return [{ message: 'must not be empty' }]
  if (typeof value === 'string') return []
  // YAML has changed such a value already: 007 is 7 by now.
  if (typeof value === 'number' || typeof value === 'boolean') return [{ message: 'must be text: put it in quotes' }]
  return [{ message: 'must be text' }]
}

function listFaults(
  value: unknown,
  { required }: Property,
  message: string,
  faultsOf: (item: unknown) => Fault[],
): (Fault & { at?: number })[] {
  if (!Array.isArray(value)) return [{ message, value }]
  if (value.length === 0 && required !== undefined) return [{ message: 'must not be empty' }]
  return value.flatMap((item, at) => faultsOf(item).map((fault) => ({ ...fault, at })))
}

function columnFaults(value: unknown): Fault[] {
  if (typeof value !== 'object' || value === null) return textFaults(value)
  const { from, as, ...others } = value as Readonly<Record<string, unknown>>
  const isRename = [from, as].every((each) => typeof each === 'string' && each !== '')
  if (isRename && Object.keys(others).length === 0) return []
  return [{ message: 'must be a name, or `{ from: name, as: other }`' }]
}

function metadataFaults(value: unknown, choices: readonly string[]): Fault[] {
  if (typeof value !== 'object' || value === null) return choiceFaults(value, choices)
  const { header, ...others } = value as Readonly<Record<string, unknown>>
  if (typeof header === 'string' && header !== '' && Object.keys(others).length === 0) return []
  return [{ message: `must be ${listed(choices)}, or \`{ header: name }\`` }]
}

function choiceFaults(value: unknown, choices: readonly string[]): Fault[] {
  if (choices.includes(value as string)) return []
  const nearest = typeof value === 'string' ? nearestName(value, choices) : undefined
  const message = `must be ${listed(choices)}`
  return [{ message, value, ...(nearest === undefined ? {} : { hint: `; did you mean \`${nearest}\`?` }) }]
}

function integerFaults(value: unknown, { min, max }: { min?: number; max?: number }, message: string): Fault[] {
  const fits =
    Number.isSafeInteger(value) && (value as number) >= (min ?? -Infinity) && (value as number) <= (max ?? Infinity)
  return fits ? [] : [{ message, value }]
}

function propertyFaults(name: string, value: unknown): (Fault & { at: string })[] {
  if (['string', 'boolean'].includes(typeof value) || Number.isFinite(value)) return []
  return [{ message: 'must be text, a number, `true` or `false`', at: name }]
}

function sizeSentence(min: number): string {
  const least = min > 1 ? `, of ${min} bytes at least` : min === 1 ? ', above 0' : ''
  return `must be a size such as \`8MiB\` or a number of bytes${least}`
}

function wholeNumber({ min, max }: { min?: number; max?: number }): string {
  if (min === undefined) return 'whole number'
  return max === undefined ? `whole number from ${min}` : `whole number from ${min} to ${max}`
}

const toInteger = (text: string): unknown => (/^[+-]?\d{1,15}$/.test(text) ? Number(text) : text)

const splitAtCommas = (text: string): string[] =>
  text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')
