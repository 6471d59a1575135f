import type { SinkKind, SinkOption } from './sink.ts'

/**
 * Every sink there is, by the `type` of its configuration. A sink's own code, and with it any native one, is loaded only
 * when one is created: this table is read on the main thread.
 */
export const sinkCatalog: Readonly<Record<string, SinkKind>> = {
  blackhole: {
    identity: 'row',
    threadsMax: 1024,
    options: {},
    create: async () => new (await import('./blackhole-sink.ts')).BlackholeSink(),
  },
  duckdb: {
    identity: 'position',
    // A second opener of a file in one process loses rows without an error.
    threadsMax: 1,
    options: {
      path: {
        doc: 'The database file; made when absent. One daemon has it open at a time.',
        format: String,
        default: null,
      },
    },
    create: async (options, { group }) => {
      const { DuckDbSink } = await import('./duckdb/duckdb-sink.ts')
      return new DuckDbSink(options['path'] as string, group)
    },
  },
}

/** The options of every sink, for the configuration's schema. */
export const sinkOptions: Readonly<Record<string, Readonly<Record<string, SinkOption>>>> = Object.fromEntries(
  Object.entries(sinkCatalog).map(([type, { options }]) => [type, options]),
)
