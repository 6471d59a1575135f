import { loadConfig } from '../config/load.ts'
import type { Config } from '../config/schema.ts'
import { createDecoder } from '../decode/create-decoder.ts'
import type { TableSchema } from '../decode/columns.ts'
import { messageChain } from '../errors.ts'
import type { Problem } from '../errors.ts'
import { connectionSettings } from '../kafka/client-settings.ts'
import { TopicDirectory } from '../kafka/topic-directory.ts'
import { isPattern, routeOfTopic } from '../routing.ts'
import { exitCodes } from '../shutdown.ts'
import { sinkOptions } from '../sinks/sink-catalog.ts'
import { withSink } from './with-sink.ts'

const connectTimeoutMs = 10_000

/**
 * `millrace check`: looks at everything that `run` needs and reports every problem, each with its place; joins no group
 * and reads nothing. The config itself must load (a ConfigError with all its problems otherwise). Resolves with the exit code.
 */
export async function check(configFile: string, print: (line: string) => void): Promise<number> {
  const config = loadConfig(configFile, { env: process.env, sinkOptions })
  const schemas = await checkSchemas(config)
  const problems = [
    ...schemas.problems,
    ...(await checkKafka(config)),
    ...(await checkSinks(config, schemas.tables, print)),
  ]
  for (const { path, message } of problems) print(`${path}: ${message}`)
  print(problems.length === 0 ? `${configFile}: ok` : `${configFile}: ${problems.length} problem(s)`)
  return problems.length === 0 ? exitCodes.ok : exitCodes.usage
}

interface RouteTable {
  readonly sink: string
  readonly table: TableSchema
}

async function checkSchemas(config: Config): Promise<{ problems: Problem[]; tables: readonly RouteTable[] }> {
  const tables: RouteTable[] = []
  const problems = await collect(
    config.routes.map(({ sink, decode, table, metadata, columns }, index) => ({
      path: `routes[${index}].decode`,
      act: async () => {
        const decoder = await createDecoder(decode, table, metadata, columns)
        tables.push({ sink, table: decoder.table })
      },
    })),
  )
  return { problems, tables }
}

async function checkKafka(config: Config): Promise<Problem[]> {
  const topics = new TopicDirectory(connectionSettings(config.kafka))
  try {
    const unreachable = await collect([{ path: 'kafka.brokers', act: () => topics.list(connectTimeoutMs) }])
    if (unreachable.length > 0) return unreachable
    const named = config.routes.flatMap((route, index) =>
      route.topics
        .filter((topic) => !isPattern(topic))
        .map((topic) => ({
          path: `routes[${index}].topics`,
          act: async () => {
            routeOfTopic(config.routes, topic)
            await topics.describe([topic])
          },
        })),
    )
    const { deadLetters } = config
    const kept = deadLetters && { path: 'deadLetters.topic', act: () => topics.describe([deadLetters.topic]) }
    return await collect(kept ? [...named, kept] : named)
  } finally {
    topics.close()
  }
}

/** Prints what `run` would change in a sink that can tell it, and changes nothing there. */
async function checkSinks(
  config: Config,
  tables: readonly RouteTable[],
  print: (line: string) => void,
): Promise<Problem[]> {
  return collect(
    Object.keys(config.sinks).map((name) => ({
      path: `sinks.${name}`,
      act: () =>
        withSink(config, name, async (sink) => {
          if (sink.plan === undefined) return sink.open()
          const statements = await sink.plan(tables.filter((each) => each.sink === name).map(({ table }) => table))
          if (statements.length > 0) print(`sinks.${name}: run would execute`)
          for (const statement of statements) print(`${statement};`)
        }),
    })),
  )
}

async function collect(checks: readonly { path: string; act: () => Promise<unknown> }[]): Promise<Problem[]> {
  const problems: Problem[] = []
  for (const { path, act } of checks) {
    try {
      await act()
    } catch (error) {
      problems.push({ path, message: messageChain(error) })
    }
  }
  return problems
}
