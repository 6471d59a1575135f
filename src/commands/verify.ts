import { loadConfig } from '../config/load.ts'
import type { Config, RouteConfig } from '../config/schema.ts'
import { ConfigError } from '../errors.ts'
import { connectionSettings, consumerSettings } from '../kafka/client-settings.ts'
import { LogReader } from '../kafka/log-reader.ts'
import { TopicDirectory } from '../kafka/topic-directory.ts'
import type { TopicInfo } from '../kafka/topic-directory.ts'
import { isPattern, matchesTopic, routeOfTopic } from '../routing.ts'
import { exitCodes } from '../shutdown.ts'
import { sinkCatalog, sinkOptions } from '../sinks/sink-catalog.ts'
import type { PlaceColumns, SinkAudit } from '../sinks/sink.ts'
import { DeadLetterOffsets } from './dead-letter-offsets.ts'
import { Fates, OffsetWindow } from './offset-window.ts'

export interface VerifyOptions {
  /** Only this topic. */
  readonly topic?: string | undefined
  /** Only offsets from here on; in each partition. */
  readonly from?: number | undefined
  /** Only offsets below. */
  readonly to?: number | undefined
}

type Print = (line: string) => void

const connectTimeoutMs = 10_000
/** What librdkafka may hold of a partition: one is read at a time. */
const readMemory = { queuedBytesAPartition: 16 * 1024 * 1024, fetchBytesAPartition: 4 * 1024 * 1024 }
/** Offsets that are looked at together: a byte each, and so many rows asked of the sink at once. */
const windowOffsets = 1_048_576

/** What every part of a verification needs. */
interface Tools {
  readonly config: Config
  readonly log: LogReader
  readonly letters: DeadLetterOffsets
  readonly options: VerifyOptions
  readonly print: Print
}

/**
 * `millrace verify`: for every offset of the log up to where the sink stands: a row, a dead letter, skipped by the config, or a
 * hole of the log. Joins no group and writes nothing. Resolves with the exit code: ok when nothing is lost or doubled.
 */
export async function verify(configFile: string, options: VerifyOptions, print: Print): Promise<number> {
  const config = loadConfig(configFile, { env: process.env, sinkOptions })
  if (config.kafka.startAt === 'latest' && options.from === undefined) {
    const message = 'nobody knows any more where reading began: tell it with --from'
    throw new ConfigError(configFile, [{ path: 'kafka.startAt', message }])
  }
  const topics = new TopicDirectory(connectionSettings(config.kafka))
  const log = await LogReader.connect(consumerSettings(config.kafka, readMemory))
  try {
    const there = await topics.list(connectTimeoutMs)
    const letters = await readLetters(config, topics, log)
    const tools: Tools = { config, log, letters, options, print }
    let [lost, doubled, unsure] = [0, 0, 0]
    for (const route of config.routes) {
      const names = topicsOf(route, there).filter((name) => options.topic === undefined || name === options.topic)
      if (names.length === 0) continue
      const verdict = await verifyRoute(tools, route, await topics.describe(names))
      lost += verdict.lost
      doubled += verdict.doubled
      unsure += verdict.unsure
    }
    if (options.topic !== undefined) routeOfTopic(config.routes, options.topic)
    const open = unsure > 0 ? `, and ${unsure} route(s) of which that cannot be told` : ''
    print(`${lost} lost, ${doubled} doubled${open}`)
    return lost + doubled + unsure === 0 ? exitCodes.ok : exitCodes.failed
  } finally {
    topics.close()
    await log.close()
  }
}

const topicsOf = ({ topics }: RouteConfig, there: readonly string[]): string[] => [
  ...new Set(
    topics.flatMap((wanted) => (isPattern(wanted) ? there.filter((each) => matchesTopic(wanted, each)) : [wanted])),
  ),
]

async function readLetters(config: Config, topics: TopicDirectory, log: LogReader): Promise<DeadLetterOffsets> {
  if (config.deadLetters === undefined) return new DeadLetterOffsets()
  const [info] = await topics.describe([config.deadLetters.topic])
  return DeadLetterOffsets.read(log, info!.name, info!.partitions, config.kafka.group)
}

interface RouteVerdict {
  readonly lost: number
  readonly doubled: number
  /** 1 when the sink cannot tell enough. */
  readonly unsure: number
}

async function verifyRoute(tools: Tools, route: RouteConfig, topics: readonly TopicInfo[]): Promise<RouteVerdict> {
  const { type, ...sink } = tools.config.sinks[route.sink]!
  const audit = await sinkCatalog[type]?.audit?.(sink, { group: tools.config.kafka.group })
  if (audit === undefined) {
    tools.print(`route ${route.name}: a ${type} sink keeps nothing that could be looked at`)
    return { lost: 0, doubled: 0, unsure: 1 }
  }
  try {
    const places = placeColumns(route)
    if (places === undefined) return await verifyByCounts(tools, route, topics, audit)
    const verdict = { lost: 0, doubled: 0, unsure: 0 }
    for (const topic of topics) {
      const all = await verifyTopic(tools, route, topic, audit, places)
      for (const { fates } of all) {
        verdict.lost += fates.lost.count
        verdict.doubled += fates.doubled.count
      }
    }
    return verdict
  } finally {
    await audit.close()
  }
}

/**
 * The columns that tell a row's record, under the names that the table has for them; undefined when the route keeps too
 * little of it, or when a row may stand for many records.
 */
