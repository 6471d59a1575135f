import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { extname } from 'node:path'
import { after, afterEach, before, beforeEach, test } from 'node:test'
import { Worker } from 'node:worker_threads'
import type { KafkaConsumer } from '@confluentinc/kafka-javascript'
import { errorCodes } from '../../src/kafka/binding.ts'
import { NativeReaderUnavailableError } from '../../src/kafka/native-addon.ts'
import { createNativeReader } from '../../src/kafka/native-reader.ts'
import type { NativeReader, NativeReaderOptions, PartitionError } from '../../src/kafka/native-reader.ts'
import type { TopicPartition } from '../../src/kafka/partition-reader.ts'
import { SlabView, decodeHeaders } from '../../src/kafka/slab.ts'
import { sharedKafkaBroker, uniqueName } from '../support/kafka-broker.ts'
import type { SharedKafkaBroker } from '../support/kafka-broker.ts'
import { OffsetLog, connectConsumer, disconnect, flow, keepPolling, produce } from './native-reader-fixture.ts'
import { keepWriting, produceTransaction, range, smallRecords, until } from './native-reader-fixture.ts'
import { OffsetLedger, joinGroup } from './native-group-member.ts'

const recordCount = 30_000

let broker: SharedKafkaBroker
/** Two partitions of `recordCount` records each. */
let topic: string
let consumer: KafkaConsumer
let readers: { reader: NativeReader; polling: { stop(): Promise<void> } }[]

before(async () => {
  broker = await sharedKafkaBroker()
  topic = uniqueName('native')
  await broker.createTopic(topic, 2)
  await produce(broker.bootstrap, topic, smallRecords(recordCount, 2))
})

after(() => broker.stop())

beforeEach(async () => {
  readers = []
  consumer = await connectConsumer(broker.bootstrap)
})

afterEach(async () => {
  for (const { reader, polling } of readers) {
    await polling.stop()
    await reader.stop()
  }
  await disconnect(consumer)
})

function startReader(options: NativeReaderOptions = {}): NativeReader {
  const onPartitionError = ({ topic, partition }: TopicPartition, { message }: PartitionError) =>
    assert.fail(`${topic}/${partition}: ${message}`)
  const reader = createNativeReader(consumer, { onPartitionError, ...options })
  readers.push({ reader, polling: keepPolling(reader) })
  return reader
}

test('every record arrives once and in order, and nothing passes a lane by', async () => {
  const reader = startReader()
  const partitions = [0, 1].map((partition) => ({ topic, partition }))
  const logs = partitions.map((partition) => flow(reader, partition))
  consumer.assign(partitions.map((partition) => ({ ...partition, offset: 0 })))
  await Promise.all(logs.map((log) => log.reached(recordCount)))
  for (const log of logs) assert.deepEqual(log.offsets, range(0, recordCount))
  for (const partition of partitions) assert.equal(reader.position(partition), recordCount)
})

test('key, value, headers and timestamp arrive whole, null told from empty', async () => {
  const own = uniqueName('native-whole')
  // Its records are as old as their timestamps say.
  await broker.createTopic(own, 1, { 'retention.ms': '-1' })
  // Not Buffer.alloc(0): that has no address, and the binding's producer takes it for null.
  const empty = Buffer.from('x').subarray(1)
  const big = Buffer.alloc(700_000, 'x')
  const headers = [{ a: Buffer.from('1') }, { a: Buffer.from([0, 255]) }, { empty }]
  await produce(broker.bootstrap, own, [
    { partition: 0, key: Buffer.from('key'), value: Buffer.from('value'), timestamp: 1_700_000_000_123, headers },
    { partition: 0, key: null, value: null, timestamp: 1 },
    { partition: 0, key: empty, value: empty, timestamp: 2 },
    { partition: 0, value: big, timestamp: 3 },
    { partition: 0, value: Buffer.from('last'), timestamp: 4, headers: [{ ключ: Buffer.from('v') }] },
  ])
  // A bound far below the big record: that one comes alone.
  const reader = startReader({ readBytesMax: 100_000 })
  const partition = { topic: own, partition: 0 }
  const log = flow(reader, partition)
  consumer.assign([{ ...partition, offset: 0 }])
  await log.reached(5)

  const found = log.slabs.flatMap((slab) => {
    const view = new SlabView(slab)
    return range(0, view.count).map((index) => ({
      key: text(view.key(index)),
      value: text(view.value(index)),
      timestamp: view.timestamp(index),
      headers: decodeHeaders(view.headers(index)).map(({ name, value }) => [name, text(value)]),
    }))
  })
  const wholeHeaders = [
    ['a', '1'],
    ['a', '\u0000ÿ'],
    ['empty', ''],
  ]
  assert.deepEqual(found, [
    { key: 'key', value: 'value', timestamp: 1_700_000_000_123, headers: wholeHeaders },
    { key: null, value: null, timestamp: 1, headers: [] },
    { key: '', value: '', timestamp: 2, headers: [] },
    { key: null, value: big.toString('latin1'), timestamp: 3, headers: [] },
    { key: null, value: 'last', timestamp: 4, headers: [['ключ', 'v']] },
  ])
  assert.equal(log.slabs.length, 3)
})

