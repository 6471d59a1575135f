import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { Daemon } from '../support/daemon.ts'
import { sharedKafkaBroker, uniqueName } from '../support/kafka-broker.ts'
import type { SharedKafkaBroker } from '../support/kafka-broker.ts'
import { readingsConfig } from '../support/readings-config.ts'
import { withProducer } from '../support/readings.ts'
import { headerText, readTopic } from '../support/topic-records.ts'

const broken = Buffer.from([0x0a, 0xff, 0xff, 0x03])

let broker: SharedKafkaBroker
let folder: string

before(async () => {
  broker = await sharedKafkaBroker()
  folder = mkdtempSync(join(tmpdir(), 'millrace-breaker-'))
})
after(async () => {
  await Daemon.endAll()
  rmSync(folder, { recursive: true, force: true })
  await broker.stop()
})

/** A topic that holds these values, and a daemon's configuration that reads it. */
async function setUp(values: readonly Buffer[], deadLetters: object, deadTopicConfig: Record<string, string> = {}) {
  const topic = uniqueName('readings')
  const dead = uniqueName('dead')
  await broker.createTopic(topic, 1)
  await broker.createTopic(dead, 1, deadTopicConfig)
  await withProducer(broker.bootstrap, (producer) => {
    for (const value of values) producer.produce(topic, 0, value, 'key')
    return Promise.resolve()
  })
  const config = readingsConfig({
    bootstrap: broker.bootstrap,
    group: uniqueName('group'),
    topic,
    deadLetterTopic: dead,
    sink: { type: 'blackhole' },
  })
  const start = () =>
    Daemon.start(join(folder, `${topic}.json`), { ...config, deadLetters: { topic: dead, ...deadLetters } })
  return { topic, dead, start }
}

describe('dead letters', () => {
  test('a flood of them is a deployment error: the route waits with an alarm, and nothing is carried over', async () => {
    const { dead, start } = await setUp(Array<Buffer>(300).fill(broken), { maxRate: 0.2 })
    const daemon = await start()
    const { error } = await daemon.logged('the sink did not take a load: kept, to be tried again')
    const said = error as { code: string; message: string }
    assert.equal(said.code, 'DEAD_LETTER_FLOOD')
    assert.match(said.message, /300 of 300 records/)
    const ready = await fetch(new URL('/ready', await daemon.adminUrl()))
    assert.match(await ready.text(), /300 of 300 records .*deadLetters\.maxRate/)
    // What waits is not drained before its deadline.
    await daemon.kill()
    assert.deepEqual(await broker.endOffsets(dead), [0])
  })

  test('one that is too large for the topic is kept as a file, and the topic has a reference to it', async () => {
    const overflowPath = join(folder, 'overflow')
    const large = Buffer.concat([broken, randomBytes(20_000)])
    const small = Array<Buffer>(5).fill(Buffer.concat([broken, randomBytes(700)]))
    const { topic, dead, start } = await setUp(
      [...small, large, ...small],
      { overflowPath },
      { 'max.message.bytes': '4000' },
    )
    const daemon = await start()
    await daemon.metricReaches('millrace_committed_offset', 11)
    assert.equal(await daemon.stop(), 0, daemon.output)

    const letters = await readTopic(broker.bootstrap, dead, await broker.endOffsets(dead))
    const checks = letters.filter((letter) => headerText(letter, 'millrace.overflow.file'))
    assert.deepEqual(
      [letters.length, checks.length],
      [11, 1],
      'small ones go to the topic, though they came in one load',
    )
    const [check] = checks
    assert.deepEqual([check?.value, headerText(check!, 'kafka_dlt-original-topic')], [null, topic])
    const file = readFileSync(headerText(check!, 'millrace.overflow.file')!)
    assert.equal(createHash('sha256').update(file).digest('hex'), headerText(check!, 'millrace.overflow.sha256'))
    const kept = JSON.parse(file.toString()) as { offset: number; value: string; key: string }
    assert.deepEqual([kept.offset, kept.key], [5, Buffer.from('key').toString('base64')])
    assert.ok(Buffer.from(kept.value, 'base64').equals(large))
  })

  test('without a folder such a record stops its partition, with what is before it done', async () => {
    const large = Buffer.concat([broken, randomBytes(20_000)])
    const { topic, dead, start } = await setUp([broken, large, broken], {}, { 'max.message.bytes': '4000' })
    const daemon = await start()
    const { error } = await daemon.logged('partition stands still until an operator acts')
    assert.match((error as Error).message, new RegExp(`^${topic}/0 offset 1: .*too large .*deadLetters\\.overflowPath`))
    await daemon.metricReaches('millrace_committed_offset', 1)
    assert.equal(await daemon.stop(), 0, daemon.output)
    assert.ok((await broker.endOffsets(dead))[0]! >= 1)
  })
})
