import { DuckDBInstance } from '@duckdb/node-api'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { startKafkaBroker, uniqueName } from '../support/kafka-broker.ts'
import type { KafkaBroker } from '../support/kafka-broker.ts'
import { startPostgres } from '../support/postgres-server.ts'
import { Seeded } from '../support/seeded.ts'
import { TcpProxy } from '../support/tcp-proxy.ts'
import type { Arena, Sometimes } from './arena.ts'
import { check } from './checker.ts'
import type { Verdict } from './checker.ts'
import { DuckDbStore } from './duckdb-store.ts'
import { faultKinds } from './fault-kinds.ts'
import type { FaultKind } from './fault-kinds.ts'
import { Generator } from './generator.ts'
import { PostgresStore } from './postgres-store.ts'
import { readTruth } from './referee.ts'
import { fixedPartitions, Sampler } from './sampler.ts'
import { inflict } from './schedule.ts'
import type { Happened } from './schedule.ts'
import type { Setting, Target, Told } from './target.ts'
import { nameTopics, sourceTopics } from './topics.ts'
import type { Topics } from './topics.ts'

export interface ChaosOptions {
  readonly seed: number
  readonly minutes: number
  readonly sink: 'duckdb' | 'postgres'
  /** Names of fault kinds; undefined: all that this arena can have. */
  readonly kinds: readonly string[] | undefined
  readonly records: number
  /** Members at the start; a DuckDB file has one opener. */
  readonly members: number
  readonly createTarget: (setting: Setting) => Target
  readonly say: (line: string) => void
}

export interface ChaosResult {
  readonly target: string
  readonly verdict: Verdict
  readonly told: Told
  readonly sometimes: Sometimes
  readonly faults: readonly Happened[]
  /** Kinds that were not part of it, with the reason. */
  readonly notRun: Readonly<Record<string, string>>
  /** Partitions that did not reach the end of their log in the time allowed, as `topic/partition: committed of end`. */
  readonly stuck: readonly string[]
  readonly peakResidentBytes: number
  readonly recordsPerSecondWithout: number
  readonly recordsPerSecondWith: number
  readonly transactions: { readonly committed: number; readonly aborted: number }
  /** The last of what the target printed; kept when something was found. */
  readonly output: string
}

export const plainPartitions = 6
const loadRecordsMax = 5000
const postgresSettings = { shared_buffers: '256MB', max_wal_size: '2GB' }
/** Written before the target starts, and read without faults. */
const baselineShare = 0.1
const baselineWithinMs = 120_000
const drainedWithinMs = 900_000
/** A target that moves nothing for so long has come to its end, wherever that is. */
const stillForMs = 90_000
/** What members tell of themselves ends with their lives, so it is asked for often. */
const lookEveryMs = 400

/** One run: known records, a target, faults by the seed's schedule, and the checker's verdict. */
export async function runChaos(options: ChaosOptions): Promise<ChaosResult> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-chaos-'))
  const closers: (() => Promise<unknown>)[] = []
  try {
    return await run(options, folder, closers)
  } finally {
    for (const close of closers.reverse()) await close().catch((error: Error) => options.say(String(error)))
    rmSync(folder, { recursive: true, force: true })
  }
}

async function run(options: ChaosOptions, folder: string, closers: (() => Promise<unknown>)[]): Promise<ChaosResult> {
  const { seed, say } = options
  const topics = nameTopics()
  const group = uniqueName('chaos')
  const { broker, proxy } = await startKafka(closers)
  await createTopics(broker, topics)
  const duckdb = options.sink === 'duckdb' ? new DuckDbStore(folder) : undefined
  const server = options.sink === 'postgres' ? await startPostgres({ settings: postgresSettings }) : undefined
  if (server) closers.push(() => server.stop())
  const postgres = server && (await PostgresStore.open(server, 'chaos'))
  const store = duckdb ?? postgres!
  closers.push(() => store.stop())
  const bootstrap = `127.0.0.1:${proxy.port}`
  const target = options.createTarget({ folder, bootstrap, group, topics, sink: store.place, loadRecordsMax })
  closers.push(() => Promise.all(target.running().map((member) => target.kill(member))))
  const generator = await Generator.start({
    bootstrap: broker.bootstrap,
    topics,
    encoding: target.encoding,
    seed,
    partitions: plainPartitions,
  })
  closers.push(() => generator.stop())
  const sampler = await Sampler.start(broker.bootstrap, group, store, topics, () => generator.partitions)
  closers.push(() => sampler.stop())
  const sometimes: Sometimes = { killedDuringFlush: 0, replyLost: 0, partitionsAdded: 0 }
  const random = new Seeded(seed)
  const arena: Arena = {
    target,
    store,
    duckdb,
    postgres: server,
    broker,
    kafkaProxy: proxy,
    generator,
    sampler,
    topics,
    group,
    random,
    sometimes,
  }
  const { kinds, notRun } = chooseKinds(arena, options.kinds)

  say(`seed ${seed}: ${target.name} into ${options.sink}, ${kinds.length} kinds of fault`)
  const baseline = Math.round(options.records * baselineShare)
  await generator.burst(baseline)
  const startedAt = performance.now()
  const ends = () => endOffsets(broker, topics)
  for (let member = 0; member < options.members; member++) await target.start(member)
  const undrained = await drained(sampler, ends, baselineWithinMs)
  const recordsPerSecondWithout = Math.round(baseline / ((performance.now() - startedAt) / 1000))
  if (undrained.length > 0) say(`without any fault yet, not at the end: ${undrained.join(', ')}`)
  say(`${baseline} records without faults: ${recordsPerSecondWithout} a second, the start included`)

  let peakResidentBytes = 0
  const seconds = options.minutes * 60
  generator.run((options.records - baseline) / seconds)
  sampler.run()
  const looking = setInterval(() => {
    peakResidentBytes = Math.max(peakResidentBytes, target.residentBytes())
    void target.look()
  }, lookEveryMs)
  closers.push(async () => clearInterval(looking))
  const faults: Happened[] = []
  const faultsFrom = performance.now()
  const writtenBefore = (await sampler.progress()) ?? 0
  await inflict(arena, kinds, faultsFrom + seconds * 1000, (fault) => {
    faults.push({ ...fault, fromMs: Math.round(fault.fromMs - faultsFrom), toMs: Math.round(fault.toMs - faultsFrom) })
    const recovered = fault.recoveredMs === undefined ? 'no mercy' : `recovered in ${Math.round(fault.recoveredMs)} ms`
    say(`${faults.length} ${fault.kind}: ${Math.round(fault.toMs - fault.fromMs)} ms, ${fault.error ?? recovered}`)
  })
  const passed = ((await sampler.progress()) ?? writtenBefore) - writtenBefore
  const recordsPerSecondWith = Math.round(passed / ((performance.now() - faultsFrom) / 1000))

  await generator.stop()
  const stuck = await drained(sampler, ends, drainedWithinMs)
  say(`${generator.written} records written, ${stuck.length} partitions not at their end; checking`)
  if (stuck.length > 0) say(await target.status())
  await target.look()
  const output = target.output()
  for (const member of target.running()) await target.stop(member)
  await sampler.sample()
  const verdict = await judge(arena, folder)
  return {
    target: target.name,
    verdict,
    told: target.told(),
    sometimes,
    faults,
    notRun,
    stuck,
    peakResidentBytes,
    recordsPerSecondWithout,
    recordsPerSecondWith,
    transactions: { committed: generator.committedTransactions, aborted: generator.abortedTransactions },
    output,
  }
}

