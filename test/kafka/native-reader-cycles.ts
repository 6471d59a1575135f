// Run by native-reader.test.ts in a process of its own: connects, reads and disconnects fifty times, and fails when the
// resident memory grows meanwhile. Arguments: the broker, a topic with two partitions.
import assert from 'node:assert/strict'
import { createNativeReader } from '../../src/kafka/native-reader.ts'
import { connectConsumer, disconnect, flow, keepPolling } from './native-reader-fixture.ts'

const [bootstrap = '', topic = ''] = process.argv.slice(2)
const cycles = 50
/** Arenas, pools and code have reached their size by then. */
const warmUpCycles = 15
/** The binding leaks about 0.1 MB with each consumer; slabs and messages left behind would be some MB each cycle. */
const growthBytesMax = 25 * 1024 * 1024

const resident: number[] = []
for (let cycle = 0; cycle < cycles; cycle++) {
  await connectReadDisconnect()
  globalThis.gc?.()
  resident.push(process.memoryUsage().rss)
}
// A single cycle's memory is up to 20 MB above its neighbours', as slabs of it await the next sweep; what leaks is in each.
const growth = lowest(resident.slice(-10)) - lowest(resident.slice(warmUpCycles, warmUpCycles + 10))
assert.ok(growth < growthBytesMax, `${growth} bytes more after ${cycles - warmUpCycles} cycles: ${resident.join(' ')}`)
process.exit(0)

function lowest(values: readonly number[]): number {
  return Math.min(...values)
}

async function connectReadDisconnect(): Promise<void> {
  const consumer = await connectConsumer(bootstrap)
  const partitions = [0, 1].map((partition) => ({ topic, partition }))
  const reader = createNativeReader(consumer)
  const polling = keepPolling(reader)
  const logs = partitions.map((partition) => flow(reader, partition))
  consumer.assign(partitions.map((partition) => ({ ...partition, offset: 0 })))
  await Promise.all(logs.map((log) => log.reached(5_000)))
  // Not closed, and in full flow: what librdkafka and the addon hold then has to be given back by the stop alone.
  await reader.stop()
  await polling.stop()
  await disconnect(consumer)
}
