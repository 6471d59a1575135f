import { availableParallelism } from 'node:os'
import type { Config } from './config/schema.ts'
import { ConfigError, messageChain, SinkRefusedError } from './errors.ts'
import { producerSettings } from './kafka/client-settings.ts'
import { DeadLetterTopic } from './kafka/dead-letters.ts'
import type { TopicDirectory } from './kafka/topic-directory.ts'
import { routeOfTopic } from './routing.ts'
import { sinkCatalog } from './sinks/sink-catalog.ts'
import { WorkerPool } from './workers/worker-pool.ts'

/** Named topics must exist and have one route: a typo would otherwise wait for ever. Patterns may match later. */
export async function refuseMissingTopics(config: Config, topics: TopicDirectory): Promise<void> {
  const names = config.routes.flatMap(({ topics }) => topics).filter((topic) => !topic.startsWith('^'))
  for (const name of names) routeOfTopic(config.routes, name)
  await topics.describe(names)
}

/** The dead-letter topic's producer, connected; undefined when none is configured. It must exist, or nothing could go there. */
export async function connectDeadLetters(
  config: Config,
  topics: TopicDirectory,
  timeoutMs: number,
): Promise<DeadLetterTopic | undefined> {
  if (config.deadLetters === undefined) return undefined
  const { topic } = config.deadLetters
  try {
    await topics.describe([topic])
  } catch (cause) {
    const message = `the dead-letter topic cannot be used, create it first: ${messageChain(cause)}`
    throw new ConfigError('configuration', [{ path: 'deadLetters.topic', message }])
  }
  const deadLetters = new DeadLetterTopic(topic, config.kafka.group, producerSettings(config.kafka))
  await deadLetters.connect(timeoutMs)
  return deadLetters
}

/** One pool of threads a sink that a route uses, as large as the machine and the sink allow; by the sink's name. */
export function createPools(
  config: Config,
  deadLetters: DeadLetterTopic | undefined,
  onDeath: (sink: string, error: Error) => void,
): Map<string, WorkerPool> {
  const pools = new Map<string, WorkerPool>()
  const wanted = config.workers === 'auto' ? availableParallelism() : config.workers
  for (const [name, { type, ...options }] of Object.entries(config.sinks)) {
    const routes = config.routes.filter(({ sink }) => sink === name)
    if (routes.length === 0) continue
    const kind = sinkCatalog[type]
    if (kind === undefined) throw new SinkRefusedError(`sinks.${name}.type: there is no sink ${type}`)
    const setup = { group: config.kafka.group, sink: { name, type, options }, routes }
    const threads = Math.min(wanted, kind.threadsMax)
    pools.set(name, new WorkerPool(setup, threads, deadLetters, (error) => onDeath(name, error)))
  }
  return pools
}
