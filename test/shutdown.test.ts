import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import {
  ConfigError,
  KafkaRefusedError,
  KafkaUnavailableError,
  SinkRefusedError,
  SinkUnavailableError,
} from '../src/errors.ts'
import { exitCodeOf } from '../src/shutdown.ts'
import { cleanEnvironment } from './support/daemon.ts'
import { readingMessage, readingProto } from './support/readings.ts'

const cli = fileURLToPath(new URL('../src/cli.js', import.meta.url))
let folder: string
before(() => (folder = mkdtempSync(join(tmpdir(), 'millrace-shutdown-'))))
after(() => rmSync(folder, { recursive: true, force: true }))

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  test(`${signal} while the configuration is still being read ends the daemon in order`, async () => {
    // A pipe in place of the file: opening it for writing waits until the daemon reads, and the daemon for what is written.
    const config = join(folder, signal)
    assert.equal(spawnSync('mkfifo', [config]).status, 0)
    const daemon = spawn(process.execPath, [cli, 'run', '--config', config], {
      stdio: ['ignore', 'ignore', 'inherit'],
      env: cleanEnvironment,
    })
    const ended = once(daemon, 'exit')
    const pipe = await open(config, 'w')
    daemon.kill(signal)
    await pipe.writeFile(JSON.stringify(nowhere))
    await pipe.close()
    assert.deepEqual(await ended, [0, null])
  })
}

/** A complete configuration; no broker is there. */
const nowhere = {
  kafka: { brokers: '127.0.0.1:1', group: 'g' },
  routes: [
    {
      topics: ['t'],
      decode: { format: 'protobuf', files: [readingProto], message: readingMessage },
      sink: 's',
      table: 'readings',
    },
  ],
  sinks: { s: { type: 'blackhole' } },
}

const codes = [
  { name: 'a configuration that cannot be', error: new ConfigError('f', []), code: 64 },
  { name: 'a right that is missing', error: new KafkaRefusedError('no'), code: 64 },
  { name: 'a sink that an operator must mend', error: new SinkRefusedError('no'), code: 64 },
  { name: 'brokers that do not answer', error: new KafkaUnavailableError('away'), code: 69 },
  { name: 'a sink that is away, or open in another process', error: new SinkUnavailableError('away'), code: 69 },
  { name: 'what has no name', error: new TypeError('x is undefined'), code: 70 },
]
for (const { name, error, code } of codes) {
  test(`a start that fails for ${name} ends with exit code ${code}`, () => assert.equal(exitCodeOf(error), code))
}
