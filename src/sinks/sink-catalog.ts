import type { DuckDbOptions } from './duckdb/duckdb-sink.ts'
import type { PostgresOptions } from './postgres/postgres-address.ts'
import type { SinkKind, SinkOption } from './sink.ts'

const usualLoad = { maxBytes: 8 * 2 ** 20, maxRecords: 50_000 }

/**
 * Every sink there is, by the `type` of its configuration. A sink's own code, and with it any native one, is loaded only
 * when one is created: this table is read on the main thread.
 */
export const sinkCatalog: Readonly<Record<string, SinkKind>> = {
  blackhole: {
    identity: 'row',
    threadsMax: 1024,
    loadsAThread: 1,
    load: usualLoad,
    options: {},
    create: async () => new (await import('./blackhole-sink.ts')).BlackholeSink(),
  },
  duckdb: {
    identity: 'position',
    // A second opener of a file in one process loses rows without an error.
    threadsMax: 1,
    // DuckDB commits in a thread of its own.
    loadsAThread: 2,
    // From 122,880 rows on, its row group, it compresses them once and straight into the file. Fewer go to the write-ahead
    // log first, and at a checkpoint into the file: three times the work.
    load: { maxBytes: 32 * 2 ** 20, maxRecords: 250_000 },
    options: {
      path: {
        doc: 'The database file; made when absent. One daemon has it open at a time.',
        format: String,
        default: null,
      },
      memoryLimit: {
        doc: "What DuckDB's own memory may take, beside `memory.maxBytes`: rows that are being written, the end of each table, indexes. 512 MiB without it.",
        format: 'size',
        default: 512 * 2 ** 20,
      },
      threads: {
        doc: 'Threads of DuckDB itself. Writing hardly gains from a second one, and each record then costs more.',
        format: 'int',
        default: 1,
      },
      checkpointBytes: {
        doc: 'So large the write-ahead log beside the file may become before it is merged into the file: merging often costs more, and after a kill so much is read again, which takes a second or two. 256 MiB without it.',
        format: 'size',
        default: 256 * 2 ** 20,
      },
      snapshotPath: {
        doc: 'A copy of the database for people and programs to read, because no other process can open `path` while the daemon runs; opened read-only it is any DuckDB file. It is replaced as a whole. No copy without it.',
        format: String,
        default: undefined,
      },
      snapshotEveryMs: {
        doc: 'How old the copy may become while rows come in. Copying takes a tenth of the time at the most, so that of a large database is older.',
        format: 'milliseconds',
        default: 60_000,
      },
    },
    create: async (options, { group, warn }) => {
      const { DuckDbSink } = await import('./duckdb/duckdb-sink.ts')
      return new DuckDbSink(options as unknown as DuckDbOptions, group, warn)
    },
    audit: async (options, { group }) => {
      const { DuckDbAudit } = await import('./duckdb/duckdb-audit.ts')
      return DuckDbAudit.open(options['path'] as string, group)
    },
  },
  postgres: {
    identity: 'position',
    threadsMax: 1024,
    // The server works while the thread decodes the next load, and waits for its dead letters. A connection takes them in turn.
    loadsAThread: 2,
    load: usualLoad,
    options: {
      url: {
        doc: 'Where the database is: `postgres://user@host:5432/database`. Of several hosts (`host1:5432,host2:5432`) the first that takes writes is used, also after a failover. `?sslmode=...` and the like as in libpq.',
        format: String,
        default: null,
        sensitive: true,
      },
      password: { doc: 'The password, over one in the URL.', format: String, default: undefined, sensitive: true },
      sslmode: {
        doc: 'How the connection is secured, in the words of libpq: `disable`; `prefer` encrypts where the server can, and checks nothing; `require` encrypts, and checks the certificate if there is a `ca`; `verify-ca` checks it, `verify-full` its host name too. `prefer` without it.',
        format: ['disable', 'prefer', 'require', 'verify-ca', 'verify-full'],
        default: undefined,
      },
      ca: {
        doc: "The authorities that the server's certificate is checked against, a PEM file; those of Node without it.",
        format: String,
        default: undefined,
      },
      certificate: { doc: 'The certificate of this client, a PEM file.', format: String, default: undefined },
      key: { doc: "The certificate's private key, a PEM file.", format: String, default: undefined },
      controlSchema: {
        doc: 'The schema of the control table `millrace_position`; the first of the search path without it.',
        format: String,
        default: undefined,
      },
      connections: {
        doc: 'How many connections, each with a thread of its own that decodes and writes; `workers` without it.',
        format: 'nat',
        default: undefined,
      },
    },
    create: async (options, { group }) => {
      const { PostgresSink } = await import('./postgres/postgres-sink.ts')
      return new PostgresSink(options as unknown as PostgresOptions, group)
    },
    audit: async (options, { group }) => {
      const { PostgresAudit } = await import('./postgres/postgres-audit.ts')
      return PostgresAudit.open(options as unknown as PostgresOptions, group)
    },
  },
}

/** The options of every sink, for the configuration's schema. */
export const sinkOptions: Readonly<Record<string, Readonly<Record<string, SinkOption>>>> = Object.fromEntries(
  Object.entries(sinkCatalog).map(([type, { options }]) => [type, options]),
)
