import { createBindingConsumer } from '../../src/kafka/binding.ts'
import { connectClient } from '../../src/kafka/client-connection.ts'
import { consumerSettings } from '../../src/kafka/client-settings.ts'
import { createReader } from '../../src/kafka/reader-choice.ts'
import { SlabView } from '../../src/kafka/slab.ts'

/**
 * One of our readers by itself: slabs are counted and given up. Arguments: brokers, topic, partitions, records, reader.
 * Prints one Sample as JSON.
 */
const [brokers = '', topic = '', partitions = '0', wanted = '0', kind = 'native'] = process.argv.slice(2)
const records = Number(wanted)
const mebibyte = 1024 * 1024
const kafka = {
  brokers: [brokers],
  group: `read-alone-${process.pid}`,
  clientId: 'read-alone',
  security: { protocol: 'plaintext' },
  startAt: 'earliest',
  onGap: 'stop',
  properties: {},
} as const
const settings = consumerSettings(kafka, { queuedBytesAPartition: 8 * mebibyte, fetchBytesAPartition: mebibyte })
const consumer = createBindingConsumer(settings)
await connectClient(consumer, 10_000)
const reader = createReader(
  consumer,
  kind as 'native' | 'binding',
  { slabBytesMax: mebibyte, recordBytesMax: mebibyte },
  (notice) => console.error(notice),
  (partition, { message }) => console.error(partition, message),
)

let seen = 0
let startedAt = 0
let cpuAtStart = process.cpuUsage()
const all = Array.from({ length: Number(partitions) }, (_, partition) => ({ topic, partition }))
for (const partition of all) {
  reader.open(partition, (slab) => {
    if (seen === 0) {
      startedAt = performance.now()
      cpuAtStart = process.cpuUsage()
    }
    seen += new SlabView(slab).count
    reader.grant(partition, slab.byteLength)
  })
}
consumer.assign(all.map((partition) => ({ ...partition, offset: 0 })))
for (const partition of all) reader.grant(partition, 16 * mebibyte)
while (seen < records) await reader.poll()
const seconds = (performance.now() - startedAt) / 1000
const { user, system } = process.cpuUsage(cpuAtStart)
console.log(JSON.stringify({ records: seen, seconds, cpuSeconds: (user + system) / 1e6 }))
process.exit(0)
