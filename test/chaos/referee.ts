import kafka from '@confluentinc/kafka-javascript'
import type { Message } from '@confluentinc/kafka-javascript'
import type { DuckDBConnection } from '@duckdb/node-api'
import { createWriteStream } from 'node:fs'
import { once } from 'node:events'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { decode, fateOf } from './entry.ts'
import type { Encoding } from './entry.ts'
import type { Handed } from './generator.ts'
import type { Topics } from './topics.ts'
import { sourceTopics } from './topics.ts'

/**
 * Makes what must be so: tables `truth` (what the log has, as a reader of committed records sees it), `ledger` (what the
 * compacted topic once had) and `dead` (the dead letters), read by a client that is not the daemon's.
 */
export async function readTruth(
  checker: DuckDBConnection,
  bootstrap: string,
  topics: Topics,
  encoding: Encoding,
  ledger: readonly Handed[],
  folder: string,
): Promise<void> {
  const truth = join(folder, 'truth.csv')
  const dead = join(folder, 'dead.csv')
  await writeLines(truth, readAll(bootstrap, sourceTopics(topics)), (message) => {
    const key = String(message.key)
    const entry = message.value ? decode(encoding, message.value) : undefined
    const fate = fateOf(key)
    return [message.topic, message.partition, message.offset, key, fate, entry?.sequence, entry?.checksum, sum(message)]
  })
  await writeLines(dead, readAll(bootstrap, [topics.dead]), (message) => [
    header(message, '__connect.errors.topic'),
    header(message, '__connect.errors.partition'),
    header(message, '__connect.errors.offset'),
    sum(message),
  ])
  const columns = `'topic': 'varchar', 'part': 'integer', 'place': 'bigint'`
  await checker.run(`create table truth as select * from read_csv('${truth}', header = false, delim = '\t', quote = '',
    columns = {${columns}, 'key': 'varchar', 'fate': 'varchar', 'sequence': 'bigint', 'checksum': 'bigint', 'sum': 'bigint'})`)
  await checker.run(`create table dead as select * from read_csv('${dead}', header = false, delim = '\t', quote = '',
    columns = {${columns}, 'sum': 'bigint'})`)
  await checker.run('create table ledger (topic varchar, part integer, key varchar, sequence bigint)')
  const appender = await checker.createAppender('ledger')
  for (const { partition, key, sequence } of ledger) {
    appender.appendVarchar(topics.compacted)
    appender.appendInteger(partition)
    appender.appendVarchar(key)
    appender.appendBigInt(BigInt(sequence))
    appender.endRow()
  }
  appender.closeSync()
}

/** Of key and value as they are, so that a dead letter that differs by a byte shows. */
const sum = ({ key, value }: Message): number => crc32(value ?? 'none', crc32(String(key)))

function header(message: Message, name: string): string {
  const found = message.headers?.find((each) => Object.hasOwn(each, name))
  return found ? Buffer.from(found[name] as Buffer).toString() : ''
}

async function writeLines(
  file: string,
  messages: AsyncIterable<readonly Message[]>,
  fields: (message: Message) => readonly unknown[],
): Promise<void> {
  const stream = createWriteStream(file)
  for await (const some of messages) {
    const lines = some.map((message) => `${fields(message).join('\t')}\n`).join('')
    if (!stream.write(lines)) await once(stream, 'drain')
  }
  stream.end()
  await once(stream, 'close')
}

/** Every committed record of the topics, from their beginning to their end. */
async function* readAll(bootstrap: string, topics: readonly string[]): AsyncGenerator<readonly Message[]> {
  const consumer = new kafka.KafkaConsumer(
    {
      'bootstrap.servers': bootstrap,
      'group.id': 'referee',
      'enable.auto.commit': false,
      'enable.partition.eof': true,
      'isolation.level': 'read_committed',
      'fetch.queue.backoff.ms': 5,
    },
    { 'auto.offset.reset': 'earliest' },
  )
  const metadata = await new Promise<kafka.Metadata>((resolve, reject) =>
    consumer.connect({ allTopics: true }, (error, data) => (error ? reject(error) : resolve(data))),
  )
  const partitions = metadata.topics
    .filter(({ name }) => topics.includes(name))
    .flatMap(({ name, partitions }) => partitions.map(({ id }) => ({ topic: name, partition: id, offset: 0 })))
  const unread = new Set(partitions.map(({ topic, partition }) => `${topic}/${partition}`))
  consumer.on('partition.eof', ({ topic, partition }) => unread.delete(`${topic}/${partition}`))
  consumer.assign(partitions)
  consumer.setDefaultConsumeTimeout(200)
  while (unread.size > 0) {
    yield await new Promise<Message[]>((resolve, reject) => {
      consumer.consume(5000, (error, messages) => (error ? reject(error) : resolve(messages)))
    })
  }
  await new Promise<void>((resolve) => void consumer.disconnect(() => resolve()))
}
