import { once } from 'node:events'
import { connect } from 'node:net'
import kafka from '@confluentinc/kafka-javascript'
import type { KafkaBroker } from '../support/kafka-broker.ts'
import type { PostgresServer } from '../support/postgres-server.ts'
import type { Seeded } from '../support/seeded.ts'
import type { TcpProxy } from '../support/tcp-proxy.ts'
import type { DuckDbStore } from './duckdb-store.ts'
import type { Generator } from './generator.ts'
import type { Sampler } from './sampler.ts'
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
}

/**
 * Changes a topic's setting: IncrementalAlterConfigs (key 44, version 0), which the binding lacks. Kafka's own tool is a Java
 * process each time, many seconds on a busy machine. https://kafka.apache.org/protocol#The_Messages_IncrementalAlterConfigs
 */
export async function alterTopic(bootstrap: string, topic: string, name: string, value: string): Promise<void> {
  const number = (bytes: 1 | 2 | 4, of: number) => {
    const buffer = Buffer.alloc(bytes)
    buffer.writeIntBE(of, 0, bytes)
    return buffer
  }
  const text = (of: string) => Buffer.concat([number(2, of.length), Buffer.from(of)])
  const [topicResource, set, notOnlyValidate] = [2, 0, 0]
  const request = Buffer.concat([
    ...[number(2, 44), number(2, 0), number(4, 1), text('chaos')],
    ...[number(4, 1), number(1, topicResource), text(topic)],
    ...[number(4, 1), text(name), number(1, set), text(value), number(1, notOnlyValidate)],
  ])
  const [host, port] = bootstrap.split(':')
  const socket = connect(Number(port), host)
  socket.setTimeout(10_000, () => socket.destroy(new Error('the broker did not answer')))
  try {
    socket.write(Buffer.concat([number(4, request.length), request]))
    const [answer] = (await once(socket, 'data')) as [Buffer]
    // After size, correlation, throttling and the number of resources.
    const code = answer.readInt16BE(16)
    if (code !== 0) throw new Error(`Kafka answers ${code} to ${name}=${value}`)
  } finally {
    socket.destroy()
  }
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