test('a lane gets its grant and at most one read more, while another flows', async () => {
  const readBytesMax = 64 * 1024
  const grantBytes = 200_000
  const reader = startReader({ readBytesMax })
  const [held, flowing] = [0, 1].map((partition) => ({ topic, partition })) as [TopicPartition, TopicPartition]
  const heldLog = new OffsetLog()
  reader.open(held, heldLog.receive)
  const flowingLog = flow(reader, flowing)
  consumer.assign([
    { ...held, offset: 0 },
    { ...flowing, offset: 0 },
  ])
  reader.grant(held, grantBytes)
  // The other lane's whole partition is the clock: by then the held one would have gone on if it could.
  await flowingLog.reached(recordCount)
  assert.ok(heldLog.bytes >= grantBytes && heldLog.bytes < grantBytes + readBytesMax, `${heldLog.bytes} bytes`)

  reader.grant(held, 100 * 1024 * 1024)
  await heldLog.reached(recordCount)
  assert.deepEqual(heldLog.offsets, range(0, recordCount))
})

test('records that arrive while the rest of a read waits for a grant are read too', async () => {
  const own = uniqueName('native-rest')
  await broker.createTopic(own, 1)
  const partition = { topic: own, partition: 0 }
  const record = (bytes: number) => ({ partition: 0, value: Buffer.alloc(bytes, 1) })
  // A pop takes all three of them, a slab only two.
  await produce(broker.bootstrap, own, [record(30_000), record(30_000), record(30_000)])
  await disconnect(consumer)
  consumer = await connectConsumer(broker.bootstrap, { 'statistics.interval.ms': 100 })
  const reader = startReader({ readBytesMax: 64 * 1024 })
  const log = new OffsetLog()
  reader.open(partition, log.receive)
  const fetched = fetchQueueReached(partition, (count) => count >= 3)
  consumer.assign([{ ...partition, offset: 0 }])
  await fetched
  reader.grant(partition, 1)
  await log.reached(2)
  const arrived = fetchQueueReached(partition, (count) => count >= 1)
  await produce(broker.bootstrap, own, [record(10)])
  await arrived
  reader.grant(partition, 1024 * 1024)
  await log.reached(4)
  assert.deepEqual(log.offsets, [0, 1, 2, 3])
})

test('records that arrive one by one come in slabs of many', async () => {
  const own = uniqueName('native-trickle')
  await broker.createTopic(own)
  const reader = startReader({ coalesceMs: 200 })
  const partition = { topic: own, partition: 0 }
  const log = flow(reader, partition)
  consumer.assign([{ ...partition, offset: 0 }])
  await produce(broker.bootstrap, own, smallRecords(1, 1))
  await log.reached(1)
  await produce(broker.bootstrap, own, smallRecords(49, 1), 1)
  await log.reached(50)
  assert.deepEqual(log.offsets, range(0, 50))
  assert.ok(log.slabs.length < 10, `${log.slabs.length} slabs`)
})