async function startKafka(closers: (() => Promise<unknown>)[]): Promise<{ broker: KafkaBroker; proxy: TcpProxy }> {
  const proxy = await TcpProxy.start({ port: 0 })
  closers.push(async () => proxy.stop())
  const broker = await startKafkaBroker({ advertisedPort: proxy.port })
  closers.push(() => broker.stop())
  proxy.target = { port: broker.proxiedPort }
  return { broker, proxy }
}

export async function createTopics(
  broker: Pick<KafkaBroker, 'createTopic'>,
  { plain, transactional, compacted, dead }: Topics,
): Promise<void> {
  await broker.createTopic(plain, plainPartitions)
  await broker.createTopic(transactional, fixedPartitions)
  await broker.createTopic(compacted, fixedPartitions, {
    'cleanup.policy': 'compact',
    'segment.ms': '2000',
    'min.cleanable.dirty.ratio': '0.01',
  })
  await broker.createTopic(dead, 1)
}

function chooseKinds(
  arena: Arena,
  wanted: readonly string[] | undefined,
): { kinds: FaultKind[]; notRun: Record<string, string> } {
  const unknown = wanted?.filter((name) => !faultKinds.some((kind) => kind.name === name)) ?? []
  if (unknown.length > 0) {
    throw new Error(`no such fault: ${unknown.join(', ')}; there are ${faultKinds.map(({ name }) => name).join(', ')}`)
  }
  const notRun: Record<string, string> = {}
  const kinds = faultKinds.filter((kind) => {
    const reason = wanted && !wanted.includes(kind.name) ? 'not asked for' : kind.missing?.(arena)
    if (reason !== undefined) notRun[kind.name] = reason
    return reason === undefined
  })
  return { kinds, notRun }
}

export async function endOffsets(
  broker: Pick<KafkaBroker, 'endOffsets'>,
  topics: Topics,
): Promise<Map<string, number>> {
  const ends = new Map<string, number>()
  for (const topic of sourceTopics(topics)) {
    for (const [partition, end] of (await broker.endOffsets(topic)).entries()) ends.set(`${topic}/${partition}`, end)
  }
  return ends
}

/** Waits until the group has committed all of every log; the partitions where that did not come to pass. */
export async function drained(
  sampler: Sampler,
  ends: () => Promise<Map<string, number>>,
  withinMs: number,
): Promise<string[]> {
  const deadline = performance.now() + withinMs
  let movedAt = performance.now()
  let before = -1
  for (;;) {
    const committed = new Map(
      (await sampler.committed())?.map(({ topic, partition, offset }) => [`${topic}/${partition}`, offset]),
    )
    const behind = [...(await ends())].filter(([name, end]) => (committed.get(name) ?? 0) < end)
    const progress = [...committed.values()].reduce((sum, offset) => sum + offset, 0)
    if (progress > before) movedAt = performance.now()
    before = progress
    const now = performance.now()
    if (behind.length === 0 || now > deadline || now - movedAt > stillForMs) {
      return behind.map(([name, end]) => `${name}: ${committed.get(name) ?? 'nothing'} of ${end}`)
    }
    await pause(200)
  }
}

/** The checker's verdict on what a target has made of the log. */
export async function judge(
  {
    store,
    broker,
    topics,
    target,
    generator,
    sampler,
  }: Pick<Arena, 'store' | 'topics' | 'target' | 'generator' | 'sampler'> & {
    readonly broker: { readonly bootstrap: string }
  },
  folder: string,
): Promise<Verdict> {
  const instance = await DuckDBInstance.create(':memory:')
  const checker = await instance.connect()
  try {
    await readTruth(checker, broker.bootstrap, topics, target.encoding, generator.ledger, folder)
    await store.collect(checker)
    return await check(checker, sampler.samples)
  } finally {
    checker.closeSync()
    instance.closeSync()
  }
}
