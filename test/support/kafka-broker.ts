import { spawnSync } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { createHash, randomBytes, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { closeSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync } from 'node:fs'
import { renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { freePorts } from './free-ports.ts'
import { KafkaAdmin } from './kafka-admin.ts'
import { installKafka } from './kafka-installation.ts'
import type { KafkaInstallation } from './kafka-installation.ts'
import { spawnOnLifeLine } from './life-line.ts'

const heap = '448m'
const startedWithinMs = 120_000
const endedWithinMs = 20_000
const knockAgainAfterMs = 20
const logTailLines = 40

export interface KafkaBrokerOptions {
  /** Server properties over ours. */
  readonly properties?: Readonly<Record<string, string>>
  /**
   * Opens a second listener that tells its clients to come to this loopback port: a proxy's, started by the test, which
   * forwards to `KafkaBroker.proxiedPort`. Clients that bootstrap through the proxy then stay behind it.
   */
  readonly advertisedPort?: number
}

/** What a test may do with any broker, also with one that other test files use at the same time. */
export type SharedKafkaBroker = Pick<
  KafkaBroker,
  'bootstrap' | 'stop' | 'createTopic' | 'deleteTopic' | 'deleteRecordsBelow' | 'endOffsets' | 'committed'
>

/** The broker that `npm test` started for all test files, or one of its own when a file is run alone. Stop it in `after`. */
export async function sharedKafkaBroker(): Promise<SharedKafkaBroker> {
  const bootstrap = process.env['MILLRACE_TEST_KAFKA']
  if (!bootstrap) return startKafkaBroker()
  const admin = new KafkaAdmin(bootstrap)
  return {
    bootstrap,
    stop: () => admin.disconnect(),
    createTopic: (topic, partitions, config) => admin.createTopic(topic, partitions, config),
    deleteTopic: (topic) => admin.deleteTopic(topic),
    deleteRecordsBelow: (...place) => admin.deleteRecordsBelow(...place),
    endOffsets: (topic) => admin.endOffsets(topic),
    committed: (group, topic) => admin.committed(group, topic),
  }
}

/** A name for a topic or group that no other test has: brokers are shared, and kept topics would be read again. */
export const uniqueName = (prefix: string): string => `${prefix}.${randomBytes(6).toString('hex')}`

/** Starts Apache Kafka, one node that is broker and controller (KRaft), on free loopback ports, with empty data. */
export async function startKafkaBroker(options: KafkaBrokerOptions = {}): Promise<KafkaBroker> {
  const installation = await installKafka()
  const [client = 0, controller = 0, proxied = 0] = await freePorts(3)
  const folder = mkdtempSync(join(tmpdir(), 'millrace-kafka-'))
  const broker = new KafkaBroker(installation, folder, { client, controller, proxied })
  try {
    formatStorage(installation, folder)
    writeFileSync(join(folder, 'log4j2.xml'), log4jConfig)
    writeFileSync(join(folder, 'server.properties'), serverProperties(broker.ports, folder, options))
    await broker.restart()
  } catch (error) {
    await broker.stop()
    throw error
  }
  return broker
}

export interface KafkaPorts {
  readonly client: number
  readonly controller: number
  readonly proxied: number
}

/** A broker of one's own. It dies with the process that started it, however that ends. */
export class KafkaBroker {
  readonly ports: KafkaPorts
  readonly bootstrap: string
  readonly #installation: KafkaInstallation
  readonly #folder: string
  readonly #admin: KafkaAdmin
  #process: ChildProcess | undefined
  #archiveToBe: string | undefined

  constructor(installation: KafkaInstallation, folder: string, ports: KafkaPorts) {
    this.#installation = installation
    this.#folder = folder
    this.ports = ports
    this.bootstrap = `127.0.0.1:${ports.client}`
    this.#admin = new KafkaAdmin(this.bootstrap)
  }

  /** Of the Java process itself; undefined while it is down. */
  get pid(): number | undefined {
    return this.#process?.pid
  }

  /** Where a proxy has to forward to: see `advertisedPort`. */
  get proxiedPort(): number {
    return this.ports.proxied
  }

  /** Starts it, after an orderly shutdown if it runs, with the same data on the same ports. Resolves when it answers. */
  async restart(): Promise<void> {
    await this.#end('SIGTERM')
    const child = this.#spawn()
    this.#process = child
    const deadline = performance.now() + startedWithinMs
    while (!(await accepts(this.ports.client))) {
      const gone = child.exitCode !== null || child.signalCode !== null
      if (gone || performance.now() > deadline) {
        throw new Error(`Kafka ${gone ? 'ended' : `did not answer within ${startedWithinMs} ms`}:\n${this.log()}`)
      }
      await pause(knockAgainAfterMs)
    }
    await this.#admin.ping()
  }

  /** As a crash or kill -9 does it: nothing is flushed, no client is told. `restart` brings it back. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL')
  }

  /** Ends it for good and removes its data. */
  async stop(): Promise<void> {
    await this.#admin.disconnect().catch(() => undefined)
    // Its data is about to go, so nothing needs an orderly end; except Java's archive, which is written at the exit.
    await this.#end(this.#archiveToBe === undefined ? 'SIGKILL' : 'SIGTERM')
    rmSync(this.#folder, { recursive: true, force: true })
  }

  /** The end of the broker's own log: warnings and errors, and what Java printed. */
  log(): string {
    const file = join(this.#folder, 'broker.log')
    if (!existsSync(file)) return '(no log)'
    return readFileSync(file, 'utf8').trimEnd().split('\n').slice(-logTailLines).join('\n')
  }

  /** Runs another main class of Kafka's jars to its end, and gives what it printed. Throws when it failed. */
  runTool(mainClass: string, args: readonly string[]): string {
    return runTool(this.#installation, mainClass, args)
  }

  createTopic(topic: string, partitions = 1, config: Readonly<Record<string, string>> = {}): Promise<void> {
    return this.#admin.createTopic(topic, partitions, config)
  }

  deleteTopic(topic: string): Promise<void> {
    return this.#admin.deleteTopic(topic)
  }

  /** Lets the log of a partition begin at `offset`, as retention does. */
  deleteRecordsBelow(topic: string, partition: number, offset: number): Promise<void> {
    return this.#admin.deleteRecordsBelow(topic, partition, offset)
  }

  /** The next offset to be written, one for each partition in order. */
  endOffsets(topic: string): Promise<number[]> {
    return this.#admin.endOffsets(topic)
  }

  /** What the group has committed, one for each partition in order; undefined where it never did. */
  committed(group: string, topic: string): Promise<(number | undefined)[]> {
    return this.#admin.committed(group, topic)
  }

  #spawn(): ChildProcess {
    const { java, classPath } = this.#installation
    const archive = classArchive(this.#installation)
    this.#archiveToBe = existsSync(archive) ? undefined : join(this.#folder, 'classes.jsa')
    const sharing = this.#archiveToBe
      ? `-XX:ArchiveClassesAtExit=${this.#archiveToBe}`
      : `-XX:SharedArchiveFile=${archive}`
    const config = `-Dlog4j2.configurationFile=${join(this.#folder, 'log4j2.xml')}`
    const options = [`-Xms${heap}`, `-Xmx${heap}`, '-Xlog:disable', '-Xlog:all=error:stderr', sharing, config]
    const log = openSync(join(this.#folder, 'broker.log'), 'a')
    const main = ['-cp', classPath, 'kafka.Kafka', join(this.#folder, 'server.properties')]
    const child = spawnOnLifeLine([java, ...options, ...main], { stdio: [log, log], folder: this.#folder })
    closeSync(log)
    return child
  }

  async #end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const child = this.#process
    this.#process = undefined
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    child.ref()
    const exit = once(child, 'exit')
    const impatience = setTimeout(() => child.kill('SIGKILL'), endedWithinMs)
    child.kill(signal)
    await exit
    clearTimeout(impatience)
    this.#keepArchive()
  }

  #keepArchive(): void {
    if (this.#archiveToBe && existsSync(this.#archiveToBe)) {
      const archive = classArchive(this.#installation)
      const partial = `${archive}.${randomUUID()}.part`
      copyFileSync(this.#archiveToBe, partial)
      renameSync(partial, archive)
    }
    this.#archiveToBe = undefined
  }
}

const log4jConfig = `<Configuration status="ERROR">
  <Appenders><Console name="console"><PatternLayout pattern="%d{HH:mm:ss.SSS} %p %c{1} %m%n"/></Console></Appenders>
  <Loggers><Root level="WARN"><AppenderRef ref="console"/></Root></Loggers>
</Configuration>
`

function serverProperties(ports: KafkaPorts, folder: string, options: KafkaBrokerOptions): string {
  const proxied = options.advertisedPort !== undefined
  const listeners = [`PLAINTEXT://127.0.0.1:${ports.client}`]
  const advertised = [...listeners]
  if (proxied) {
    listeners.push(`PROXIED://127.0.0.1:${ports.proxied}`)
    advertised.push(`PROXIED://127.0.0.1:${options.advertisedPort}`)
  }
  const properties = {
    'process.roles': 'broker,controller',
    'node.id': '1',
    'controller.quorum.voters': `1@127.0.0.1:${ports.controller}`,
    'controller.listener.names': 'CONTROLLER',
    listeners: [...listeners, `CONTROLLER://127.0.0.1:${ports.controller}`].join(','),
    'advertised.listeners': advertised.join(','),
    'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,PROXIED:PLAINTEXT',
    'inter.broker.listener.name': 'PLAINTEXT',
    'log.dirs': join(folder, 'data'),
    'auto.create.topics.enable': 'false',
    'group.initial.rebalance.delay.ms': '0',
    // One broker holds the only copy; few partitions, because each is a file to make at the first commit.
    'offsets.topic.replication.factor': '1',
    'offsets.topic.num.partitions': '4',
    'transaction.state.log.replication.factor': '1',
    'transaction.state.log.min.isr': '1',
    'transaction.state.log.num.partitions': '4',
    'share.coordinator.state.topic.replication.factor': '1',
    'share.coordinator.state.topic.min.isr': '1',
    // A killed broker may only come back when its old session has run out; the default is nine seconds.
    'broker.session.timeout.ms': '2000',
    'broker.heartbeat.interval.ms': '300',
    // Tests of retention and compaction must not wait for minutes.
    'log.retention.check.interval.ms': '500',
    'log.cleaner.backoff.ms': '500',
    'log.initial.task.delay.ms': '500',
    'group.min.session.timeout.ms': '1000',
    'group.consumer.min.session.timeout.ms': '1000',
    'group.consumer.min.heartbeat.interval.ms': '500',
    ...options.properties,
  }
  const lines = Object.entries(properties).map(([name, value]) => `${name}=${value}`)
  return `${lines.join('\n')}\n`
}

/**
 * What `kafka-storage format` writes is the same for every broker of this shape, but for the ids in meta.properties: the
 * feature levels of the version. So Kafka's own tool runs once for a checkout, and the result is copied.
 */
function formatStorage(installation: KafkaInstallation, folder: string): void {
  const template = join(installation.folder, 'bootstrap.checkpoint')
  if (!existsSync(template)) makeTemplate(installation, template)
  const data = join(folder, 'data')
  mkdirSync(data)
  copyFileSync(template, join(data, 'bootstrap.checkpoint'))
  const meta = ['version=1', `cluster.id=${randomId()}`, 'node.id=1', `directory.id=${randomId()}`]
  writeFileSync(join(data, 'meta.properties'), `${meta.join('\n')}\n`)
}

function makeTemplate(installation: KafkaInstallation, template: string): void {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-kafka-format-'))
  try {
    const config = join(folder, 'server.properties')
    writeFileSync(config, serverProperties({ client: 9092, controller: 9093, proxied: 9094 }, folder, {}))
    runTool(installation, 'kafka.tools.StorageTool', ['format', '--cluster-id', randomId(), '--config', config])
    const partial = `${template}.${randomUUID()}.part`
    copyFileSync(join(folder, 'data', 'bootstrap.checkpoint'), partial)
    renameSync(partial, template)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Kafka's form of a UUID. It must not begin with a dash, which the storage tool would take for an option. */
const randomId = (): string => Buffer.concat([Buffer.of(0x4d), randomBytes(15)]).toString('base64url')

function runTool({ java, classPath }: KafkaInstallation, mainClass: string, args: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync(java, ['-Xmx256m', '-cp', classPath, mainClass, ...args], {
    encoding: 'utf8',
    timeout: startedWithinMs,
  })
  if (status !== 0) throw new Error(`${mainClass} failed with ${status}:\n${stdout}${stderr}`)
  return stdout
}

/** Java's archive of loaded classes halves the broker's start. It only fits the Java and the jars it was made with. */
function classArchive({ java, classPath, folder }: KafkaInstallation): string {
  const key = createHash('sha256')
    .update(`${java} ${statSync(java).mtimeMs} ${classPath}`)
    .digest('hex')
  return join(folder, `classes-${key.slice(0, 12)}.jsa`)
}

/** Kafka opens the clients' listener last, when it is ready to serve. */
function accepts(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  return new Promise((resolve) => {
    socket.once('connect', () => resolve(true))
    socket.once('error', () => resolve(false))
  }).finally(() => socket.destroy()) as Promise<boolean>
}
