import kafka from '@confluentinc/kafka-javascript'
import type { Message } from '@confluentinc/kafka-javascript'

/** Everything committed in a topic, read by a client that is not ours, as far as `ends` (one end offset a partition). */
export async function readTopic(bootstrap: string, topic: string, ends: readonly number[]): Promise<Message[]> {
  const consumer = new kafka.KafkaConsumer(
    {
      'bootstrap.servers': bootstrap,
      'group.id': `reader-of-${topic}`,
      'enable.auto.commit': false,
      'enable.partition.eof': true,
    },
    undefined,
  )
  await new Promise<void>((resolve, reject) => consumer.connect({}, (error) => (error ? reject(error) : resolve())))
  const unread = new Set(ends.flatMap((end, partition) => (end > 0 ? [partition] : [])))
  const records: Message[] = []
  consumer.on('partition.eof', ({ partition }) => unread.delete(partition))
  consumer.assign(ends.map((_, partition) => ({ topic, partition, offset: 0 })))
  consumer.setDefaultConsumeTimeout(200)
  while (unread.size > 0) {
    records.push(
      ...(await new Promise<Message[]>((resolve, reject) => {
        consumer.consume(1000, (error, messages) => (error ? reject(error) : resolve(messages)))
      })),
    )
  }
  await new Promise<void>((resolve) => void consumer.disconnect(() => resolve()))
  return records
}

/** The header's text; undefined when the record has none of that name. */
export function headerText(record: Message, name: string): string | undefined {
  const header = record.headers?.find((each) => Object.hasOwn(each, name))
  return header && Buffer.from(header[name] as Buffer).toString()
}
