import kafka from '@confluentinc/kafka-javascript'
import { loadMessageType } from '../../src/decode/schema-source.ts'
import { readingMessage, readingProto } from '../../test/support/readings.ts'

/**
 * The rival that comes with the binding: its KafkaJS-like consumer with `eachBatch`, decoding each value with the same
 * protobufjs type and doing nothing else. Arguments: brokers, topic, records, and `count` to leave even the decoding out.
 * Prints one Sample as JSON.
 */
const [brokers = '', topic = '', wanted = '0', what = 'decode'] = process.argv.slice(2)
const records = Number(wanted)
const type = await loadMessageType({ files: [readingProto], message: readingMessage })

const consumer = new kafka.KafkaJS.Kafka({
  kafkaJS: { brokers: [brokers], logLevel: kafka.KafkaJS.logLevel.NOTHING },
}).consumer({
  kafkaJS: { groupId: `each-batch-${process.pid}`, fromBeginning: true, autoCommit: false },
  'js.consumer.max.batch.size': 4096,
})
await consumer.connect()
await consumer.subscribe({ topic })

let seen = 0
let broken = 0
let startedAt = 0
let cpuAtStart = process.cpuUsage()
await new Promise<void>((resolve, reject) => {
  consumer
    .run({
      partitionsConsumedConcurrently: 8,
      eachBatch: ({ batch }) => {
        if (seen === 0) {
          startedAt = performance.now()
          cpuAtStart = process.cpuUsage()
        }
        for (const { value } of what === 'decode' ? batch.messages : []) {
          try {
            type.decode(value!)
          } catch {
            broken++
          }
        }
        seen += batch.messages.length
        if (seen >= records) resolve()
        return Promise.resolve()
      },
    })
    .catch(reject)
})
const seconds = (performance.now() - startedAt) / 1000
const { user, system } = process.cpuUsage(cpuAtStart)
console.log(JSON.stringify({ records: seen, seconds, cpuSeconds: (user + system) / 1e6, broken }))
await consumer.disconnect()
process.exit(0)
