import { spawnSync } from 'node:child_process'
import { existsSync, renameSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { PythonRival } from '../../bench/support/python-rival.ts'
import { packageRoot } from '../../src/package-root.ts'
import type { Encoding } from './entry.ts'
import { MemberProcess } from './member-process.ts'
import type { Setting, Target, Told } from './target.ts'
import { sourceTopics } from './topics.ts'

/** How a rival is run: what it reads, and the command of a member. */
export interface Rival {
  readonly name: string
  readonly encoding: Encoding
  command(setting: Setting, member: number): readonly string[]
}

const lastWordsLines = 3

/** Somebody else's way from Kafka to a table, under the same schedule. It tells nothing of itself. */
export class RivalTarget implements Target {
  readonly name: string
  readonly encoding: Encoding
  readonly ownFaults = []
  readonly #rival: Rival
  readonly #setting: Setting
  readonly #members = new Map<number, MemberProcess>()
  readonly #unaskedEnds: Record<string, number> = {}
  readonly #lastWords: string[] = []

  constructor(rival: Rival, setting: Setting) {
    this.name = rival.name
    this.encoding = rival.encoding
    this.#rival = rival
    this.#setting = setting
  }

  async start(member: number): Promise<void> {
    const command = this.#rival.command(this.#setting, member)
    const process = new MemberProcess(
      () => ({ command, env: globalThis.process.env, onLine: () => undefined }),
      (how) => {
        this.#unaskedEnds[how] = (this.#unaskedEnds[how] ?? 0) + 1
        if (this.#lastWords.length < 60) this.#lastWords.push(...process.lines.slice(-lastWordsLines))
      },
    )
    this.#members.set(member, process)
    process.start()
  }

  async stop(member: number): Promise<void> {
    await this.#members.get(member)?.end('SIGTERM')
    this.#members.delete(member)
  }

  async kill(member: number): Promise<boolean> {
    await this.#members.get(member)?.end('SIGKILL')
    this.#members.delete(member)
    return false
  }

  signal(member: number, signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.#members.get(member)?.signal(signal)
  }

  running(): number[] {
    return [...this.#members.keys()]
  }

  residentBytes(): number {
    return Math.max(0, ...[...this.#members.values()].map((member) => member.residentBytes()))
  }

  async look(): Promise<void> {
    // It has nothing to ask.
  }

  async status(): Promise<string> {
    return ''
  }

  told(): Told {
    return {
      fencesFired: undefined,
      replaysAbsorbed: undefined,
      retries: undefined,
      revokesDuringWrite: undefined,
      ownFaultsFired: {},
      brokenAssertions: 0,
      unaskedEnds: this.#unaskedEnds,
      lastWords: this.#lastWords,
    }
  }

  output(): string {
    return [...this.#members].map(([member, { lines }]) => `member ${member}:\n${lines.join('\n')}`).join('\n')
  }
}

/** A script on confluent-kafka and psycopg, as such scripts are written. */
export const pythonRival: Rival = {
  name: 'python',
  encoding: 'json',
  command: ({ bootstrap, group, topics, sink }) => {
    if (sink.type !== 'postgres') throw new Error('the Python script writes to PostgreSQL: --sink postgres')
    const config = { bootstrap, group, topics: sourceTopics(topics), dead: topics.dead, url: sink.url }
    const script = fileURLToPath(new URL('test/chaos/rivals/plain_consumer.py', packageRoot))
    return [PythonRival.install().python, script, JSON.stringify(config)]
  },
}

/**
 * Kafka Connect, one standalone worker a member, all in one consumer group, with Debezium's JDBC sink. Its properties are
 * those of its documentation for rows appended to a table that is there.
 */
export const connectRival: Rival = {
  name: 'connect',
  encoding: 'json-with-schema',
  command: (setting, member) => {
    const { folder, bootstrap, group, topics, sink } = setting
    if (sink.type !== 'postgres') throw new Error('the JDBC sink writes to PostgreSQL: --sink postgres')
    const jars = installConnect()
    const url = new URL(sink.url)
    const worker = join(folder, `worker-${member}.properties`)
    const connector = join(folder, `connector-${member}.properties`)
    writeProperties(worker, {
      'bootstrap.servers': bootstrap,
      'key.converter': 'org.apache.kafka.connect.storage.StringConverter',
      'value.converter': 'org.apache.kafka.connect.json.JsonConverter',
      'offset.storage.file.filename': join(folder, `offsets-${member}`),
      'offset.flush.interval.ms': '1000',
      'connector.client.config.override.policy': 'All',
      'plugin.path': dirname(jars),
      'plugin.discovery': 'service_load',
      listeners: 'http://127.0.0.1:0',
    })
    writeProperties(connector, {
      name: 'chaos',
      'connector.class': 'io.debezium.connector.jdbc.JdbcSinkConnector',
      'tasks.max': '1',
      topics: sourceTopics(topics).join(','),
      'connection.url': `jdbc:postgresql://${url.host}${url.pathname}`,
      'connection.username': url.username,
      'connection.password': url.password,
      'insert.mode': 'insert',
      'primary.key.mode': 'none',
      'schema.evolution': 'none',
      'collection.name.format': 'entries',
      transforms: 'place',
      'transforms.place.type': 'org.apache.kafka.connect.transforms.InsertField$Value',
      'transforms.place.topic.field': '_topic',
      'transforms.place.partition.field': '_partition',
      'transforms.place.offset.field': '_offset',
      'errors.tolerance': 'all',
      'errors.deadletterqueue.topic.name': topics.dead,
      'errors.deadletterqueue.topic.replication.factor': '1',
      'errors.deadletterqueue.context.headers.enable': 'true',
      'consumer.override.group.id': group,
      'consumer.override.isolation.level': 'read_committed',
      'consumer.override.auto.offset.reset': 'earliest',
      'consumer.override.session.timeout.ms': '6000',
      'consumer.override.metadata.max.age.ms': '2000',
      'consumer.override.partition.assignment.strategy': 'org.apache.kafka.clients.consumer.CooperativeStickyAssignor',
    })
    const main = ['-Xmx512m', '-cp', join(jars, '*'), 'org.apache.kafka.connect.cli.ConnectStandalone']
    return ['java', ...main, worker, connector]
  },
}

/** The folder of the jars that rivals/pom.xml names, which Maven fetches once. Throws where there is no Maven. */
function installConnect(): string {
  const jars = fileURLToPath(new URL('.cache/rivals-connect/jars', packageRoot))
  if (existsSync(jars)) return jars
  const pom = fileURLToPath(new URL('test/chaos/rivals/pom.xml', packageRoot))
  // Named for good only when all are there.
  const fetched = `${jars}.part`
  const { status, error } = spawnSync(
    'mvn',
    [
      '--quiet',
      '--file',
      pom,
      'dependency:copy-dependencies',
      '-DincludeScope=runtime',
      `-DoutputDirectory=${fetched}`,
    ],
    { stdio: ['ignore', 'inherit', 'inherit'] },
  )
  if (status !== 0)
    throw new Error(`Kafka Connect is fetched by Maven: ${error?.message ?? `mvn ended with ${status}`}`)
  renameSync(fetched, jars)
  return jars
}

function writeProperties(file: string, properties: Readonly<Record<string, string>>): void {
  writeFileSync(
    file,
    Object.entries(properties)
      .map(([name, value]) => `${name}=${value}\n`)
      .join(''),
  )
}
