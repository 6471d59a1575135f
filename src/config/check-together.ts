import { meant } from './formats.ts'
import type { Place, Problems } from './problems.ts'
import type { Config, RouteConfig } from './schema.ts'

/** A configuration of which each value that is there is right, and any may be absent. */
export type Draft<T> = T extends readonly (infer Item)[]
  ? readonly Draft<Item>[]
  : T extends object
    ? { readonly [Key in keyof T]?: Draft<T[Key]> | undefined }
    : T

/** Reports what is wrong between keys that are right by themselves. */
export function checkTogether(config: Draft<Config>, problems: Problems): void {
  checkSecurity(config.kafka?.security ?? {}, problems)
  checkProperties(config, problems)
  checkRoutes(config, problems)
  checkDeadLetters(config, problems)
  const { batch, memory } = config
  if (batch?.maxBytes !== undefined && memory?.maxBytes !== undefined && batch.maxBytes > memory.maxBytes) {
    problems.add(
      ['batch', 'maxBytes'],
      `is ${batch.maxBytes} bytes, and must not be above memory.maxBytes, which is ${memory.maxBytes}`,
    )
  }
}

function checkSecurity(security: Draft<Config['kafka']['security']>, problems: Problems): void {
  const { protocol, mechanism, certificate, key } = security
  const at = (name: string): Place => ['kafka', 'security', name]
  if (protocol === undefined) return
  const sasl = protocol.startsWith('sasl_')
  const needs = (names: readonly ('username' | 'password')[], why: string) => {
    for (const name of names) if (security[name] === undefined) problems.add(at(name), `is missing: ${why} needs it`)
  }
  if (sasl && mechanism === undefined) {
    problems.add(at('mechanism'), `is missing: protocol \`${protocol}\` needs it, such as \`scram-sha-512\``)
  }
  if (sasl && mechanism !== undefined && (mechanism === 'plain' || mechanism.startsWith('scram'))) {
    needs(['username', 'password'], `mechanism \`${mechanism}\``)
  }
  // Silence would mean that a password one believes in protects nothing.
  const unused = [
    ...(sasl ? [] : (['mechanism', 'username', 'password'] as const)),
    ...(protocol.endsWith('ssl') ? [] : (['ca', 'certificate', 'key', 'keyPassword'] as const)),
  ]
  for (const name of unused) {
    if (security[name] === undefined) continue
    const wanted = ['mechanism', 'username', 'password'].includes(name) ? '`sasl_ssl`' : '`ssl` or `sasl_ssl`'
    problems.add(at(name), `has no effect with protocol \`${protocol}\`; set \`protocol\` to ${wanted}, or remove this`)
  }
  if (protocol.endsWith('ssl') && (certificate === undefined) !== (key === undefined)) {
    const [missing, there] = certificate === undefined ? ['certificate', 'key'] : ['key', 'certificate']
    problems.add(at(missing), `is missing: a ${there} is of no use without it`)
  }
}

const useInstead = (key: string): string => `is set by \`kafka.${key}\`; use that`
const promised = 'must stay as it is: that no record is lost or doubled rests on it; remove this'

/** Properties of librdkafka that are not for `kafka.properties`. */
const reservedProperties: Readonly<Record<string, string>> = {
  'bootstrap.servers': useInstead('brokers'),
  'metadata.broker.list': useInstead('brokers'),
  'group.id': useInstead('group'),
  'client.id': useInstead('clientId'),
  'security.protocol': useInstead('security.protocol'),
  'sasl.mechanism': useInstead('security.mechanism'),
  'sasl.mechanisms': useInstead('security.mechanism'),
  'sasl.username': useInstead('security.username'),
  'sasl.password': useInstead('security.password'),
  'ssl.ca.location': useInstead('security.ca'),
  'ssl.certificate.location': useInstead('security.certificate'),
  'ssl.key.location': useInstead('security.key'),
  'ssl.key.password': useInstead('security.keyPassword'),
  'auto.offset.reset': 'stays `error`, because a reset is a silent move; `kafka.startAt` says where to begin at first',
  'auto.commit.enable': promised,
  'enable.auto.commit': promised,
  'enable.auto.offset.store': promised,
  'offset.store.method': promised,
  'enable.partition.eof': promised,
}

