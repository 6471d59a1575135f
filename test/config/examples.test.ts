import assert from 'node:assert/strict'
import { existsSync, readdirSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { loadConfig, parseConfig } from '../../src/config/load.ts'
import { packageRoot } from '../../src/package-root.ts'
import { sinkOptions } from '../../src/sinks/sink-catalog.ts'

const folder = new URL('config/', packageRoot)
// What the examples say that they need.
const env = { KAFKA_PASSWORD: 'a', POSTGRES_PASSWORD: 'b', RUN: '1' }

for (const file of readdirSync(folder)) {
  test(`config/${file} is a good configuration, with a schema that exists`, () => {
    const config = loadConfig(fileURLToPath(new URL(file, folder)), { env, sinkOptions })
    for (const { decode } of config.routes) for (const path of decode.files) assert.ok(existsSync(path), path)
  })
}

test('config/default.yaml shows the defaults', () => {
  const { kafka, routes, sinks, ...shown } = loadConfig(fileURLToPath(new URL('default.yaml', folder)), {
    env,
    sinkOptions,
  })
  const least = JSON.stringify({
    kafka: { brokers: kafka.brokers, group: kafka.group },
    routes: routes.map(({ topics, decode: { files, message }, sink, table }) => ({
      topics,
      decode: { files, message },
      sink,
      table,
    })),
    sinks: Object.fromEntries(Object.entries(sinks).map(([name, { type, path }]) => [name, { type, path }])),
  })
  const defaults = parseConfig(least, 'least', { format: 'json', env: {}, sinkOptions })
  assert.deepEqual({ kafka, routes, sinks, ...shown }, defaults)
})
