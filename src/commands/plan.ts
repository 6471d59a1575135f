import { loadConfig } from '../config/load.ts'
import type { Config, RouteConfig } from '../config/schema.ts'
import type { TableSchema } from '../decode/columns.ts'
import { createDecoder } from '../decode/create-decoder.ts'
import type { BadRecord, Decoded, Decoder } from '../decode/decoder.ts'
import { messageChain } from '../errors.ts'
import { connectionSettings, consumerSettings } from '../kafka/client-settings.ts'
import { readNewest } from '../kafka/newest-records.ts'
import type { NewestRecords } from '../kafka/newest-records.ts'
import { SlabView } from '../kafka/slab.ts'
import { TopicDirectory } from '../kafka/topic-directory.ts'
import { namedAndMatched, routeOfTopic } from '../routing.ts'
import { exitCodes } from '../shutdown.ts'
import { sinkOptions } from '../sinks/sink-catalog.ts'
import { bytesText, cellText, printable, tableLines } from './cell-text.ts'
import { withSink } from './with-sink.ts'

export interface PlanOptions {
  /** How many records of each route. */
  readonly records: number
  /** Only this one of the routes' topics. */
  readonly topic: string | undefined
  /** Characters in a line of the output. */
  readonly width: number
}

const connectTimeoutMs = 10_000
const readTimeoutMs = 30_000
/** What librdkafka may hold of a partition: only its newest records are wanted. */
const readMemory = { queuedBytesAPartition: 1024 * 1024, fetchBytesAPartition: 1024 * 1024 }

/**
 * `millrace plan`: reads the newest records of each route, decodes them as `run` would, and shows what would become of them.
 * Joins no group, commits nothing, writes nothing. Resolves with the exit code: ok when every record decodes.
 */
export async function plan(configFile: string, options: PlanOptions, print: (line: string) => void): Promise<number> {
  const config = loadConfig(configFile, { env: process.env, sinkOptions })
  const topics = new TopicDirectory(connectionSettings(config.kafka))
  let bad = 0
  try {
    for (const { route, names } of await chosenRoutes(config, topics, options.topic)) {
      const { decode, table, metadata, columns } = route
      const decoder = await createDecoder(decode, table, metadata, columns)
      const partitions = (await topics.describe(names)).flatMap(({ name, partitions }) =>
        Array.from({ length: partitions }, (_, partition) => ({ topic: name, partition })),
      )
      const settings = consumerSettings(config.kafka, readMemory)
      const read = await readNewest(settings, partitions, options.records, readTimeoutMs)
      const decoded = read.records.map((records) => decodeRecords(decoder, records))
      for (const line of routeLines(route, decoder, decoded, options.width)) print(line)
      for (const line of await statementLines(config, route.sink, decoder.table)) print(line)
      if (!read.complete) print(`note: not all of them came within ${readTimeoutMs / 1000} s`)
      bad += sum(decoded, ({ decoded }) => decoded.bad.length)
    }
  } finally {
    topics.close()
  }
  return bad === 0 ? exitCodes.ok : exitCodes.failed
}

interface DecodedRecords {
  readonly records: NewestRecords
  readonly view: SlabView
  readonly decoded: Decoded
}

async function chosenRoutes(
  config: Config,
  topics: TopicDirectory,
  topic: string | undefined,
): Promise<{ route: RouteConfig; names: readonly string[] }[]> {
  const there = await topics.list(connectTimeoutMs)
  if (topic !== undefined) return [{ route: routeOfTopic(config.routes, topic), names: [topic] }]
  return config.routes.map((route) => ({ route, names: namedAndMatched(route.topics, there) }))
}

function decodeRecords(decoder: Decoder, records: NewestRecords): DecodedRecords {
  const view = new SlabView(records.slab)
  return { records, view, decoded: decoder.decode([view], records) }
}

function routeLines(
  route: RouteConfig,
  decoder: Decoder,
  all: readonly DecodedRecords[],
  width: number,
): readonly string[] {
  const total = sum(all, ({ decoded }) => decoded.recordCount)
  const rows = sum(all, ({ decoded }) => decoded.rowCount)
  const skipped = sum(all, ({ decoded }) => decoded.skipped)
  const bad = all.flatMap((each) => each.decoded.bad.map((record) => ({ ...each, record })))
  const { columns } = decoder.table
  return [
    `route ${route.name}: ${route.topics.join(', ')} -> ${route.sink}, table ${decoder.table.name}`,
    total === 0
      ? 'no records: its topics are empty'
      : `the newest ${total} records of ${all.length} partition(s): ${rows} rows, ${bad.length} bad, ${skipped} skipped (tombstones)`,
    ...(rows === 0
      ? []
      : ['', ...tableLines(['record', ...columns.map(({ name }) => name)], all.flatMap(cells), width)]),
    '',
    `table ${decoder.table.name}:`,
    ...tableLines(
      ['column', 'type', 'null'],
      columns.map(({ name, type, nullable }) => [printable(name), type, nullable ? 'yes' : 'no']),
      Infinity,
    ).map((line) => `  ${line}`),
    ...(bad.length === 0 ? [] : ['', ...badLines(bad)]),
    '',
  ]

  function cells({ records: { topic, partition }, decoded }: DecodedRecords): string[][] {
    return Array.from({ length: decoded.rowCount }, (_, row) => [
      `${topic}/${partition}@${decoded.offsets[row]}`,
      ...columns.map(({ type }, column) => cellText(type, decoded.columns[column]!, row)),
    ])
  }
}

/** What `run` would change in the sink; nothing where it cannot tell. Records can be looked at while the sink is away. */
async function statementLines(config: Config, sink: string, table: TableSchema): Promise<string[]> {
  try {
    const statements = await withSink(config, sink, async (each) => each.plan?.([table]))
    if (statements === undefined || statements.length === 0) return []
    return [`sinks.${sink}: run would execute`, ...statements.map((statement) => `${statement};`), '']
  } catch (error) {
    return [`sinks.${sink}: cannot be asked for its table: ${printable(messageChain(error))}`, '']
  }
}

/** How many there are of each kind, and the first one whole: the others are likely to be like it. */
function badLines(bad: readonly (DecodedRecords & { record: BadRecord })[]): string[] {
  const kinds = new Map<string, number>()
  for (const { record } of bad) kinds.set(record.code, (kinds.get(record.code) ?? 0) + 1)
  const { records, view, record } = bad[0]!
  const value = view.value(record.record)
  return [
    `${bad.length} of the records cannot become rows: ${[...kinds].map(([code, count]) => `${count} ${code}`).join(', ')}`,
    `the first is ${records.topic}/${records.partition} offset ${record.offset}: ${record.code}: ${printable(record.reason)}`,
    ...(value === null ? [] : [`  its ${value.length} bytes: ${bytesText(value)}`]),
  ]
}

const sum = <T>(all: readonly T[], count: (each: T) => number): number =>
  all.reduce((total, each) => total + count(each), 0)
