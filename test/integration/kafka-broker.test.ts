import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { createInterface } from 'node:readline'
import { after, before, describe, test } from 'node:test'
import kafka from '@confluentinc/kafka-javascript'
import { sharedKafkaBroker, startKafkaBroker, uniqueName } from '../support/kafka-broker.ts'
import type { KafkaBroker, SharedKafkaBroker } from '../support/kafka-broker.ts'

describe('a broker shared by all test files', () => {
  let broker: SharedKafkaBroker
  before(async () => {
    broker = await sharedKafkaBroker()
  })
  after(() => broker.stop())

  test('has the topic that was created, each partition empty', async () => {
    const topic = uniqueName('created')
    await broker.createTopic(topic, 3)
    assert.deepEqual(await broker.endOffsets(topic), [0, 0, 0])
    await broker.deleteTopic(topic)
  })

  test('refuses to create a topic twice', async () => {
    const topic = uniqueName('twice')
    await broker.createTopic(topic)
    await assert.rejects(broker.createTopic(topic), /exists already/)
  })

  test('a topic deleted and created again is empty', async () => {
    const topic = uniqueName('again')
    await broker.createTopic(topic, 2)
    await produce(broker.bootstrap, topic, ['one', 'two'])
    await broker.deleteTopic(topic)
    await broker.createTopic(topic, 1)
    assert.deepEqual(await broker.endOffsets(topic), [0])
  })

  test('tells what a group committed, and of a new group that it committed nothing', async () => {
    const [topic, group] = [uniqueName('committed'), uniqueName('group')]
    await broker.createTopic(topic, 2)
    await produce(broker.bootstrap, topic, ['one', 'two', 'three'])
    assert.deepEqual(await broker.committed(group, topic), [undefined, undefined])
    await commit(broker.bootstrap, group, { topic, partition: 0, offset: 2 })
    assert.deepEqual(await broker.committed(group, topic), [2, undefined])
  })
})

describe('a broker of one’s own', () => {
  let broker: KafkaBroker
  let forwarded = 0
  const proxy = createServer((client) => {
    forwarded += 1
    const upstream = connect(broker.proxiedPort, '127.0.0.1')
    client.pipe(upstream).pipe(client)
    for (const socket of [client, upstream])
      socket.on('error', () => [client, upstream].forEach((each) => each.destroy()))
  })
  before(async () => {
    await once(proxy.listen(0, '127.0.0.1'), 'listening')
    broker = await startKafkaBroker({ advertisedPort: (proxy.address() as AddressInfo).port })
  })
  after(async () => {
    await broker.stop()
    proxy.close()
  })

  test('keeps what was acknowledged through kill -9, under the same address', async () => {
    const topic = uniqueName('survivor')
    await broker.createTopic(topic)
    await produce(broker.bootstrap, topic, ['one', 'two'])
    await broker.kill()
    await broker.restart()
    assert.deepEqual(await broker.endOffsets(topic), [2])
  })

  test('sends clients of the proxied listener back to the proxy', async () => {
    const topic = uniqueName('proxied')
    await broker.createTopic(topic)
    await produce(`127.0.0.1:${(proxy.address() as AddressInfo).port}`, topic, ['one'])
    assert.deepEqual(await broker.endOffsets(topic), [1])
    assert.ok(forwarded >= 2, `bootstrap and broker connection both pass the proxy; it saw ${forwarded}`)
  })
})

test('a broker dies with the process that started it, even by kill -9', { timeout: 30_000 }, async () => {
  const module = new URL('../support/kafka-broker.js', import.meta.url).href
  const script = `const { startKafkaBroker } = await import(${JSON.stringify(module)})
    console.log((await startKafkaBroker()).bootstrap)
    setInterval(() => undefined, 1000)`
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] })
  const [bootstrap] = (await once(createInterface(child.stdout), 'line')) as [string]
  const socket = connect(Number(bootstrap.split(':')[1]), '127.0.0.1')
  await once(socket, 'connect')
  child.kill('SIGKILL')
  await once(
    socket.resume().on('error', () => undefined),
    'close',
  )
})

test('a broker that cannot start says why', async () => {
  await assert.rejects(
    startKafkaBroker({ properties: { 'log.segment.bytes': 'many' } }),
    (error: Error) => /Kafka ended/.test(error.message) && /log\.segment\.bytes/.test(error.message),
  )
})

/** Writes to partition 0 and waits for the broker's acknowledgement. */
async function produce(bootstrap: string, topic: string, values: readonly string[]): Promise<void> {
  const producer = new kafka.KafkaJS.Kafka({
    kafkaJS: { brokers: [bootstrap], logLevel: kafka.KafkaJS.logLevel.NOTHING },
  }).producer()
  await producer.connect()
  await producer.send({ topic, messages: values.map((value) => ({ value, partition: 0 })) })
  await producer.disconnect()
}

async function commit(
  bootstrap: string,
  group: string,
  position: { topic: string; partition: number; offset: number },
): Promise<void> {
  const consumer = new kafka.KafkaConsumer(
    { 'bootstrap.servers': bootstrap, 'group.id': group, 'enable.auto.commit': false },
    undefined,
  )
  await new Promise<void>((resolve, reject) => consumer.connect({}, (error) => (error ? reject(error) : resolve())))
  consumer.commitSync(position)
  await new Promise<void>((resolve) => consumer.disconnect(() => resolve()))
}
