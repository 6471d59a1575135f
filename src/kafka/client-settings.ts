import type { Config } from '../config/schema.ts'

type Settings = Record<string, unknown>

/**
 * What every client needs: where the brokers are, who we are, how the wire is secured. The user's properties win, here too:
 * they may be about the wire. Those of the other kind of client are ignored by librdkafka.
 */
export function connectionSettings(kafka: Config['kafka']): Settings {
  const { security, properties } = kafka
  const settings = {
    'bootstrap.servers': kafka.brokers.join(','),
    'client.id': kafka.clientId,
    'security.protocol': security.protocol,
    'sasl.mechanisms': security.mechanism?.toUpperCase(),
    'sasl.username': security.username,
    'sasl.password': security.password,
    'ssl.ca.location': security.ca,
    'ssl.certificate.location': security.certificate,
    'ssl.key.location': security.key,
    'ssl.key.password': security.keyPassword,
    // Half-open connections behind NATs and balancers are otherwise noticed only by request time-outs.
    'socket.keepalive.enable': true,
    ...properties,
  }
  // The binding throws on a key whose value is undefined.
  return Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined))
}

/** What librdkafka keeps of a small message in a queue beside its payload: the operation, the message, its share of a buffer. */
const queuedMessageBytes = 512

/** Librdkafka tells of every partition in one text: so long at least for each of them. */
const statisticsMsAPartition = 20

/** The consumer's settings; the user's `kafka.properties` win over ours. `memory` is what librdkafka may hold. */
export function consumerSettings(
  kafka: Config['kafka'],
  memory: { readonly queuedBytesAPartition: number; readonly fetchBytesAPartition: number },
  partitions = 0,
): Settings {
  const settings: Settings = {
    ...connectionSettings(kafka),
    'group.id': kafka.group,
    // Only moved partitions stop at a rebalance, and commits during the drain are ordinary ones.
    'partition.assignment.strategy': 'cooperative-sticky',
    // Offsets are committed by watermark, never by what was merely read.
    'enable.auto.commit': false,
    'enable.auto.offset.store': false,
    // Every assignment carries an explicit start, so a reset would be a silent move: it is reported instead.
    'auto.offset.reset': 'error',
    // The default of 1000 stalls a partition for a second each time its queue was full: it cost 60 % of the throughput.
    'fetch.queue.backoff.ms': 5,
    // Both hold for each partition's queue, as our reader takes them; for the common one with the binding's reader. The
    // kilobytes count payload only, so small messages are bounded by their number.
    'queued.max.messages.kbytes': Math.max(1, Math.floor(memory.queuedBytesAPartition / 1024)),
    'queued.min.messages': Math.max(1000, Math.floor(memory.queuedBytesAPartition / queuedMessageBytes)),
    'fetch.message.max.bytes': memory.fetchBytesAPartition,
    // Idle, a thousand partitions would else cost over a percent of a core: both go over all of them each time.
    'statistics.interval.ms': Math.max(1000, partitions * statisticsMsAPartition),
    'fetch.wait.max.ms': Math.min(1000, Math.max(500, partitions)),
    'enable.partition.eof': false,
    // A partition that was added waits at the most so long to be read; the default is five minutes.
    'topic.metadata.refresh.interval.ms': 30_000,
    ...kafka.properties,
  }
  // KIP-848 groups are assigned by the broker; librdkafka refuses the classic protocol's keys beside it.
  if (settings['group.protocol'] === 'consumer') delete settings['partition.assignment.strategy']
  else settings['heartbeat.interval.ms'] ??= heartbeatMs(settings['session.timeout.ms'])
  return settings
}

/** The dead-letter producer's settings: acknowledged by all in-sync replicas, no duplicates by its own retries. */
export function producerSettings(kafka: Config['kafka']): Settings {
  return {
    'compression.type': 'lz4',
    'linger.ms': 5,
    // With its headers a dead letter takes some 2 KB in librdkafka: that is 40 MB. Beyond it producing waits for reports.
    'queue.buffering.max.messages': 20_000,
    // The topic's own limit decides; librdkafka's default of 1 MB would refuse what the topic takes.
    'message.max.bytes': 128 * 1024 * 1024,
    // After this a dead letter counts as not stored, and its load is tried again later.
    'message.timeout.ms': 30_000,
    ...connectionSettings(kafka),
    'enable.idempotence': true,
  }
}

/** A third of the session, as Kafka advises; librdkafka's own 3 s would let a session as short as that time out. */
function heartbeatMs(sessionTimeoutMs: unknown): number {
  const session = Number(sessionTimeoutMs)
  return session > 0 ? Math.min(3000, Math.max(1, Math.floor(session / 3))) : 3000
}
