import type { TableRules } from '../decode/columns.ts'
import type { SinkOption } from '../sinks/sink.ts'
import type { Property } from './formats.ts'
import { brokerFault, messageNameFault, topicFault, topicNameFault } from './value-faults.ts'

/** What a daemon runs with: complete, checked, frozen. Keys that are not set and have no default are absent. */
export interface Config {
  readonly kafka: {
    readonly brokers: readonly string[]
    readonly group: string
    readonly clientId: string
    readonly security: KafkaSecurity
    /** Where a partition begins that neither the sink nor the group knows. */
    readonly startAt: 'earliest' | 'latest'
    /** What becomes of a partition whose log does not have its position. */
    readonly onGap: 'stop' | 'skip' | 'earliest'
    readonly properties: Readonly<Record<string, string | number | boolean>>
  }
  readonly reader: 'auto' | 'native' | 'binding'
  readonly routes: readonly RouteConfig[]
  readonly sinks: Readonly<Record<string, SinkConfig>>
  /** Absent: there are none, and a record that cannot be written stops its partition. */
  readonly deadLetters?: {
    readonly topic: string
    /** The share of a route's records that may be dead letters; with 1 any. */
    readonly maxRate: number
    /** A folder, absolute. Absent: what is too large for the topic stops its partition. */
    readonly overflowPath?: string
  }
  readonly workers: 'auto' | number
  /** A load's bounds; without them, those of its sink's kind. */
  readonly batch: { readonly maxBytes?: number; readonly maxRecords?: number; readonly lingerMs: number }
  readonly memory: { readonly maxBytes: number }
  readonly commit: { readonly intervalMs: number }
  readonly rebalance: { readonly drainMs: number }
  readonly shutdown: { readonly deadlineMs: number }
  readonly admin: { readonly enabled: boolean; readonly host: string; readonly port: number }
  readonly log: {
    readonly level: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal'
    readonly format: 'auto' | 'json' | 'pretty'
  }
}

export interface KafkaSecurity {
  readonly protocol: 'plaintext' | 'ssl' | 'sasl_plaintext' | 'sasl_ssl'
  readonly mechanism?: 'plain' | 'scram-sha-256' | 'scram-sha-512' | 'oauthbearer' | 'gssapi'
  readonly username?: string
  readonly password?: string
  /** Paths of PEM files, absolute. */
  readonly ca?: string
  readonly certificate?: string
  readonly key?: string
  readonly keyPassword?: string
}

export interface RouteConfig {
  readonly name: string
  /** Names, and patterns that begin with `^`. */
  readonly topics: readonly string[]
  readonly decode: RouteDecode
  /** A key of `Config.sinks`. */
  readonly sink: string
  readonly table: TableConfig
  readonly metadata: readonly ('topic' | 'partition' | 'offset' | 'timestamp' | 'key' | { readonly header: string })[]
  /** Absent: all. Names or paths of fields, and the names that they are to have. */
  readonly columns?: readonly (string | { readonly from: string; readonly as: string })[]
}

export interface TableConfig extends TableRules {
  readonly name: string
}

export interface RouteDecode {
  readonly format: 'protobuf'
  /** Absolute paths. */
  readonly files: readonly string[]
  readonly includes: readonly string[]
  /** The full name, without a leading dot. */
  readonly message: string
  readonly framing: 'none' | 'confluent' | 'lengthPrefixed'
  readonly enums: 'name' | 'number'
  readonly timestamps: 'micros' | 'nanos'
  readonly lists: 'json' | 'native'
  readonly flattenDepth: number
  readonly tombstones: 'skip' | 'deadLetter' | 'delete'
  readonly maxRecordBytes: number
  readonly maxHeaders: number
  readonly decoder: 'compiled' | 'reference'
}

/** The options are those of the type's kind in the catalogue of sinks. */
export interface SinkConfig {
  readonly type: string
  readonly [option: string]: unknown
}

/** The options of every sink there is, by type. They come from the catalogue: configuration knows no sink by itself. */
export type SinkOptions = Readonly<Record<string, Readonly<Record<string, SinkOption>>>>

/** Keys and sections of keys: as in convict, what has a `default` is a key. */
export interface Section {
  readonly [key: string]: Property | Section
}

