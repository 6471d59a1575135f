import { spawn } from 'node:child_process'
import { once } from 'node:events'
import kafka from '@confluentinc/kafka-javascript'
import type { KafkaBroker } from '../support/kafka-broker.ts'
import { installKafka } from '../support/kafka-installation.ts'
import type { PostgresServer } from '../support/postgres-server.ts'
import type { TcpProxy } from '../support/tcp-proxy.ts'
import type { DuckDbStore } from './duckdb-store.ts'
import type { Generator } from './generator.ts'
import type { Sampler } from './sampler.ts'
import type { Seeded } from './seeded.ts'
import type { Store } from './store.ts'
import type { Target } from './target.ts'
import type { Topics } from './topics.ts'

/** Everything that a fault may lay hands on. */
export interface Arena {
  readonly target: Target
  readonly store: Store
  /** Of a DuckDB run. */
  readonly duckdb: DuckDbStore | undefined
  /** Of a PostgreSQL run. */
  readonly postgres: PostgresServer | undefined
  readonly broker: KafkaBroker
  readonly kafkaProxy: TcpProxy
  readonly generator: Generator
  readonly sampler: Sampler
  readonly topics: Topics
  readonly group: string
  readonly random: Seeded
  /** What proves that faults bit. */
  readonly sometimes: Sometimes
}

/** How often each of the moments was hit that a run is worth little without. */
export interface Sometimes {
  killedDuringFlush: number
  replyLost: number
  partitionsAdded: number
  ownFaultsFired: number
}

/** Changes a topic's setting with Kafka's own tool, beside our event loop: the proxies live on it. */
export async function alterTopic(broker: KafkaBroker, topic: string, setting: string): Promise<void> {
  const { java, classPath } = await installKafka()
  const tool = ['kafka.admin.ConfigCommand', '--bootstrap-server', broker.bootstrap, '--alter']
  const about = ['--entity-type', 'topics', '--entity-name', topic, '--add-config', setting]
  const child = spawn(java, ['-Xmx128m', '-cp', classPath, ...tool, ...about], { stdio: 'ignore', timeout: 30_000 })
  await once(child, 'exit')
}

export async function addPartitions(bootstrap: string, topic: string, partitions: number): Promise<void> {
  const admin = kafka.AdminClient.create({ 'bootstrap.servers': bootstrap })
  try {
    await new Promise<void>((resolve, reject) => {
      admin.createPartitions(topic, partitions, 10_000, (error: unknown) => (error ? reject(error) : resolve()))
    })
  } finally {
    admin.disconnect()
  }
}