test('a partition closed while it flows and opened again shares nothing with its past', async () => {
  const reader = startReader({ readBytesMax: 16 * 1024 })
  const partition = { topic, partition: 0 }
  for (const start of [0, 7, 20_000]) {
    const first = new OffsetLog((slab) => reader.grant(partition, slab.byteLength))
    reader.open(partition, first.receive)
    reader.grant(partition, 1024 * 1024)
    consumer.assign([{ ...partition, offset: start }])
    await first.reached(1)
    reader.close(partition)
    const seen = first.offsets.length
    assert.equal(reader.position(partition), undefined)
    consumer.unassign()

    const second = flow(reader, partition)
    consumer.assign([{ ...partition, offset: start + 5 }])
    await second.reached(5_000)
    assert.equal(first.offsets.length, seen)
    assert.deepEqual(second.offsets, range(start + 5, start + 5 + second.offsets.length))
    reader.close(partition)
    consumer.unassign()
  }
})

test('a receiver may close its own partition, and stop the reader', async () => {
  const reader = startReader({ readBytesMax: 16 * 1024 })
  const [one, other] = [0, 1].map((partition) => ({ topic, partition })) as [TopicPartition, TopicPartition]
  const closing = new OffsetLog(() => reader.close(one))
  const stopped = new Promise<void>((resolve) => {
    const stopping = new OffsetLog(() => {
      if (closing.slabs.length > 0) resolve(reader.stop())
      else reader.grant(other, 1)
    })
    reader.open(other, stopping.receive)
  })
  reader.open(one, closing.receive)
  consumer.assign([
    { ...one, offset: 0 },
    { ...other, offset: 0 },
  ])
  for (const partition of [one, other]) reader.grant(partition, 1024 * 1024)
  await stopped
  assert.equal(closing.slabs.length, 1)
})

test('a rewind drops what was read and goes on from the offset, forth and back, without a grant', async () => {
  const reader = startReader({ readBytesMax: 16 * 1024 })
  const partition = { topic, partition: 0 }
  const log = new OffsetLog()
  reader.open(partition, log.receive)
  consumer.assign([{ ...partition, offset: 0 }])
  for (const offset of [20_000, 3, 10_000, 0]) {
    reader.grant(partition, 1_000_000)
    await log.reached(log.offsets.length + 1)
    const rewound = reader.rewind(partition, offset)
    assert.equal(reader.position(partition), undefined)
    const seen = log.offsets.length
    await rewound
    assert.equal(log.offsets.length, seen)
    reader.grant(partition, 100_000)
    await log.reached(seen + 1)
    assert.equal(log.offsets[seen], offset)
    const since = log.offsets.slice(seen)
    assert.deepEqual(since, range(offset, offset + since.length))
  }
})

test('a rewind of a partition that the consumer has not got rejects, and can be tried again when it has', async () => {
  const reader = startReader()
  const partition = { topic, partition: 0 }
  const log = new OffsetLog()
  reader.open(partition, log.receive)
  await assert.rejects(reader.rewind(partition, 5), {
    code: 'KAFKA_UNAVAILABLE',
    message: `${topic}/0 cannot be read from 5`,
  })
  consumer.assign([{ ...partition, offset: 0 }])
  await reader.rewind(partition, 5)
  reader.grant(partition, 100_000)
  await log.reached(1)
  assert.equal(log.offsets[0], 5)
})

test('a rewind is possible as soon as the partition is assigned', async () => {
  const reader = startReader()
  const partition = { topic, partition: 0 }
  const log = flow(reader, partition)
  consumer.assign([{ ...partition, offset: 20_000 }])
  await reader.rewind(partition, 10_000)
  reader.grant(partition, 100_000)
  await log.reached(1)
  assert.equal(log.offsets[0], 10_000)
})

test('what librdkafka has fetched of a partition is dropped some time after it was closed and unassigned', async () => {
  await disconnect(consumer)
  consumer = await connectConsumer(broker.bootstrap, { 'statistics.interval.ms': 50 })
  const reader = startReader()
  const partition = { topic, partition: 0 }
  reader.open(partition, () => undefined)
  consumer.assign([{ ...partition, offset: 0 }])
  await fetchQueueReached(partition, (count) => count >= recordCount)
  reader.close(partition)
  consumer.unassign()
  await fetchQueueReached(partition, (count) => count === 0)
})