export const isProperty = (node: Property | Section): node is Property => Object.hasOwn(node, 'default')

export const configSchema: Section = {
  kafka: {
    brokers: {
      doc: 'The brokers to start from, as `host:port`.',
      format: 'commaList',
      default: undefined,
      required: 'name the brokers to start from, such as `brokers: localhost:9092`',
      check: brokerFault,
    },
    group: {
      doc: 'The consumer group. It is part of what a sink keeps its positions under: another group is another reader.',
      format: 'text',
      default: undefined,
      required: 'name the consumer group, such as `group: telemetry-ingest`',
    },
    clientId: {
      doc: 'How this client is named in the logs and quotas of the brokers.',
      format: 'text',
      default: 'millrace',
    },
    security: {
      protocol: {
        doc: 'How the connection is secured. The `sasl_` ones need a mechanism.',
        format: 'anyCase',
        choices: ['plaintext', 'ssl', 'sasl_plaintext', 'sasl_ssl'],
        default: 'plaintext',
      },
      mechanism: {
        doc: 'How the client proves who it is. `oauthbearer` and `gssapi` take their settings from `kafka.properties`.',
        format: 'anyCase',
        choices: ['plain', 'scram-sha-256', 'scram-sha-512', 'oauthbearer', 'gssapi'],
        default: undefined,
      },
      username: { doc: 'The name for `plain` and `scram`.', format: 'text', default: undefined },
      password: { doc: 'The password for `plain` and `scram`.', format: 'text', default: undefined, sensitive: true },
      ca: {
        doc: 'The authorities that the certificates of the brokers are checked against, a PEM file; those of the system without it.',
        format: 'text',
        default: undefined,
        relativeToFile: true,
      },
      certificate: {
        doc: 'The certificate of this client, a PEM file.',
        format: 'text',
        default: undefined,
        relativeToFile: true,
      },
      key: {
        doc: "The certificate's private key, a PEM file.",
        format: 'text',
        default: undefined,
        relativeToFile: true,
      },
      keyPassword: { doc: 'The password of the private key.', format: 'text', default: undefined, sensitive: true },
    },
    startAt: {
      doc: 'Where a partition begins that neither the sink nor the group has a position of. Never used after that.',
      format: 'oneOf',
      choices: ['earliest', 'latest'],
      default: 'earliest',
    },
    onGap: {
      doc: 'What becomes of a partition whose log does not have the position that it is to be read from. `stop`: it stands still, and the exact range is told. `skip`: where retention passed the position, it goes on at the first record that the log has, and the range is counted as lost. `earliest`: that, and a topic that was deleted and made anew is read from its beginning. A log that was cut off below the position of a sink always stops: what the sink has of it needs a decision.',
      format: 'oneOf',
      choices: ['stop', 'skip', 'earliest'],
      default: 'stop',
    },
    properties: {
      doc: 'Any property of librdkafka, over ours. Those that have a key of their own here, or on which the promise of exactly once rests, are refused.',
      format: 'properties',
      default: [],
    },
  },
  reader: {
    doc: 'How records leave librdkafka, and dead letters reach it: `native` through our addon, `binding` through the npm package at some 200,000 records and 7,000 dead letters a second. `auto` takes the addon where it fits.',
    format: 'oneOf',
    choices: ['auto', 'native', 'binding'],
    default: 'auto',
  },
  routes: {
    doc: 'The ways of records: topics, how they are decoded, and the table they go to.',
    format: 'sections',
    default: [],
  },
  sinks: { doc: 'The stores, by a name of your choice.', format: 'namedSections', default: [] },
  deadLetters: {
    topic: {
      doc: 'The topic for records that can never be written, kept byte for byte with the reason in headers. It must exist. Without it such a record stops its partition.',
      format: 'text',
      default: undefined,
      check: topicNameFault,
    },
    maxRate: {
      doc: "The share of a route's records that may become dead letters, over a minute and from 100 of them on. Beyond it a schema or a producer is wrong and not the data: nothing more is dead-lettered, the route waits and is tried again. 1 lets any share pass.",
      format: 'number',
      min: 0,
      max: 1,
      default: 0.5,
    },
    overflowPath: {
      doc: 'A folder for records that are too large for the topic: each is kept there as a file, and the topic gets a reference to it. Without it such a record stops its partition.',
      format: 'text',
      default: undefined,
      relativeToFile: true,
    },
  },
  workers: {
    doc: 'How many threads decode and write; `auto` is one a core. A sink may allow fewer.',
    format: 'autoOrInteger',
    min: 1,
    max: 256,
    default: 'auto',
  },
  batch: {
    maxBytes: {
      doc: 'A load departs when it has so many bytes of records. Without it what suits the sink: 8 MiB, 32 MiB for `duckdb`; less where `memory.maxBytes` needs it.',
      format: 'size',
      min: 1,
      default: undefined,
    },
    maxRecords: {
      doc: 'A load departs when it has so many records. Without it what suits the sink: 50,000, 250,000 for `duckdb`.',
      format: 'integer',
      min: 1,
      default: undefined,
    },
    lingerMs: {
      doc: 'A load departs when its oldest record has waited so long.',
      format: 'milliseconds',
      default: 200,
    },
  },
  memory: {
    maxBytes: {
      doc: 'The bound for all that is read and not yet written. What is beyond it stays in Kafka.',
      format: 'size',
      min: 2 ** 20,
      default: '512MiB',
    },
  },
  commit: {
    intervalMs: { doc: 'How often offsets are committed to Kafka.', format: 'milliseconds', min: 1, default: 1000 },
  },
  rebalance: {
    drainMs: {
      doc: 'How long a partition that goes to another member may finish what is in flight. Must be below `max.poll.interval.ms`.',
      format: 'milliseconds',
      default: 10_000,
    },
  },
  shutdown: {
    deadlineMs: {
      doc: 'How long an orderly end may take, after SIGTERM. Keep it below the grace period of systemd or Kubernetes (30 s there).',
      format: 'milliseconds',
      min: 1,
      default: 25_000,
    },
  },
  admin: {
    enabled: { doc: 'Whether there is an admin port: metrics, health, status.', format: 'flag', default: true },
    host: {
      doc: 'The address it listens on. It has no password: open it beyond this machine only behind something that has.',
      format: 'text',
      default: '127.0.0.1',
    },
    port: { doc: 'The port; 0 takes any free one.', format: 'integer', min: 0, max: 65_535, default: 9464 },
  },
  log: {
    level: {
      doc: 'The least level that is logged.',
      format: 'oneOf',
      choices: ['trace', 'debug', 'info', 'warn', 'error', 'fatal'],
      default: 'info',
    },
    format: {
      doc: 'One JSON object a line, or lines for people; `auto` looks whether the output is a terminal.',
      format: 'oneOf',
      choices: ['auto', 'json', 'pretty'],
      default: 'auto',
    },
  },
}

