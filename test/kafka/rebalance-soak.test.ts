import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { extname } from 'node:path'
import { after, before, test } from 'node:test'
import { sharedKafkaBroker, uniqueName } from '../support/kafka-broker.ts'
import type { SharedKafkaBroker } from '../support/kafka-broker.ts'
import { joinGroup, OffsetLedger } from './native-group-member.ts'
import { keepWriting } from './native-reader-fixture.ts'

const partitions = 4
/** Each visit makes two: one when the visitor joins and one when it leaves. */
const rebalances = Number(process.env['MILLRACE_TEST_REBALANCES'] ?? 12)
const visitCount = rebalances / 2
/** Arenas, pools and code have reached their size by then. */
const warmUpVisits = Math.floor(visitCount / 3)
const growthBytesMax = 20 * 1024 * 1024

let broker: SharedKafkaBroker
before(async () => void (broker = await sharedKafkaBroker()))
after(() => broker.stop())

test(`a member reads on through ${rebalances} rebalances, without a gap or a double, in the same memory`, async () => {
  const topic = uniqueName('rebalance-soak')
  const group = uniqueName('rebalance-soak')
  await broker.createTopic(topic, partitions)
  const writing = keepWriting(broker.bootstrap, topic, partitions)
  const script = new URL(`./staying-member${extname(import.meta.url)}`, import.meta.url)
  const staying = fork(script, [broker.bootstrap, group, topic], { execArgv: ['--expose-gc', '--enable-source-maps'] })
  const ended = once(staying, 'exit') as Promise<[number]>
  const resident: number[] = []
  staying.on('message', (bytes: number) => resident.push(bytes))
  await once(staying, 'message')
  // Of its own: the one that stays reads again what was read here, so that nothing it missed goes unseen.
  const visits = new OffsetLedger()
  for (let visit = 0; visit < visitCount; visit++) {
    const visitor = await joinGroup(broker.bootstrap, group, topic, visits)
    const givenBack = Promise.race([once(staying, 'message'), ended])
    await visitor.leave()
    await givenBack
  }
  const written = await writing.stop()
  staying.send(written * partitions)
  const [code] = await ended
  assert.equal(code, 0)
  const growth = resident.at(-1)! - resident[warmUpVisits]!
  console.log(JSON.stringify({ rebalances, records: written * partitions, growthMebibytes: growth / 2 ** 20 }))
  assert.ok(
    growth < growthBytesMax,
    `${growth} bytes more after ${visitCount - warmUpVisits} visits: ${resident.join(', ')}`,
  )
})