test('the position passes transaction markers and aborted records, up to the end of the log', async () => {
  const own = uniqueName('native-transactions')
  await broker.createTopic(own)
  await produceTransaction(broker.bootstrap, own, 0, 3, 'commit')
  await produceTransaction(broker.bootstrap, own, 0, 2, 'abort')
  const end = 7
  // The markers are written after the transaction's end has been answered.
  await until('both markers are in the log', async () => (await broker.endOffsets(own))[0] === end)
  const reader = startReader()
  const partition = { topic: own, partition: 0 }
  const log = flow(reader, partition)
  assert.equal(reader.position(partition), undefined)
  consumer.assign([{ ...partition, offset: 0 }])
  await until(`${own} is read to its end`, () => reader.position(partition) === end)
  assert.deepEqual(log.offsets, [0, 1, 2])

  // At the last marker there is nothing to hand over at all.
  reader.close(partition)
  consumer.unassign()
  flow(reader, partition)
  consumer.assign([{ ...partition, offset: end - 1 }])
  await until(`${own} is read to its end`, () => reader.position(partition) === end)
})

test('records that librdkafka fetches twice arrive once; a log that goes back otherwise stops the partition', async () => {
  const own = uniqueName('native-twice')
  await broker.createTopic(own)
  await produce(broker.bootstrap, own, smallRecords(50, 1))
  const partition = { topic: own, partition: 0 }
  let log!: OffsetLog
  const error = new Promise<PartitionError>((resolve) => {
    const reader = startReader({ onPartitionError: (_, error) => resolve(error) })
    log = flow(reader, partition)
  })
  consumer.assign([{ ...partition, offset: 0 }])
  await log.reached(50)

  // Behind the reader's back, to the first record of its one pop: as a rebalance at the worst moment does it.
  await seek({ ...partition, offset: 0 })
  await produce(broker.bootstrap, own, smallRecords(10, 1))
  await log.reached(60)
  assert.deepEqual(log.offsets, range(0, 60))

  await seek({ ...partition, offset: 5 })
  const { code, message } = await error
  assert.equal(code, errorCodes.logTruncation)
  assert.equal(message, 'the log went back from offset 60 to 5')
  assert.equal(log.offsets.length, 60)
})

test('an offset beyond the log is reported with its partition and code', async () => {
  const partition = { topic, partition: 1 }
  const reported = new Promise<{ place: TopicPartition; error: PartitionError }>((resolve) => {
    const reader = startReader({ onPartitionError: (place, error) => resolve({ place, error }) })
    flow(reader, partition)
    consumer.assign([{ ...partition, offset: recordCount + 5 }])
  })
  const { place, error } = await reported
  assert.deepEqual(place, partition)
  assert.equal(error.code, errorCodes.autoOffsetReset)
  assert.match(error.message, /out of range/)
})

test('a topic that does not exist is an error event of the consumer', async () => {
  const reported = once(consumer, 'event.error') as Promise<[Error]>
  const partition = { topic: uniqueName('native-absent'), partition: 0 }
  flow(startReader(), partition)
  consumer.assign([{ ...partition, offset: 0 }])
  const [{ message }] = await reported
  assert.match(message, /unknown topic or partition/)
})

test('slabs are transferred to a worker thread, which reads them in place', async () => {
  const worker = new Worker(
    `const { parentPort } = require('node:worker_threads')
     let records = 0
     parentPort.on('message', (slab) => parentPort.postMessage(records += new Uint32Array(slab, 0, 4)[1]))`,
    { eval: true },
  )
  const reader = startReader()
  const partition = { topic, partition: 0 }
  const counted = new Promise<number>((resolve) => {
    worker.on('message', (records: number) => records >= recordCount && resolve(records))
  })
  let bytesLeftHere = 0
  reader.open(partition, (slab) => {
    reader.grant(partition, slab.byteLength)
    worker.postMessage(slab, [slab])
    bytesLeftHere += slab.byteLength
  })
  consumer.assign([{ ...partition, offset: 0 }])
  reader.grant(partition, 8 * 1024 * 1024)
  assert.equal(await counted, recordCount)
  assert.equal(bytesLeftHere, 0)
  await worker.terminate()
})