/** One item of `routes`. */
export const routeSchema: Section = {
  name: {
    doc: 'Part of what a sink keeps its positions under, and a label of metrics: a route with a new name begins anew. The table without it.',
    format: 'text',
    default: undefined,
  },
  topics: {
    doc: 'Names of topics, and patterns that begin with `^` (POSIX extended, because librdkafka matches them too).',
    format: 'textList',
    default: undefined,
    required: 'list the topics to read, such as `topics: [telemetry.readings]`',
    check: topicFault,
  },
  decode: {
    format: { doc: 'What a record holds.', format: 'oneOf', choices: ['protobuf'], default: 'protobuf' },
    files: {
      doc: 'The .proto files, or descriptor sets, that hold the message.',
      format: 'textList',
      default: undefined,
      required: 'list the .proto files, such as `files: [proto/telemetry.proto]`',
      relativeToFile: true,
    },
    includes: {
      doc: 'Folders in which imports are searched for.',
      format: 'textList',
      default: [],
      relativeToFile: true,
    },
    message: {
      doc: 'The full name of the message, with its package.',
      format: 'text',
      default: undefined,
      required: 'name the message with its package, such as `message: telemetry.v1.Reading`',
      check: messageNameFault,
    },
    framing: {
      doc: 'What the producer puts before the message: `confluent` is the 0, schema id and message indexes of its serializers, which are passed over and not looked up in a registry; `lengthPrefixed` is a varint length (delimited protobuf). A value that does not begin so is a dead letter.',
      format: 'oneOf',
      choices: ['none', 'confluent', 'lengthPrefixed'],
      default: 'none',
    },
    enums: {
      doc: 'Whether an enum is stored by its name or by its number.',
      format: 'oneOf',
      choices: ['name', 'number'],
      default: 'name',
    },
    timestamps: {
      doc: 'What a Timestamp is stored in. `nanos` keeps all of it, but only of the years 1677 to 2262; another one makes its record a dead letter.',
      format: 'oneOf',
      choices: ['micros', 'nanos'],
      default: 'micros',
    },
    lists: {
      doc: 'How repeated numbers, texts, bytes and enums are stored: as JSON, or as lists of the sink, where it has them. Repeated messages and maps are JSON in either case.',
      format: 'oneOf',
      choices: ['json', 'native'],
      default: 'json',
    },
    flattenDepth: {
      doc: 'So many levels of nested messages become columns `parent_child`; deeper ones become JSON.',
      format: 'integer',
      min: 0,
      max: 32,
      default: 3,
    },
    tombstones: {
      doc: 'What becomes of a record without a value. `deadLetter` needs `deadLetters.topic`; `delete` deletes the row of its key, needs `table.deletes`, and is what holds with it.',
      format: 'oneOf',
      choices: ['skip', 'deadLetter', 'delete'],
      default: 'skip',
    },
    maxRecordBytes: {
      doc: 'A record of more bytes, key and headers included, is a dead letter.',
      format: 'size',
      min: 1,
      default: '16MiB',
    },
    maxHeaders: {
      doc: 'A record of more headers is a dead letter.',
      format: 'integer',
      min: 0,
      default: 1000,
    },
    decoder: {
      doc: 'How records are decoded: `compiled` goes from bytes straight to columns; `reference` is several times slower, gives the same, and is there for when the other is in doubt.',
      format: 'oneOf',
      choices: ['compiled', 'reference'],
      default: 'compiled',
    },
  },
  sink: {
    doc: 'The name of the sink, under `sinks`.',
    format: 'text',
    default: undefined,
    required: 'name one of the `sinks`',
  },
  table: {
    name: {
      doc: 'The table in the sink; `table: readings` is short for `table: { name: readings }`. The last part of the message in snake_case without it.',
      format: 'text',
      default: undefined,
    },
    create: { doc: 'Whether the table is created when it is absent.', format: 'flag', default: true },
    evolve: {
      doc: 'What becomes of a field that the table has no column for: `add` adds one that may be null, `refuse` stops the route until somebody did. Nothing else of a table is ever changed.',
      format: 'oneOf',
      choices: ['add', 'refuse'],
      default: 'add',
    },
    mode: {
      doc: 'What a record is: `append` makes each a row, `upsert` keeps the latest record of each key. Not every sink can upsert.',
      format: 'oneOf',
      choices: ['append', 'upsert'],
      default: 'append',
    },
    keys: {
      doc: 'The columns that name a row, with mode `upsert`, which needs `offset` in `metadata` too.',
      format: 'textList',
      default: [],
    },
    deletes: {
      doc: 'Whether a record without a value deletes the row of its key, with mode `upsert`. There must be one key then: a column of text or bytes that holds what the Kafka key holds, such as `_key`.',
      format: 'flag',
      default: false,
    },
  },
  metadata: {
    doc: "What to store of the record beside the message's fields, each in a column of its own: `_topic`, `_partition` and so on; of the header `trace-id` in `_header_trace_id`, as text, null where there is none, the last one where there are several. `columns` can give other names.",
    format: 'metadataList',
    choices: ['topic', 'partition', 'offset', 'timestamp', 'key'],
    default: [],
  },
  columns: {
    doc: 'The columns of the table, in this order: names as they would be without this key (`location_latitude`), or paths of fields (`location.latitude`; `location` means all its fields); with `{ from, as }` under another name. What is not listed is skipped and costs nearly nothing; the columns of `metadata` need not be listed. All fields without it.',
    format: 'columnList',
    default: undefined,
  },
}

/** Where each key of a section is, with the key itself. */
export function propertiesOf(section: Section, place: readonly string[] = []): [readonly string[], Property][] {
  return Object.entries(section).flatMap(([key, node]) =>
    isProperty(node) ? [[[...place, key], node]] : propertiesOf(node, [...place, key]),
  )
}
