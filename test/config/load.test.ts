import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { loadConfig, parseConfig } from '../../src/config/load.ts'
import { ConfigError } from '../../src/errors.ts'
import { parseSample, problemsOf, sampleSinks, sampleText } from './sample.ts'

const folder = mkdtempSync(join(tmpdir(), 'millrace-config-'))
after(() => rmSync(folder, { recursive: true }))

test('what is not set has its default', () => {
  assert.deepEqual(parseSample(), {
    kafka: {
      brokers: ['localhost:9092'],
      group: 'ingest',
      clientId: 'millrace',
      security: { protocol: 'plaintext' },
      startAt: 'earliest',
      onGap: 'stop',
      properties: {},
    },
    reader: 'auto',
    routes: [
      {
        name: 'reading',
        topics: ['readings'],
        decode: {
          format: 'protobuf',
          files: ['/etc/millrace/a.proto'],
          includes: [],
          message: 'v1.Reading',
          enums: 'name',
          timestamps: 'micros',
          lists: 'json',
          flattenDepth: 3,
          framing: 'none',
          tombstones: 'skip',
          maxRecordBytes: 16 * 2 ** 20,
          maxHeaders: 1000,
          decoder: 'compiled',
        },
        sink: 'warehouse',
        table: { name: 'reading', create: true, evolve: 'add', mode: 'append', keys: [], deletes: false },
        metadata: [],
      },
    ],
    sinks: { warehouse: { type: 'duckdb', path: 'a.duckdb', memoryMax: 2 ** 30, threads: 2, readOnly: false } },
    workers: 'auto',
    batch: { lingerMs: 200 },
    memory: { maxBytes: 512 * 2 ** 20 },
    commit: { intervalMs: 1000 },
    rebalance: { drainMs: 10_000 },
    shutdown: { deadlineMs: 25_000 },
    admin: { enabled: true, host: '127.0.0.1', port: 9464 },
    log: { level: 'info', format: 'auto' },
  })
})

test('a section, a key and a file of which all is commented out count as not set', () => {
  assert.deepEqual(parseSample(`${sampleText}batch:\n  # maxBytes: 1MiB\nworkers:\ndeadLetters:\n`), parseSample())
  assert.match(problemsOf('# nothing yet\n').join('\n'), /kafka\.brokers: is missing/)
})

test('a table may be a section, of which its name alone is the short form', () => {
  const tables = ['table: readings', 'table: { name: readings, evolve: refuse }'].map(
    (table) => parseSample(sampleText.replace('sink: warehouse', `sink: warehouse\n    ${table}`)).routes[0]?.table,
  )
  const readings = { name: 'readings', create: true, evolve: 'add', mode: 'append', keys: [], deletes: false }
  assert.deepEqual(tables, [readings, { ...readings, evolve: 'refuse' }])
})

test('the configuration is frozen to its depths', () => {
  const config = parseSample()
  for (const part of [
    config,
    config.kafka.security,
    config.routes,
    config.routes[0]!.topics,
    config.sinks['warehouse'],
  ]) {
    assert.ok(Object.isFrozen(part))
  }
})

test('the environment wins over the file, and the file over the default', () => {
  const text = `${sampleText}batch: { maxRecords: 10, lingerMs: 20 }\n`
  const config = parseSample(text, { MILLRACE_BATCH_LINGER_MS: '30' })
  assert.deepEqual(config.batch, { maxRecords: 10, lingerMs: 30 })
})

test('what the file says does not matter when the environment sets another value', () => {
  const text = sampleText.replace('ingest', '${env:NOWHERE}')
  assert.equal(parseSample(text, { MILLRACE_KAFKA_GROUP: 'a' }).kafka.group, 'a')
  assert.equal(parseSample(`${sampleText}workers: { a: 1 }\n`, { MILLRACE_WORKERS: '2' }).workers, 2)
  assert.equal(parseSample(`${sampleText}workers: many\n`, { MILLRACE_WORKERS: '3' }).workers, 3)
})