test('after a stop in full flow no slab arrives, and the consumer disconnects', async () => {
  const reader = startReader({ readBytesMax: 16 * 1024 })
  const partitions = [0, 1].map((partition) => ({ topic, partition }))
  const logs = partitions.map((partition) => flow(reader, partition))
  consumer.assign(partitions.map((partition) => ({ ...partition, offset: 0 })))
  await Promise.all(logs.map((log) => log.reached(1)))
  const seen = logs.map((log) => log.offsets.length)
  await reader.stop()
  await reader.stop()
  for (const { polling } of readers) await polling.stop()
  await disconnect(consumer)
  assert.deepEqual(
    logs.map((log) => log.offsets.length),
    seen,
  )
  consumer = await connectConsumer(broker.bootstrap)
})

test('members that come and go hand every partition on without a gap or a double', async () => {
  const own = uniqueName('native-members')
  await broker.createTopic(own, 4)
  const writing = keepWriting(broker.bootstrap, own, 4)
  const ledger = new OffsetLedger()
  const group = uniqueName('native-group')
  const join = () => joinGroup(broker.bootstrap, group, own, ledger)

  const first = await join()
  for (let round = 0; round < 3; round++) {
    const second = await join()
    // The first member stays: its partitions are paused meanwhile, with records popped, packed and on their way.
    const givenBack = first.nextAssignment()
    await second.leave()
    await givenBack
  }
  const written = await writing.stop()
  await until('everything is read', () => ledger.count >= 4 * written)
  await first.leave()
  assert.equal(ledger.partitions.size, 4)
  for (const offsets of ledger.partitions.values()) assert.deepEqual(offsets, range(0, written))
})

test('fifty connects and disconnects in full flow leave the memory as it was', async () => {
  const script = new URL(`./native-reader-cycles${extname(import.meta.url)}`, import.meta.url)
  const child = fork(script, [broker.bootstrap, topic], { execArgv: ['--expose-gc'], silent: true })
  let complaint = ''
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (complaint += text))
  const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null]
  assert.deepEqual({ code, signal }, { code: 0, signal: null }, complaint)
})

test('a consumer that is not connected, or is not the one it says, is refused with the reason', async () => {
  const impostor = Object.create(consumer, { name: { value: 'another' } }) as KafkaConsumer
  assert.throws(
    () => createNativeReader(impostor),
    (error) => error instanceof NativeReaderUnavailableError && error.message.includes('another name in librdkafka'),
  )
  const stranger = { getClient: () => ({}) } as unknown as KafkaConsumer
  assert.throws(
    () => createNativeReader(stranger),
    (error) => error instanceof NativeReaderUnavailableError && error.message.includes('no client of the binding'),
  )
})

function seek(target: TopicPartition & { offset: number }): Promise<void> {
  return new Promise((resolve, reject) => consumer.seek(target, 5_000, (error) => (error ? reject(error) : resolve())))
}

/** Resolves with the first statistics in which the count of librdkafka's fetched records is as wanted. */
function fetchQueueReached({ topic, partition }: TopicPartition, wanted: (count: number) => boolean): Promise<void> {
  return new Promise((resolve) => {
    const onStatistics = ({ message }: { message: string }) => {
      const { topics } = JSON.parse(message) as Statistics
      const count = topics[topic]?.partitions[partition]?.fetchq_cnt
      if (count === undefined || !wanted(count)) return
      consumer.off('event.stats', onStatistics)
      resolve()
    }
    consumer.on('event.stats', onStatistics)
  })
}

/** The part of librdkafka's statistics that is looked at here. */
interface Statistics {
  readonly topics: Record<string, { readonly partitions: Record<string, { readonly fetchq_cnt: number }> }>
}

const text = (bytes: Uint8Array | null): string | null =>
  bytes === null ? null : Buffer.from(bytes).toString('latin1')
