import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { Daemon, runCli } from '../support/daemon.ts'
import { sharedKafkaBroker, uniqueName } from '../support/kafka-broker.ts'
import type { SharedKafkaBroker } from '../support/kafka-broker.ts'
import { readingMessage, readingProto } from '../support/readings.ts'

let broker: SharedKafkaBroker
let folder: string
const topic = uniqueName('readings')

before(async () => {
  broker = await sharedKafkaBroker()
  folder = mkdtempSync(join(tmpdir(), 'millrace-bad-input-'))
  await broker.createTopic(topic, 1)
})
after(async () => {
  await Daemon.endAll()
  rmSync(folder, { recursive: true, force: true })
  await broker.stop()
})

/** A configuration that works, with some keys of its own. */
function configWith(change: (config: ReturnType<typeof working>) => object): string {
  const file = join(folder, `${uniqueName('config')}.json`)
  writeFileSync(file, JSON.stringify(change(working())))
  return file
}

const working = () => ({
  kafka: { brokers: broker.bootstrap, group: uniqueName('group') },
  routes: [
    {
      topics: [topic],
      decode: { format: 'protobuf', files: [readingProto], message: readingMessage },
      sink: 'file',
      table: 'readings',
    },
  ],
  sinks: { file: { type: 'duckdb', path: join(folder, `${uniqueName('file')}.duckdb`) } },
  admin: { port: 0 },
  log: { format: 'json', level: 'fatal' },
})

type Change = (config: ReturnType<typeof working>) => object

const withRoute =
  (change: object): Change =>
  (config) => ({ ...config, routes: [{ ...config.routes[0], ...change }] })

const withDecode =
  (change: object): Change =>
  (config) =>
    withRoute({ decode: { ...config.routes[0]!.decode, ...change } })(config)

const cases: { name: string; change: Change; says: RegExp; code: number }[] = [
  {
    name: 'a missing proto file',
    change: withDecode({ files: ['/nowhere/telemetry.proto'] }),
    says: /\/nowhere\/telemetry\.proto/,
    code: 64,
  },
  {
    name: 'an unknown message',
    change: withDecode({ message: 'telemetry.v1.Readin' }),
    says: /telemetry\.v1\.Readin\b.*telemetry\.v1\.Reading/,
    code: 64,
  },
  {
    name: 'an unknown key',
    change: (config) => ({ ...config, btach: {} }),
    says: /btach.*batch/,
    code: 64,
  },
  {
    name: 'a bad type',
    change: (config) => ({ ...config, batch: { maxRecords: 'many' } }),
    says: /batch\.maxRecords/,
    code: 64,
  },
  {
    name: 'an absent topic',
    change: withRoute({ topics: ['telemetry.nowhere'] }),
    says: /topic telemetry\.nowhere does not exist/,
    code: 64,
  },
  {
    name: 'an absent dead-letter topic',
    change: (config) => ({ ...config, deadLetters: { topic: 'telemetry.nowhere.dead' } }),
    says: /deadLetters\.topic: .*telemetry\.nowhere\.dead does not exist/,
    code: 64,
  },
  {
    name: 'a place where no file can be written',
    change: (config) => ({ ...config, sinks: { file: { type: 'duckdb', path: '/proc/none/x.duckdb' } } }),
    says: /\/proc\/none/,
    code: 64,
  },
]

describe('what an operator got wrong is told in one sentence, with an exit code', () => {
  for (const { name, change, says, code } of cases) {
    test(name, async () => {
      const result = await runCli(['run', '--config', configWith(change)])
      assert.match(result.stderr, says)
      assert.equal(result.stderr.trim().split('\n').length, 1, result.stderr)
      assert.equal(result.code, code)
    })
  }

  test('a config file that is not there', async () => {
    const result = await runCli(['run', '--config', join(folder, 'nowhere.yaml')])
    assert.match(result.stderr, /nowhere\.yaml|no such file/)
    assert.equal(result.code, 64)
  })

  test('a DuckDB file that another daemon has open', async () => {
    const config = working()
    const first = await Daemon.start(join(folder, 'first.json'), { ...config, log: { level: 'info', format: 'json' } })
    const second = await runCli(['run', '--config', configWith((other) => ({ ...other, sinks: config.sinks }))])
    assert.match(second.stderr, new RegExp(`${config.sinks.file.path}.*${first.pid}`))
    // The other may be one that still closes: a supervisor starts it again.
    assert.equal(second.code, 69)
    assert.equal(await first.stop(), 0)
  })

  test('a broker that cannot be reached, told by check with the reason', async () => {
    const file = configWith((config) => ({ ...config, kafka: { ...config.kafka, brokers: '127.0.0.1:1' } }))
    const result = await runCli(['check', '--config', file])
    assert.match(result.stdout, /^kafka\.brokers: no Kafka broker answered within .*Connection refused/m)
    assert.equal(result.code, 64)
  })

  test('check reports every problem, not only the first', async () => {
    const file = configWith((config) => ({
      ...withDecode({ message: 'telemetry.v1.Nothing' })(config),
      sinks: { file: { type: 'duckdb', path: '/proc/none/x.duckdb' } },
      deadLetters: { topic: 'telemetry.nowhere.dead' },
    }))
    const { stdout, code } = await runCli(['check', '--config', file])
    assert.deepEqual(stdout.match(/^[a-zA-Z]+(\[\d\])?\.[a-z]+/gm), [
      'routes[0].decode',
      'deadLetters.topic',
      'sinks.file',
    ])
    assert.match(stdout, /3 problems?/)
    assert.equal(code, 64)
  })

  test('check of what works says so', async () => {
    const { stdout, code } = await runCli(['check', '--config', configWith((config) => config)])
    assert.match(stdout, /: ok\n$/)
    assert.equal(code, 0)
  })

  test('an unknown command or option names what was meant', async () => {
    const { stderr, code } = await runCli(['chekc'])
    assert.match(stderr, /unknown command 'chekc'[\s\S]*check/)
    assert.equal(code, 64)
  })
})