function placeColumns({ metadata, columns = [], topics, table }: RouteConfig): PlaceColumns | undefined {
  const named = (name: 'topic' | 'partition' | 'offset') => {
    const renamed = columns.find((column) => typeof column !== 'string' && column.from === `_${name}`)
    return renamed && typeof renamed !== 'string' ? renamed.as : `_${name}`
  }
  const oneTopic = topics.length === 1 && !isPattern(topics[0]!)
  const tells = metadata.includes('partition') && metadata.includes('offset')
  if (!tells || (!metadata.includes('topic') && !oneTopic) || table.mode === 'upsert') return undefined
  return {
    topic: metadata.includes('topic') ? named('topic') : undefined,
    partition: named('partition'),
    offset: named('offset'),
  }
}

interface PartitionVerdict {
  readonly partition: number
  readonly fates: Fates
}

async function verifyTopic(
  tools: Tools,
  route: RouteConfig,
  topic: TopicInfo,
  audit: SinkAudit,
  places: PlaceColumns | undefined,
): Promise<PartitionVerdict[]> {
  const { print, log, options } = tools
  const all: PartitionVerdict[] = []
  let unwritten = 0
  for (let partition = 0; partition < topic.partitions; partition++) {
    const place = { route: route.name, topic: topic.name, topicId: topic.id, partition }
    const range = await log.range(place)
    const position = (await audit.position(place)) ?? range.start
    const from = Math.max(range.start, options.from ?? 0)
    const to = Math.min(range.end, position, options.to ?? Infinity)
    unwritten += Math.max(0, Math.min(range.end, options.to ?? Infinity) - Math.max(position, from))
    all.push({ partition, fates: await verifyPartition(tools, route, place, audit, places, from, to) })
  }
  const sum = (figure: (fates: Fates) => number) => all.reduce((total, { fates }) => total + figure(fates), 0)
  const how = places ? 'by each row’s partition and offset' : 'by positions and counts'
  const holes = `${sum(({ holes }) => holes)} holes of the log`
  const known = `${sum(({ deadLetters }) => deadLetters)} dead letters, ${sum(({ skipped }) => skipped)} skipped, ${holes}`
  const rows = places ? `${sum(({ rows }) => rows)} rows, ` : ''
  print(`${topic.name}, ${how}: ${rows}${known}; ${unwritten} offsets above what it has`)
  const gone = sum(({ rowsOfHoles }) => rowsOfHoles)
  if (gone > 0) print(`${topic.name}: ${gone} rows are of records that the log does not have any more`)
  for (const { partition, fates } of places ? all : []) {
    if (fates.lost.count > 0) print(`${topic.name}/${partition} lost: ${fates.lost.text}`)
    if (fates.doubled.count > 0) print(`${topic.name}/${partition} doubled: ${fates.doubled.text}`)
  }
  return all
}

async function verifyPartition(
  { log, letters }: Tools,
  route: RouteConfig,
  place: { readonly route: string; readonly topic: string; readonly partition: number },
  audit: SinkAudit,
  places: PlaceColumns | undefined,
  from: number,
  to: number,
): Promise<Fates> {
  const fates = new Fates()
  const open = (start: number) => new OffsetWindow(start, Math.min(to, start + windowOffsets))
  const settle = async (window: OffsetWindow) => {
    const { start, end } = window
    for (const offset of letters.within(place, start, end)) window.markDeadLetter(offset)
    if (places) {
      for await (const offsets of audit.rows(route.table.name, places, place, start, end)) {
        for (const offset of offsets) window.markRow(offset)
      }
    }
    window.settle(fates, route.decode.tombstones !== 'deadLetter')
    return open(end)
  }
  let window = open(from)
  for await (const slab of log.read(place, from, to)) {
    for (let index = 0; index < slab.count; index++) {
      const offset = slab.offset(index)
      if (offset >= to) break
      while (offset >= window.end) window = await settle(window)
      window.markRecord(offset, slab.valueBytes(index) < 0)
    }
  }
  while (window.start < to) window = await settle(window)
  return fates
}

/** Where rows do not tell their records, their number is held against the log's: what differs is known, which is not. */
async function verifyByCounts(
  tools: Tools,
  route: RouteConfig,
  topics: readonly TopicInfo[],
  audit: SinkAudit,
): Promise<RouteVerdict> {
  const { print, options } = tools
  let due = 0
  for (const topic of topics) {
    const all = await verifyTopic(tools, route, topic, audit, undefined)
    due += all.reduce((sum, { fates }) => sum + fates.lost.count, 0)
  }
  const cure = 'set `metadata: [topic, partition, offset]` on the route to tell records apart'
  if (route.table.mode === 'upsert') {
    print(`route ${route.name}: rows of an upserted table stand for many records, so only positions could be looked at`)
    return { lost: 0, doubled: 0, unsure: 1 }
  }
  if (options.from !== undefined || options.to !== undefined || options.topic !== undefined) {
    print(`route ${route.name}: a part of the log cannot be verified by counts; ${cure}`)
    return { lost: 0, doubled: 0, unsure: 1 }
  }
  const rows = await audit.countRows(route.table.name)
  print(`route ${route.name}: ${rows} rows, ${due} due by the log; ${cure}`)
  return { lost: Math.max(0, due - rows), doubled: Math.max(0, rows - due), unsure: 0 }
}
