import assert from 'node:assert/strict'
import { request } from 'node:http'
import { after, before, describe, test } from 'node:test'
import { ConfigError } from '../../src/errors.ts'
import { AdminServer } from '../../src/observe/admin-server.ts'
import { createMetrics } from '../../src/observe/metrics.ts'

const health: { stalls: string[]; unready: string[] } = { stalls: [], unready: ['the group is not joined yet'] }
const metrics = createMetrics()
let looks = 0
const server = new AdminServer(metrics.registry, {
  measure: () => metrics.recordsInFlight.set(++looks),
  stalls: () => health.stalls,
  unready: () => health.unready,
  status: () => ({ lanes: [] }),
})
let port = 0

interface Answer {
  status: number
  body: string
}

function ask(path: string, options: { method?: string; host?: string } = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const headers = options.host === undefined ? {} : { host: options.host }
    request({ port, host: '127.0.0.1', path, method: options.method ?? 'GET', headers }, (response) => {
      let body = ''
      response.on('data', (part: Buffer) => (body += part.toString()))
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body }))
    })
      .on('error', reject)
      .end()
  })
}

describe('AdminServer', () => {
  before(async () => {
    port = await server.listen('127.0.0.1', 0)
  })
  after(() => server.close())

  test('/metrics tells every metric by its promised name', async () => {
    metrics.recordsRead.inc({ topic: 't', partition: '0', route: 'r', sink: 's' }, 3)
    const { status, body } = await ask('/metrics')
    assert.equal(status, 200)
    assert.match(body, /^millrace_records_read_total\{topic="t",partition="0",route="r",sink="s"\} 3$/m)
    const promised = [
      'rows_written_total',
      'dead_letters_total',
      'lag_records',
      'loads_in_flight',
      'buffered_bytes',
      'batch_seconds',
    ]
    for (const name of [...promised, 'load_records', 'commits_total', 'rebalances_total']) {
      assert.match(body, new RegExp(`^# TYPE millrace_${name} `, 'm'))
    }
  })

  test('gauges are measured when they are looked at', async () => {
    looks = 41
    assert.match((await ask('/metrics')).body, /^millrace_records_in_flight 42$/m)
  })

  test('the probes follow the health', async () => {
    assert.deepEqual([(await ask('/live')).status, (await ask('/ready')).status], [200, 503])
    assert.match((await ask('/ready')).body, /^not ready\nthe group is not joined yet\n$/)
    health.stalls = ['Kafka is not polled any more']
    health.unready = []
    assert.deepEqual([(await ask('/live')).status, (await ask('/ready')).status], [503, 200])
    assert.match((await ask('/live')).body, /^not live\nKafka is not polled any more\n$/)
  })

  test('the status is JSON', async () => {
    assert.deepEqual(JSON.parse((await ask('/api/status')).body), { lanes: [] })
  })

  test('nothing can be changed, and another Host is not served', async () => {
    assert.equal((await ask('/metrics', { method: 'POST' })).status, 405)
    assert.equal((await ask('/metrics', { host: 'evil.example' })).status, 403)
    assert.equal((await ask('/metrics', { host: `localhost:${port}` })).status, 200)
    assert.equal((await ask('/secret')).status, 404)
  })

  test('a port that is taken is a problem of the configuration', async () => {
    const second = new AdminServer(metrics.registry, {
      measure: () => undefined,
      stalls: () => [],
      unready: () => [],
      status: () => null,
    })
    await assert.rejects(second.listen('127.0.0.1', port), (error: unknown) => {
      assert.ok(error instanceof ConfigError)
      assert.deepEqual(
        error.problems.map(({ path }) => path),
        ['admin.port'],
      )
      return true
    })
  })

  test('the series of a partition go when it is given up', async () => {
    const labels = { topic: 'gone', partition: '1', route: 'r', sink: 's' }
    metrics.rowsWritten.inc(labels)
    metrics.lag.set(labels, 5)
    metrics.waiting.set({ ...labels, reason: 'sink' }, 5)
    metrics.forget(labels)
    assert.doesNotMatch((await ask('/metrics')).body, /topic="gone"/)
  })
})
