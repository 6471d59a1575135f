import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { Daemon, runCli } from '../support/daemon.ts'
import { sharedKafkaBroker, uniqueName } from '../support/kafka-broker.ts'
import type { SharedKafkaBroker } from '../support/kafka-broker.ts'
import { readingsConfig } from '../support/readings-config.ts'
import { withProducer } from '../support/readings.ts'

let broker: SharedKafkaBroker
let folder: string

before(async () => {
  broker = await sharedKafkaBroker()
  folder = mkdtempSync(join(tmpdir(), 'millrace-lanes-'))
})
after(async () => {
  await Daemon.endAll()
  rmSync(folder, { recursive: true, force: true })
  await broker.stop()
})

describe('millrace lanes', () => {
  test('tells in one line why a partition does not move, and /ready and the metric tell the same', async () => {
    const topic = uniqueName('readings')
    await broker.createTopic(topic, 2)
    const config = readingsConfig({
      bootstrap: broker.bootstrap,
      group: uniqueName('group'),
      topic,
      deadLetterTopic: 'unused',
      sink: { type: 'blackhole' },
    })
    const daemon = await Daemon.start(join(folder, 'lanes.json'), { ...config, deadLetters: undefined })
    await withProducer(broker.bootstrap, (producer) => {
      producer.produce(topic, 1, Buffer.from([0x0a, 0xff, 0xff, 0x03]), 'key')
      return Promise.resolve()
    })
    await daemon.logged('partition stands still until an operator acts')
    await daemon.metricReaches('millrace_stopped_lanes', 1)

    const { stdout, code } = await runCli(['lanes', '--url', await daemon.adminUrl()])
    assert.equal(code, 0)
    const [first, second, ...more] = stdout.trim().split('\n')
    assert.deepEqual(more, [])
    assert.match(first!, new RegExp(`^${topic}/0 has nothing to read, for \\d+ m?s; `))
    assert.match(
      second!,
      new RegExp(
        `^${topic}/1 stands still until an operator acts, for \\d+ m?s; ${topic}/1 offset 0: .*deadLetters\\.topic`,
      ),
    )
    const ready = await fetch(new URL('/ready', await daemon.adminUrl()))
    assert.equal(ready.status, 503)
    assert.match(await ready.text(), /offset 0: .*deadLetters\.topic/)
    const metrics = await (await fetch(new URL('/metrics', await daemon.adminUrl()))).text()
    assert.match(metrics, /^millrace_lane_waiting_seconds\{.*partition="1".*reason="operator"\} /m)
    assert.equal(metrics.match(/^millrace_lane_waiting_seconds\{/gm)?.length, 2, 'one series a lane')
    assert.equal(await daemon.stop(), 0, daemon.output)
  })

  test('an admin port without a daemon, and a command that names none, are told in a sentence', async () => {
    const unreachable = await runCli(['lanes', '--url', 'http://127.0.0.1:1'])
    assert.match(unreachable.stderr, /^millrace: no daemon answers at http:\/\/127\.0\.0\.1:1\/api\/status: .*\n$/)
    assert.equal(unreachable.code, 69)
    const unnamed = await runCli(['lanes'])
    assert.match(unnamed.stderr, /--config FILE or --url URL/)
    assert.equal(unnamed.code, 64)
  })
})
