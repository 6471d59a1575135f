import assert from 'node:assert/strict'
import { test } from 'node:test'
import { problemsOf, sampleText } from './sample.ts'
import type { Environment } from './sample.ts'

// Each is the sample with the first text replaced by the second (appended without a first), and what is said of it.
const cases: { edit?: readonly [from: string, to: string]; env?: Environment; problems: readonly string[] }[] = [
  { edit: ['', 'btach: { maxBytes: 1MiB }\n'], problems: ['line 10: unknown key `btach`; did you mean `batch`?'] },
  {
    edit: ['group:', 'gruop:'],
    problems: [
      'kafka.group (line 1): is missing: name the consumer group, such as `group: telemetry-ingest`',
      'kafka (line 3): unknown key `gruop`; did you mean `group`?',
    ],
  },
  {
    edit: ['group: ingest', 'group: ingest\n  password:hunter2:'],
    problems: ['kafka (line 4): `password:` needs a space after the colon'],
  },
  { edit: ['group: ingest', 'group: 42'], problems: ['kafka.group (line 3): must be text: put it in quotes'] },
  { edit: ['group: ingest', 'group: ""'], problems: ['kafka.group (line 3): must not be empty'] },
  { edit: ['group: ingest', 'group: [a]'], problems: ['kafka.group (line 3): must be text'] },
  { edit: ['group: ingest', 'group: { name: a }'], problems: ['kafka.group (line 3): must be text'] },
  {
    edit: ['  group: ingest\n', ''],
    problems: ['kafka.group (line 1): is missing: name the consumer group, such as `group: telemetry-ingest`'],
  },
  {
    edit: ['  brokers: localhost:9092\n', ''],
    problems: ['kafka.brokers (line 1): is missing: name the brokers to start from, such as `brokers: localhost:9092`'],
  },
  {
    edit: ['localhost:9092', '[localhost:9092, "http://a b"]'],
    problems: ['kafka.brokers[1] (line 2): must be `host:port`, not `http://a b`'],
  },
  { edit: ['localhost:9092', '[]'], problems: ['kafka.brokers (line 2): must not be empty'] },
  {
    edit: ['localhost:9092', '9092'],
    problems: ['kafka.brokers (line 2): must be a list of texts, or one text with commas, not `9092`'],
  },
  {
    edit: ['group: ingest', 'group: ingest\n  startAt: erliest'],
    problems: ['kafka.startAt (line 4): must be `earliest` or `latest`, not `erliest`; did you mean `earliest`?'],
  },
  {
    edit: ['group: ingest', 'group: ingest\n  security: { protocol: tls }'],
    problems: [
      'kafka.security.protocol (line 4): must be `plaintext`, `ssl`, `sasl_plaintext` or `sasl_ssl`, not `tls`',
    ],
  },
  {
    edit: ['group: ingest', 'group: ingest\n  security: { protocol: SASL_SSL }'],
    problems: ['kafka.security.mechanism (line 4): is missing: protocol `sasl_ssl` needs it, such as `scram-sha-512`'],
  },
  {
    edit: ['group: ingest', 'group: ingest\n  security: { protocol: sasl_ssl, mechanism: scram-sha-512 }'],
    problems: [
      'kafka.security.username (line 4): is missing: mechanism `scram-sha-512` needs it',
      'kafka.security.password (line 4): is missing: mechanism `scram-sha-512` needs it',
    ],
  },
  {
    edit: ['group: ingest', 'group: ingest\n  security: { mechanism: plain, username: a, password: b }'],
    problems: [
      'kafka.security.mechanism (line 4): has no effect with protocol `plaintext`; set `protocol` to `sasl_ssl`, or remove this',
      'kafka.security.username (line 4): has no effect with protocol `plaintext`; set `protocol` to `sasl_ssl`, or remove this',
      'kafka.security.password (line 4): has no effect with protocol `plaintext`; set `protocol` to `sasl_ssl`, or remove this',
    ],
  },
  {
    edit: ['group: ingest', 'group: ingest\n  security: { ca: ca.pem }'],
    problems: [
      'kafka.security.ca (line 4): has no effect with protocol `plaintext`; set `protocol` to `ssl` or `sasl_ssl`, or remove this',
    ],
  },
  {
    edit: ['group: ingest', 'group: ingest\n  security: { protocol: ssl, certificate: a.pem }'],
    problems: ['kafka.security.key (line 4): is missing: a certificate is of no use without it'],
  },
  {
    edit: [
      'group: ingest',
      'group: ingest\n  properties: { group.id: a, enable.auto.commit: true, fetch.min.bytes: [1] }',
    ],
    problems: [
      'kafka.properties.fetch.min.bytes (line 4): must be text, a number, `true` or `false`',
      'kafka.properties.group.id (line 4): is set by `kafka.group`; use that',
      'kafka.properties.enable.auto.commit (line 4): must stay as it is: that no record is lost or doubled rests on it; remove this',
    ],
  },
  {
    edit: ['group: ingest', 'group: ingest\n  properties: [fetch.min.bytes]'],
    problems: ['kafka.properties (line 4): must be a mapping: `name: value`'],
  },
  {
    edit: ['group: ingest', 'group: ingest\n  properties: { "a b": 1 }'],
    problems: ['kafka.properties (line 4): a name here must be of letters, digits, `.`, `_` and `-`'],
  },
  { edit: ['', 'reader: fast\n'], problems: ['reader (line 10): must be `auto`, `native` or `binding`, not `fast`'] },
  {
    edit: ['', 'workers: 0\n'],
    problems: ['workers (line 10): must be `auto` or a whole number from 1 to 256, not `0`'],
  },
  {
    edit: ['', 'workers: 2.5\n'],
    problems: ['workers (line 10): must be `auto` or a whole number from 1 to 256, not `2.5`'],
  },
  {
    edit: ['', 'batch: { maxBytes: 8M }\n'],
    problems: ['batch.maxBytes (line 10): must be a size such as `8MiB` or a number of bytes, above 0, not `8M`'],
  },
  {
    edit: ['', 'batch: { maxBytes: 0 }\n'],
    problems: ['batch.maxBytes (line 10): must be a size such as `8MiB` or a number of bytes, above 0, not `0`'],
  },
  {
    edit: ['', 'memory: { maxBytes: 4MiB }\nbatch: { maxBytes: 8MiB }\n'],
    problems: ['batch.maxBytes (line 11): is 8388608 bytes, and must not be above memory.maxBytes, which is 4194304'],
  },
  {
    edit: ['', 'memory: { maxBytes: 1kB }\nbatch: { maxBytes: 1kB }\n'],
    problems: [
      'memory.maxBytes (line 10): must be a size such as `8MiB` or a number of bytes, of 1048576 bytes at least, not `1000`',
    ],
  },
  {
    edit: ['', 'batch: { lingerMs: 5s }\n'],
    problems: ['batch.lingerMs (line 10): must be a whole number from 0 to 2147483647, in milliseconds, not `5s`'],
  },
  {
    edit: ['', 'batch: { lingerMs: 3000000000 }\n'],
    problems: [
      'batch.lingerMs (line 10): must be a whole number from 0 to 2147483647, in milliseconds, not `3000000000`',
    ],
  },
  {
    edit: ['', 'batch: { maxRecords: -1 }\n'],
    problems: ['batch.maxRecords (line 10): must be a whole number from 1, not `-1`'],
  },
  { edit: ['', 'batch: 8MiB\n'], problems: ['batch (line 10): must be a section: keys such as `maxBytes: ...`'] },
  {
    edit: ['', 'rebalance: { drainMs: 400000 }\n'],
    problems: [
      'rebalance.drainMs (line 10): must be below max.poll.interval.ms, which is 300000: the group would throw us out meanwhile',
    ],
  },
  {
    edit: ['', 'admin: { enabled: yes, port: 70000 }\n'],
    problems: [
      'admin.enabled (line 10): must be `true` or `false`, not `yes`',
      'admin.port (line 10): must be a whole number from 0 to 65535, not `70000`',
    ],
  },
  {
    edit: ['', 'log: { level: inf, format: xml }\n'],
    problems: [
      'log.level (line 10): must be `trace`, `debug`, `info`, `warn`, `error` or `fatal`, not `inf`; did you mean `info`?',
      'log.format (line 10): must be `auto`, `json` or `pretty`, not `xml`',
    ],
  },
  {
    edit: ['', 'deadLetters: {}\n'],
    problems: ['deadLetters.topic (line 10): is missing: name the topic, or remove `deadLetters`'],
  },
  {
    edit: ['', 'deadLetters: { topic: readings }\n'],
    problems: [
      'deadLetters.topic (line 10): must not be read by a route, as routes[0] does: dead letters would come round for ever',
    ],
  },
  {
    edit: ['', 'deadLetters: { topic: ^dead }\n'],
    problems: [
      'deadLetters.topic (line 10): must be the name of a topic (letters, digits, `.`, `_`, `-`), not `^dead`',
    ],
  },
  { edit: ['topics: [readings]', 'topics: []'], problems: ['routes[0].topics (line 5): must not be empty'] },
  {
    edit: ['topics: [readings]', 'topics: ["read ings"]'],
    problems: [
      'routes[0].topics[0] (line 5): must be the name of a topic, or a pattern that begins with `^`, not `read ings`',
    ],
  },
  {
    edit: ['topics: [readings]', 'topics: ["^readings("]'],
    problems: ['routes[0].topics[0] (line 5): must be a pattern that compiles, not `^readings(`'],
  },
  {
    edit: ['topics: [readings]', 'topics: ["^readings\\\\.\\\\d+"]'],
    problems: [
      'routes[0].topics[0] (line 5): must be a pattern as librdkafka knows them, POSIX extended (`[0-9]` for `\\d`, no `(?`, no lazy repeats), not `^readings\\.\\d+`',
    ],
  },
  {
    edit: ['topics: [readings]', 'topics: [1, ~]'],
    problems: [
      'routes[0].topics[0] (line 5): must be text: put it in quotes',
      'routes[0].topics[1] (line 5): must be text',
    ],
  },
  {
    edit: ['  - topics: [readings]\n    decode:', '  - decode:'],
    problems: [
      'routes[0].topics (line 5): is missing: list the topics to read, such as `topics: [telemetry.readings]`',
    ],
  },
  {
    edit: ['files: a.proto, ', ''],
    problems: [
      'routes[0].decode.files (line 6): is missing: list the .proto files, such as `files: [proto/telemetry.proto]`',
    ],
  },
  {
    edit: ['message: v1.Reading', 'message: v1/Reading'],
    problems: [
      'routes[0].decode.message (line 6): must be the full name of a message, such as `telemetry.v1.Reading`, not `v1/Reading`',
    ],
  },
  {
    edit: ['message: v1.Reading', 'message: v1.Reading, flattenDepth: 99, enums: names'],
    problems: [
      'routes[0].decode.enums (line 6): must be `name` or `number`, not `names`; did you mean `name`?',
      'routes[0].decode.flattenDepth (line 6): must be a whole number from 0 to 32, not `99`',
    ],
  },
  {
    edit: ['message: v1.Reading', 'message: v1.Reading, decoder: compile'],
    problems: [
      'routes[0].decode.decoder (line 6): must be `compiled` or `reference`, not `compile`; did you mean `compiled`?',
    ],
  },
  {
    edit: [
      '    sink: warehouse',
      '    columns: [value, { from: a.b, as: c }, { from: a }, 7, { from: a, to: b }]\n    sink: warehouse',
    ],
    problems: [
      'routes[0].columns[2] (line 7): must be a name, or `{ from: name, as: other }`',
      'routes[0].columns[3] (line 7): must be text: put it in quotes',
      'routes[0].columns[4] (line 7): must be a name, or `{ from: name, as: other }`',
    ],
  },
  {
    edit: ['    sink: warehouse', '    columns: []\n    sink: warehouse'],
    problems: ['routes[0].columns (line 7): must not be empty'],
  },
  {
    edit: ['message: v1.Reading', 'message: v1.Reading, tombstones: deadLetter'],
    problems: ['routes[0].decode.tombstones (line 6): `deadLetter` needs a topic for them: set `deadLetters.topic`'],
  },
  {
    edit: ['message: v1.Reading', 'message: v1.Reading, format: avro'],
    problems: ['routes[0].decode.format (line 6): must be `protobuf`, not `avro`'],
  },
  {
    edit: ['sink: warehouse', 'sink: warehous'],
    problems: ['routes[0].sink (line 7): there is no sink `warehous`; did you mean `warehouse`?'],
  },
  {
    edit: ['sink: warehouse', 'sink: elsewhere'],
    problems: ['routes[0].sink (line 7): there is no sink `elsewhere`; there are: `warehouse`'],
  },
  { edit: ['    sink: warehouse\n', ''], problems: ['routes[0].sink (line 5): is missing: name one of the `sinks`'] },
  {
    edit: [
      'sink: warehouse',
      "sink: warehouse\n    metadata: [offset, offest, { header: trace-id }, { heder: x }, { header: '' }]",
    ],
    problems: [
      'routes[0].metadata[1] (line 8): must be `topic`, `partition`, `offset`, `timestamp` or `key`, not `offest`; did you mean `offset`?',
      'routes[0].metadata[3] (line 8): must be `topic`, `partition`, `offset`, `timestamp` or `key`, or `{ header: name }`',
      'routes[0].metadata[4] (line 8): must be `topic`, `partition`, `offset`, `timestamp` or `key`, or `{ header: name }`',
    ],
  },
  {
    edit: [
      'sink: warehouse',
      'sink: warehouse\n  - { topics: other, decode: { files: a.proto, message: v2.Reading }, sink: warehouse }',
    ],
    problems: ['routes[1].name (line 8): `reading` is the name of routes[0] already; give one another `name`'],
  },
  {
    edit: ['  - topics: [readings]\n    decode: { files: a.proto, message: v1.Reading }\n    sink: warehouse\n', ''],
    problems: ['routes (line 4): there is no route: list one with `topics`, `decode`, `sink` and `table`'],
  },
  {
    edit: [
      '  - topics: [readings]\n    decode: { files: a.proto, message: v1.Reading }\n    sink: warehouse\n',
      '  - readings\n',
    ],
    problems: ['routes[0] (line 5): must be a section: keys such as `name: ...`'],
  },
  {
    edit: ['sink: warehouse', 'sink: warehouse\n    table: 7'],
    problems: ['routes[0].table.name (line 8): must be text: put it in quotes'],
  },
  {
    edit: ['sink: warehouse', 'sink: warehouse\n    table: { name: a, mode: upsert }'],
    problems: [
      'routes[0].metadata (line 5): must list `offset`: `table.mode: upsert` tells newer from older by it',
      'routes[0].table.keys (line 8): is missing: list the columns that name a row',
    ],
  },
  {
    edit: ['sink: warehouse', 'sink: warehouse\n    table: { keys: device_id, deletes: true }'],
    problems: [
      'routes[0].table.keys (line 8): has no effect with `table.mode: append`; set it to `upsert`, or remove this',
      'routes[0].table.deletes (line 8): has no effect with `table.mode: append`; set it to `upsert`, or remove this',
    ],
  },
  {
    edit: ['message: v1.Reading', 'message: v1.Reading, tombstones: delete'],
    problems: ['routes[0].decode.tombstones (line 6): `delete` needs `table.deletes: true`'],
  },
  {
    edit: [
      'sink: warehouse',
      'sink: warehouse\n    metadata: [offset]\n    table: { mode: upsert, keys: [a, b], deletes: true }',
    ],
    problems: [
      'routes[0].table.keys (line 9): must be one column with `deletes`: the one that holds what the Kafka key holds',
    ],
  },
  { edit: ['routes:\n  -', 'routes:\n   '], problems: ['routes (line 4): must be a list: begin each item with `- `'] },
  {
    edit: ['type: duckdb', 'type: dukcdb'],
    problems: ['sinks.warehouse.type (line 9): there is no sink type `dukcdb`; did you mean `duckdb`?'],
  },
  {
    edit: ['type: duckdb', 'type: oracle9i'],
    problems: [
      'sinks.warehouse.type (line 9): there is no sink type `oracle9i`; there are: `duckdb`, `postgres` and `blackhole`',
    ],
  },
  {
    edit: ['type: duckdb', 'type: [duckdb]'],
    problems: ['sinks.warehouse.type (line 9): must be `duckdb`, `postgres` or `blackhole`'],
  },
  {
    edit: ['type: duckdb, ', ''],
    problems: ['sinks.warehouse.type (line 9): is missing: write `duckdb`, `postgres` or `blackhole`'],
  },
  {
    edit: ['{ type: duckdb, path: a.duckdb }', ''],
    problems: ['sinks.warehouse.type (line 9): is missing: write `duckdb`, `postgres` or `blackhole`'],
  },
  { edit: [', path: a.duckdb', ''], problems: ['sinks.warehouse.path (line 9): is missing: The file.'] },
  {
    edit: [', path: a.duckdb', ', path: a.duckdb, tables: 1, threads: two'],
    problems: [
      'sinks.warehouse (line 9): unknown key `tables`; known here: `type`, `path`, `memoryMax`, `threads` and `readOnly`',
      'sinks.warehouse.threads (line 9): must be a whole number from 0, not `two`',
    ],
  },
  {
    edit: [
      'type: duckdb, path: a.duckdb',
      'type: postgres, url: "postgres://db", mode: copi, token: short, code: far-too-long',
    ],
    problems: [
      'sinks.warehouse.token (line 9): is not accepted',
      'sinks.warehouse.code (line 9): must be shorter than far-too-long',
      'sinks.warehouse.mode (line 9): must be `copy` or `insert`, not `copi`; did you mean `copy`?',
    ],
  },
  {
    edit: ['  warehouse: { type: duckdb, path: a.duckdb }', '  [warehouse]'],
    problems: ['sinks (line 8): must be a mapping: `name: value`'],
  },
  {
    edit: ['group: ingest', 'group: ${env:GROUP}'],
    problems: ['kafka.group (line 3): the environment variable GROUP is not set'],
  },
  {
    edit: ['group: ingest', 'group: a${GROUP}'],
    problems: [
      'kafka.group (line 3): holds a `${` that begins neither `${env:NAME}` nor `${file:PATH}`; write `$${` for a plain `${`',
    ],
  },
  {
    edit: ['group: ingest', 'group: ${file:/nonexistent/group}'],
    problems: ['kafka.group (line 3): the file /nonexistent/group cannot be read (ENOENT)'],
  },
  {
    edit: ['group: ingest', 'group: ${env:A-B}'],
    problems: ['kafka.group (line 3): holds a `${env:NAME}` whose NAME is not that of a variable'],
  },
  {
    edit: ['', '__proto__: { polluted: true }\n'],
    problems: ['line 10: unknown key `__proto__`; it is never allowed'],
  },
  {
    edit: ['', 'constructor: { prototype: { polluted: true } }\n'],
    problems: [
      'line 10: unknown key `constructor`; known here: `kafka`, `reader`, `routes`, `sinks`, `deadLetters`, `workers`, `batch`, `memory`, `commit`, `rebalance`, `shutdown`, `admin` and `log`',
    ],
  },
  {
    edit: ['group: ingest', 'group: *ingest'],
    problems: ['line 3: a value that begins with `*` must be put in quotes, unless it repeats one marked with `&`'],
  },
  {
    edit: ['group: ingest', 'group: !ingest'],
    problems: ['line 3: a value that begins with `!` must be put in quotes'],
  },
  {
    edit: ['group: ingest', 'group: %ingest'],
    problems: ['line 3: a value that begins with this character must be put in quotes'],
  },
  { edit: ['group: ingest', 'group: ingest\n  group: again'], problems: ['line 4: the key is there twice'] },
  { edit: ['group: ingest', 'group: "ingest'], problems: ['line 10: a closing quote, bracket or colon is missing'] },
  { edit: ['group: ingest', 'group: a: b'], problems: ['line 3: a value that holds `: ` must be put in quotes'] },
  { edit: ['  group: ingest', '\tgroup: ingest'], problems: ['line 3: tabs cannot indent YAML; use spaces'] },
  {
    edit: ['', '---\nkafka: {}\n'],
    problems: ['line 10: the file must hold one document only, without `---` between parts'],
  },
  {
    edit: ['', 'a: &a [*a]\n'],
    problems: [
      'a[0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0] (line 10): is nested too deep',
      'line 10: unknown key `a`; known here: `kafka`, `reader`, `routes`, `sinks`, `deadLetters`, `workers`, `batch`, `memory`, `commit`, `rebalance`, `shutdown`, `admin` and `log`',
    ],
  },
  {
    env: { MILLRACE_KAFKA_BROKER: 'a' },
    problems: ['MILLRACE_KAFKA_BROKER: unknown variable; did you mean `MILLRACE_KAFKA_BROKERS`?'],
  },
  {
    env: { MILLRACE_QWERTYUIOP: 'a' },
    problems: ['MILLRACE_QWERTYUIOP: unknown variable; docs/CONFIG.md lists those there are'],
  },
  {
    env: { MILLRACE_BATCH_MAX_BYTES: 'much' },
    problems: [
      'batch.maxBytes (MILLRACE_BATCH_MAX_BYTES): must be a size such as `8MiB` or a number of bytes, above 0, not `much`',
    ],
  },
  {
    env: { MILLRACE_ADMIN_ENABLED: 'no' },
    problems: ['admin.enabled (MILLRACE_ADMIN_ENABLED): must be `true` or `false`, not `no`'],
  },
  {
    env: { MILLRACE_ADMIN_PORT: '94x' },
    problems: ['admin.port (MILLRACE_ADMIN_PORT): must be a whole number from 0 to 65535, not `94x`'],
  },
  {
    env: { MILLRACE_KAFKA_GROUP: '${env:NOWHERE}' },
    problems: ['kafka.group (MILLRACE_KAFKA_GROUP): the environment variable NOWHERE is not set'],
  },
]

for (const { edit = ['', ''], env = {}, problems } of cases) {
  const change = edit[1] || (edit[0] ? `no ${edit[0].trim()}` : JSON.stringify(env))
  test(`${JSON.stringify(change).slice(0, 90)} is refused`, () => {
    assert.ok(sampleText.includes(edit[0]), 'the sample holds what is to be replaced')
    const text = edit[0] === '' ? sampleText + edit[1] : sampleText.replace(edit[0], () => edit[1])
    assert.deepEqual(problemsOf(text, env), problems)
  })
}
