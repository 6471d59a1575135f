import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { ConfigError } from '../errors.ts'
import { checkTogether } from './check-together.ts'
import type { Draft } from './check-together.ts'
import { readVariables } from './environment.ts'
import { listed, meant } from './formats.ts'
import { rememberSinkOptions } from './masking.ts'
import { Problems } from './problems.ts'
import { configSchema, routeSchema } from './schema.ts'
import type { Config, RouteConfig, SinkOptions } from './schema.ts'
import { readSection } from './section.ts'
import type { SectionContext } from './section.ts'
import { sinkSchema } from './sink-options.ts'
import { parseSource } from './source-text.ts'
import { substituteAll } from './substitution.ts'

export { maskedConfig } from './masking.ts'

export interface LoadOptions {
  readonly env: Readonly<Record<string, string | undefined>>
  /** The options of every type of sink there is. */
  readonly sinkOptions: SinkOptions
  /** By the ending of the name when it is not given. */
  readonly format?: 'yaml' | 'json'
}

/** Reads the configuration file (JSON when its name ends in `.json`, YAML otherwise), or throws a ConfigError. */
export function loadConfig(path: string, options: LoadOptions): Config {
  return parseConfig(readText(path), path, options)
}

/**
 * The configuration that the text gives, with the environment over it, checked and frozen. Throws a ConfigError with
 * every problem there is. `sourceName` is the path of the file: relative paths in it start at its folder.
 */
export function parseConfig(text: string, sourceName: string, options: LoadOptions): Config {
  const { env, sinkOptions, format = sourceName.endsWith('.json') ? 'json' : 'yaml' } = options
  const source = parseSource(text, sourceName, format)
  const problems = new Problems(source.lineOf)
  const sources = { env, directory: dirname(resolve(sourceName)) }
  const context: SectionContext = { problems, directory: sources.directory }
  // First, because what they set in the file does not matter, even if it is wrong.
  const variables = readVariables(configSchema, sources, problems)
  const file = substituteAll(source.value, [], sources, problems)
  const read = readSection(configSchema, file, [], { ...context, variables })
  const { deadLetters, ...rest } = read
  const draft = {
    ...rest,
    routes: readRoutes(read['routes'], context),
    sinks: readSinks(read['sinks'], sinkOptions, context),
    ...readDeadLetters(deadLetters, file, problems),
  } as Draft<Config>
  checkTogether(draft, problems)
  const found = problems.list()
  if (found.length > 0) throw new ConfigError(sourceName, found)
  // Without a problem every key is there and of its type.
  const config = deepFreeze(draft as Config)
  rememberSinkOptions(config, sinkOptions)
  return config
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    const message =
      code === 'ENOENT' ? 'there is no such file; give its path with --config' : `cannot be read (${code})`
    throw new ConfigError(path, [{ path: '', message }])
  }
}

function readRoutes(routes: unknown, context: SectionContext): Draft<RouteConfig>[] {
  return ((routes ?? []) as unknown[]).map((route, at) => {
    const read = readSection(routeSchema, withTableSection(route), ['routes', at], context) as Draft<RouteConfig>
    const message = read.decode?.message?.replace(/^\./, '')
    const name = read.table?.name ?? (message === undefined ? undefined : snakeCase(message.split('.').at(-1)!))
    const table = { ...read.table, name }
    const { decode } = (route ?? {}) as { decode?: { tombstones?: unknown } | null }
    // The rule that deletes ask for needs not be written.
    const implied = table.deletes === true && (decode?.tombstones ?? null) === null
    const tombstones = implied ? ({ tombstones: 'delete' } as const) : {}
    return { ...read, name: read.name ?? name, table, decode: { ...read.decode, message, ...tombstones } }
  })
}

/** A route's table may be written as its name alone. */
function withTableSection(route: unknown): unknown {
  const { table } = (route ?? {}) as { table?: unknown }
  const isName = ['string', 'number', 'boolean'].includes(typeof table)
  return isName ? { ...(route as object), table: { name: table } } : route
}

/** `SensorReading` -> `sensor_reading`, `HTTPLogV2` -> `http_log_v2` */
function snakeCase(name: string): string {
  return name
    .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
    .replace(/([A-Z])([A-Z][a-z])/g, '$1_$2')
    .toLowerCase()
}

function readSinks(sinks: unknown, sinkOptions: SinkOptions, context: SectionContext): Record<string, unknown> {
  const read = Object.entries((sinks ?? {}) as Record<string, unknown>).map(([name, sink]) => {
    return [name, readSink(name, sink, sinkOptions, context)]
  })
  return Object.fromEntries(read) as Record<string, unknown>
}

/** A sink of unknown type is only reported as that: nothing can be said of its options. */
function readSink(name: string, sink: unknown, sinkOptions: SinkOptions, context: SectionContext): unknown {
  const type = typeOf(sink)
  const schema = typeof type === 'string' ? sinkSchema(type, sinkOptions) : undefined
  if (schema !== undefined) return readSection(schema, sink, ['sinks', name], context)
  const { problems } = context
  const place = ['sinks', name, 'type']
  const types = Object.keys(sinkOptions)
  if (type === undefined || type === null) problems.add(place, `is missing: write ${listed(types)}`)
  else if (typeof type !== 'string') problems.add(place, `must be ${listed(types)}`)
  else problems.add(place, `there is no sink type ${problems.shown(place, type)}${meant(type, types, 'there are')}`)
  return {}
}

const typeOf = (sink: unknown): unknown =>
  typeof sink === 'object' && sink !== null ? (sink as { type?: unknown }).type : undefined

/** The section is there with a topic or not at all. */
function readDeadLetters(deadLetters: unknown, file: unknown, problems: Problems): { deadLetters?: unknown } {
  if ((deadLetters as { topic?: string }).topic !== undefined) return { deadLetters }
  const isThere = ((file ?? {}) as { deadLetters?: unknown }).deadLetters
  if (isThere !== undefined && isThere !== null) {
    problems.add(['deadLetters', 'topic'], 'is missing: name the topic, or remove `deadLetters`')
  }
  return {}
}

function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value
  for (const each of Object.values(value)) deepFreeze(each)
  return Object.freeze(value)
}