test('variables are read as the type of their key', () => {
  const config = parseSample(sampleText, {
    MILLRACE_KAFKA_BROKERS: 'a:1, b:2',
    MILLRACE_KAFKA_SECURITY_PROTOCOL: 'SASL_SSL',
    MILLRACE_KAFKA_SECURITY_MECHANISM: 'SCRAM-SHA-512',
    MILLRACE_KAFKA_SECURITY_USERNAME: 'ingest',
    MILLRACE_KAFKA_SECURITY_PASSWORD: '0123',
    MILLRACE_KAFKA_SECURITY_CA: 'ca.pem',
    MILLRACE_BATCH_MAX_BYTES: '1.5 MiB',
    MILLRACE_ADMIN_ENABLED: 'False',
    MILLRACE_ADMIN_PORT: '0',
    MILLRACE_DEAD_LETTERS_TOPIC: 'dead',
    UNRELATED: 'x',
  })
  assert.deepEqual(config.kafka.brokers, ['a:1', 'b:2'])
  assert.deepEqual(config.kafka.security, {
    protocol: 'sasl_ssl',
    mechanism: 'scram-sha-512',
    username: 'ingest',
    password: '0123',
    ca: '/etc/millrace/ca.pem',
  })
  assert.equal(config.batch.maxBytes, 1_572_864)
  assert.deepEqual(config.admin, { enabled: false, host: '127.0.0.1', port: 0 })
  assert.deepEqual(config.deadLetters, { topic: 'dead', maxRate: 0.5 })
})

test('an empty variable counts as not set, and so do those that Kubernetes sets for a Service', () => {
  const config = parseSample(sampleText, {
    MILLRACE_KAFKA_GROUP: '',
    MILLRACE_PORT: 'tcp://10.0.0.1:9464',
    MILLRACE_SERVICE_HOST: '10.0.0.1',
    MILLRACE_SERVICE_PORT_HTTP: '9464',
    MILLRACE_PORT_9464_TCP_ADDR: '10.0.0.1',
    MILLRACE_ADMIN_PORT: 'tcp://10.0.0.1:9464',
    MILLRACE_ADMIN_PORT_9464_TCP: 'tcp://10.0.0.1:9464',
  })
  assert.deepEqual(config, parseSample())
})

test('neither process.env nor process.argv is looked at', () => {
  process.env['MILLRACE_KAFKA_GROUP'] = 'from the process'
  try {
    assert.equal(parseSample().kafka.group, 'ingest')
  } finally {
    delete process.env['MILLRACE_KAFKA_GROUP']
  }
})

test('${env:NAME} and ${file:PATH} are replaced, in the file and in variables', () => {
  writeFileSync(join(folder, 'group'), 'from-file\n\n')
  writeFileSync(join(folder, 'threads'), '7\r\n')
  const text = sampleText
    .replace('localhost:9092', '["${env:HOST}:1", "${env:HOST}:2"]')
    .replace('ingest', () => 'a-$${env:HOST}-${file:group}-b')
    .replace('path: a.duckdb', `path: a.duckdb, threads: "\${file:${folder}/threads}"`)
  const env = { HOST: 'kafka', FORMAT: 'json', MILLRACE_LOG_FORMAT: '${env:FORMAT}' }
  const config = parseConfig(text, join(folder, 'config.yaml'), { env, sinkOptions: sampleSinks })
  assert.deepEqual(config.kafka.brokers, ['kafka:1', 'kafka:2'])
  // One newline is the editor's, another one is the secret's.
  assert.equal(config.kafka.group, 'a-${env:HOST}-from-file\n-b')
  assert.equal(config.sinks['warehouse']?.['threads'], 7)
  assert.equal(config.log.format, 'json')
})

test('a replaced value is not itself searched for ${...}', () => {
  const config = parseSample(sampleText.replace('ingest', '${env:PASSWORD}'), { PASSWORD: 'a${env:HOME}b' })
  assert.equal(config.kafka.group, 'a${env:HOME}b')
})

test('paths start at the folder of the file, but those of sinks stay as they are', () => {
  const text = sampleText.replace('files: a.proto', 'files: [../a.proto, /b.proto], includes: protos')
  const { routes, sinks } = parseSample(text)
  assert.deepEqual(routes[0]?.decode.files, ['/etc/a.proto', '/b.proto'])
  assert.deepEqual(routes[0]?.decode.includes, ['/etc/millrace/protos'])
  assert.equal(sinks['warehouse']?.['path'], 'a.duckdb')
})

const names: readonly { message: string; table: string }[] = [
  { message: 'telemetry.v1.SensorReading', table: 'sensor_reading' },
  { message: '.HTTPLogV2', table: 'http_log_v2' },
  { message: 'a.reading', table: 'reading' },
]
for (const { message, table } of names) {
  test(`a route of ${message} writes to ${table} and is named for it`, () => {
    const [route] = parseSample(sampleText.replace('v1.Reading', message)).routes
    assert.equal(route?.table.name, table)
    assert.equal(route?.name, table)
    assert.equal(route?.decode.message, message.replace(/^\./, ''))
  })
}

