import type { SinkOption } from '../sinks/sink.ts'
import type { FormatName, Property } from './formats.ts'
import { formats } from './formats.ts'
import type { Section, SinkOptions } from './schema.ts'

/** The section of a sink of this type; undefined when there is no such type. */
export function sinkSchema(type: string, sinkOptions: SinkOptions): Section | undefined {
  if (!Object.hasOwn(sinkOptions, type)) return undefined
  const options = Object.entries(sinkOptions[type]!).map(([name, option]) => [name, sinkProperty(option)])
  return { type: typeProperty(Object.keys(sinkOptions)), ...(Object.fromEntries(options) as Section) }
}

export const typeProperty = (types: readonly string[]): Property => ({
  doc: 'The kind of store.',
  format: 'oneOf',
  choices: types,
  default: undefined,
})

/**
 * A sink's option in our terms. Sinks write convict's formats, because they own no part of us. As with convict, a
 * default of null that the format does not take means that the option must be given; undefined means that it may be
 * left out.
 */
export function sinkProperty(option: SinkOption): Property {
  const { doc, sensitive = false } = option
  const required = option.default === null && !takesNull(option.format)
  return {
    doc,
    sensitive,
    default: option.default ?? undefined,
    ...propertyFormat(option.format),
    ...(required ? { required: doc } : {}),
  }
}

type PropertyFormat = Pick<Property, 'format' | 'choices' | 'min' | 'max' | 'check'>

const convictFormats: Readonly<Record<string, PropertyFormat>> = {
  '*': { format: 'any' },
  string: { format: 'text' },
  boolean: { format: 'flag' },
  array: { format: 'textList' },
  int: { format: 'integer' },
  nat: { format: 'integer', min: 0 },
  port: { format: 'integer', min: 0, max: 65_535 },
}

function propertyFormat(format: unknown): PropertyFormat {
  if (isTexts(format)) return { format: 'oneOf', choices: format }
  // String, Number, Boolean and Array, as convict takes them.
  const constructors: readonly unknown[] = [String, Number, Boolean, Array]
  if (typeof format === 'function' && !constructors.includes(format)) {
    return { format: 'any', check: (value) => refusalOf(format as (value: unknown) => void, value) }
  }
  const name = typeof format === 'function' ? format.name : String(format)
  if (Object.hasOwn(formats, name)) return { format: name as FormatName }
  const known = convictFormats[name.toLowerCase()]
  if (known === undefined)
    throw new TypeError(`a sink's option has the format ${name}, which is none of ours or convict's`)
  return known
}

const isTexts = (format: unknown): format is string[] =>
  Array.isArray(format) && format.every((each) => typeof each === 'string')

function refusalOf(format: (value: unknown) => void, value: unknown): string | undefined {
  try {
    format(value)
    return undefined
  } catch (error) {
    return (error as Error).message
  }
}

function takesNull(format: unknown): boolean {
  if (typeof format !== 'function' || format.name in globalThis) return false
  return refusalOf(format as (value: unknown) => void, null) === undefined
}