// librdkafka's own default of max.poll.interval.ms.
const pollIntervalMsDefault = 300_000

function checkProperties({ kafka, rebalance }: Draft<Config>, problems: Problems): void {
  const properties = kafka?.properties ?? {}
  for (const name of Object.keys(properties)) {
    const message = Object.hasOwn(reservedProperties, name) ? reservedProperties[name] : undefined
    if (message !== undefined) problems.add(['kafka', 'properties', name], message)
  }
  const intervalMs = Number(properties['max.poll.interval.ms'] ?? pollIntervalMsDefault)
  if (rebalance?.drainMs !== undefined && rebalance.drainMs >= intervalMs) {
    const message = `must be below max.poll.interval.ms, which is ${intervalMs}: the group would throw us out meanwhile`
    problems.add(['rebalance', 'drainMs'], message)
  }
}

function checkRoutes({ routes = [], sinks = {} }: Draft<Config>, problems: Problems): void {
  if (routes.length === 0)
    problems.add(['routes'], 'there is no route: list one with `topics`, `decode`, `sink` and `table`')
  const names = new Map<string, number>()
  routes.forEach(({ name, sink }, at) => {
    const sinkPlace = ['routes', at, 'sink']
    if (sink !== undefined && !problems.has(['sinks']) && !Object.hasOwn(sinks, sink)) {
      const there = meant(sink, Object.keys(sinks), 'there are')
      problems.add(sinkPlace, `there is no sink ${problems.shown(sinkPlace, sink)}${there || '; add it under `sinks`'}`)
    }
    checkTable(routes[at]!, ['routes', at], problems)
    if (name === undefined) return
    const namePlace = ['routes', at, 'name']
    const first = names.get(name)
    if (first === undefined) names.set(name, at)
    else
      problems.add(
        namePlace,
        `${problems.shown(namePlace, name)} is the name of routes[${first}] already; give one another \`name\``,
      )
  })
}

function checkTable({ table = {}, metadata, decode }: Draft<RouteConfig>, place: Place, problems: Problems): void {
  const { mode, keys, deletes } = table
  const at = (name: string): Place => [...place, 'table', name]
  if (mode === 'upsert') {
    if (keys?.length === 0) problems.add(at('keys'), 'is missing: list the columns that name a row')
    // What is older than a row must not overwrite it, and only the offset tells.
    if (metadata !== undefined && !metadata.includes('offset')) {
      problems.add([...place, 'metadata'], 'must list `offset`: `table.mode: upsert` tells newer from older by it')
    }
  } else if (mode === 'append') {
    const message = 'has no effect with `table.mode: append`; set it to `upsert`, or remove this'
    if (keys !== undefined && keys.length > 0) problems.add(at('keys'), message)
    if (deletes === true) problems.add(at('deletes'), message)
  }
  if ((decode?.tombstones === 'delete') !== (deletes === true) && deletes !== undefined && decode?.tombstones) {
    const cure = deletes ? 'must be `delete` with `table.deletes`, or absent' : '`delete` needs `table.deletes: true`'
    problems.add([...place, 'decode', 'tombstones'], cure)
  }
  if (deletes === true && mode === 'upsert' && keys !== undefined && keys.length > 1) {
    problems.add(at('keys'), 'must be one column with `deletes`: the one that holds what the Kafka key holds')
  }
}

function checkDeadLetters({ routes = [], deadLetters }: Draft<Config>, problems: Problems): void {
  const topic = deadLetters?.topic
  routes.forEach((route, at) => {
    if (topic !== undefined && reads(route, topic)) {
      const message = `must not be read by a route, as routes[${at}] does: dead letters would come round for ever`
      problems.add(['deadLetters', 'topic'], message)
    }
    if (topic === undefined && route.decode?.tombstones === 'deadLetter') {
      problems.add(
        ['routes', at, 'decode', 'tombstones'],
        '`deadLetter` needs a topic for them: set `deadLetters.topic`',
      )
    }
  })
}

const reads = ({ topics = [] }: Draft<RouteConfig>, topic: string): boolean =>
  topics.some((each) => (each.startsWith('^') ? new RegExp(each).test(topic) : each === topic))