test('routes may share a section through an anchor', () => {
  const text = sampleText
    .replace('decode: {', 'decode: &reading {')
    .replace(
      'sinks:',
      '  - { topics: [more], decode: { <<: *reading, enums: number }, sink: warehouse, table: more }\nsinks:',
    )
  const [one, other] = parseSample(text).routes
  assert.deepEqual(other?.decode, { ...one?.decode, enums: 'number' })
})

test('a problem in a section that is there through an alias is told at the line of the section', () => {
  const text = `${sampleText}batch: &shared\n  drainMs: soon\nrebalance: *shared\n`
  assert.deepEqual(problemsOf(text), [
    'batch (line 11): unknown key `drainMs`; known here: `maxBytes`, `maxRecords` and `lingerMs`',
    'rebalance.drainMs (line 11): must be a whole number from 0 to 2147483647, in milliseconds, not `soon`',
  ])
})

test('two routes may read one topic', () => {
  const twice = sampleText.replace(
    'sinks:',
    '  - { topics: [readings], decode: { files: a, message: A }, sink: warehouse }\nsinks:',
  )
  assert.deepEqual(problemsOf(twice), [])
})

test('a sink may have the name of something that every object has', () => {
  const { sinks, routes } = parseSample(sampleText.replaceAll('warehouse', 'constructor'))
  assert.deepEqual(Object.keys(sinks), ['constructor'])
  assert.equal(routes[0]?.sink, 'constructor')
  assert.deepEqual(problemsOf(sampleText.replace('sink: warehouse', 'sink: constructor')), [
    'routes[0].sink (line 7): there is no sink `constructor`; there are: `warehouse`',
  ])
})

test('no __proto__ anywhere changes a prototype', () => {
  const text = `${sampleText.replace('path: a', '__proto__: { polluted: 1 }, path: a')}__proto__: { polluted: 1 }\n`
  assert.deepEqual(problemsOf(text), [
    'sinks.warehouse (line 9): unknown key `__proto__`; it is never allowed',
    'line 10: unknown key `__proto__`; it is never allowed',
  ])
  assert.equal(({} as { polluted?: number }).polluted, undefined)
})

test('every problem is reported at once, in the order of the file', () => {
  const text = `batch: { maxBytes: 8M }
kafka: { gruop: ingest }
routes:
  - { topics: readings, decode: { message: A }, sink: warehous, tabel: a }
sinks:
  warehouse: { type: duckdb, threads: many }
`
  assert.deepEqual(
    problemsOf(text, { MILLRACE_LOG_LEVL: 'info' }).map((problem) => problem.split(': ', 1)[0]),
    [
      'batch.maxBytes (line 1)',
      'kafka (line 2)',
      'kafka.brokers (line 2)',
      'kafka.group (line 2)',
      'routes[0] (line 4)',
      'routes[0].decode.files (line 4)',
      'routes[0].sink (line 4)',
      'sinks.warehouse.threads (line 6)',
      'sinks.warehouse.path (line 6)',
      'MILLRACE_LOG_LEVL',
    ],
  )
})

test('a file that is missing or no file is a ConfigError that names it', () => {
  const load = (path: string) => () => loadConfig(path, { env: {}, sinkOptions: sampleSinks })
  const missing = join(folder, 'missing.yaml')
  assert.throws(
    load(missing),
    new ConfigError(missing, [{ path: '', message: 'there is no such file; give its path with --config' }]),
  )
  assert.throws(load(folder), new ConfigError(folder, [{ path: '', message: 'cannot be read (EISDIR)' }]))
})

test('a file is JSON when its name ends so, with line numbers all the same', () => {
  const path = join(folder, 'config.json')
  const text = JSON.stringify(parseSample(), undefined, '\t')
  writeFileSync(path, `\uFEFF${text}`)
  assert.deepEqual(loadConfig(path, { env: {}, sinkOptions: sampleSinks }), parseSample())
  assert.deepEqual(problemsOf(text.replace('"ingest"', '1'), {}, 'config.json'), [
    'kafka.group (line 6): must be text: put it in quotes',
  ])
  const twice = text.replace('"kafka"', '"log": {},\n"kafka"')
  const line = twice.split('\n').indexOf('\t"log": {') + 1
  assert.deepEqual(problemsOf(twice, {}, 'config.json'), [`line ${line}: the key is there twice`])
  assert.deepEqual(problemsOf(sampleText, {}, 'config.json'), ['is not JSON; to write YAML, let its name end in .yaml'])
})

test('a sink that wants a format we do not have is a fault of ours, not of the file', () => {
  const sinkOptions = { duckdb: { path: { doc: '', format: 'path', default: '' } } }
  assert.throws(() => parseConfig(sampleText, 'a.yaml', { env: {}, sinkOptions }), TypeError)
})
