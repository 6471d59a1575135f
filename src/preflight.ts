import { availableParallelism } from 'node:os'
import type { Config } from './config/schema.ts'
import { ConfigError, messageChain, SinkRefusedError } from './errors.ts'
import { producerSettings } from './kafka/client-settings.ts'
import { DeadLetterTopic } from './kafka/dead-letters.ts'
import { createProducer } from './kafka/producer-choice.ts'
import type { Topics } from './kafka/topic-directory.ts'
import type { MemoryPlan } from './memory-plan.ts'
import type { RouteSchemas } from './route-schemas.ts'
import { namedAndMatched, routeOfTopic } from './routing.ts'
import { sinkCatalog } from './sinks/sink-catalog.ts'
import type { SinkKind } from './sinks/sink.ts'
import { FloodGuard } from './workers/flood-guard.ts'
import { WorkerPool } from './workers/worker-pool.ts'
import type { PoolSize } from './workers/worker-pool.ts'

/**
 * How many partitions this member can be assigned at the most. Named topics must exist and have one route: a typo would
 * otherwise wait for ever. Patterns may match more later; now they count for what they match.
 */
export async function countPartitions({ routes }: Config, topics: Topics, timeoutMs: number): Promise<number> {
  const there = await topics.list(timeoutMs)
  const wanted = routes.flatMap((route) => route.topics)
  const all = namedAndMatched(wanted, there)
  for (const name of all) routeOfTopic(routes, name)
  const described = await topics.describe(all)
  return described.reduce((sum, { partitions }) => sum + partitions, 0)
}

/** The dead-letter topic's producer, connected; undefined when none is configured. It must exist, or nothing could go there. */
export async function connectDeadLetters(
  config: Config,
  topics: Topics,
  timeoutMs: number,
): Promise<DeadLetterTopic | undefined> {
  if (config.deadLetters === undefined) return undefined
  const { topic, overflowPath } = config.deadLetters
  try {
    await topics.describe([topic])
  } catch (cause) {
    const message = `the dead-letter topic cannot be used, create it first: ${messageChain(cause)}`
    throw new ConfigError('configuration', [{ path: 'deadLetters.topic', message }])
  }
  const producer = createProducer(config.reader, topic, producerSettings(config.kafka))
  const deadLetters = new DeadLetterTopic(topic, producer, overflowPath)
  await deadLetters.connect(timeoutMs)
  return deadLetters
}

/** The pool of each sink that a route uses, as the machine and the sink allow; by the sink's name. */
export function sizePools({ sinks, routes, workers, batch }: Config): Map<string, PoolSize> {
  const wanted = workers === 'auto' ? availableParallelism() : workers
  const used = Object.entries(sinks).filter(([name]) => routes.some(({ sink }) => sink === name))
  return new Map(
    used.map(([name, { type, connections }]) => {
      const { threadsMax, loadsAThread, load } = kindOf(name, type)
      // Where a sink has the option, each of its threads is a connection.
      const own = typeof connections === 'number' && connections > 0 ? connections : wanted
      return [name, { threads: Math.min(own, threadsMax), loadsAThread, limits: { ...load, ...batch } }]
    }),
  )
}

/** One pool of threads a sink; by the sink's name. */
export function createPools(
  config: Config,
  schemas: RouteSchemas,
  sizes: ReadonlyMap<string, PoolSize>,
  memory: MemoryPlan,
  deadLetters: DeadLetterTopic | undefined,
  onDeath: (sink: string, error: Error) => void,
  onNotice: (sink: string, notice: string) => void,
): Map<string, WorkerPool> {
  const kept = deadLetters && { store: deadLetters, guard: new FloodGuard(config.deadLetters?.maxRate ?? 1) }
  const pools = [...sizes].map(([name, size]): [string, WorkerPool] => {
    const { type, ...options } = config.sinks[name]!
    const own = config.routes.filter(({ sink }) => sink === name)
    const routes = own.map((route) => ({ ...route, schema: schemas.filesOf(route.name) }))
    const setup = { group: config.kafka.group, sink: { name, type, options }, routes }
    const limits = { ...size.limits, maxBytes: Math.min(size.limits.maxBytes, memory.loadBytesMax) }
    const died = (error: Error) => onDeath(name, error)
    const told = (notice: string) => onNotice(name, notice)
    return [name, new WorkerPool(setup, { ...size, limits }, kept, died, told)]
  })
  return new Map(pools)
}

function kindOf(name: string, type: string): SinkKind {
  const kind = sinkCatalog[type]
  if (kind === undefined) throw new SinkRefusedError(`sinks.${name}.type: there is no sink ${type}`)
  return kind
}
