import { parseConfig } from '../../src/config/load.ts'
import type { Config, SinkOptions } from '../../src/config/schema.ts'
import { ConfigError } from '../../src/errors.ts'

/** Options in every form that a sink may write them in. */
export const sampleSinks: SinkOptions = {
  duckdb: {
    path: { doc: 'The file.', format: String, default: null },
    memoryMax: { doc: 'Its memory.', format: 'size', default: '1GiB' },
    threads: { doc: 'Its threads.', format: 'nat', default: 2 },
    readOnly: { doc: 'Whether it is only read.', format: Boolean, default: false },
  },
  postgres: {
    url: { doc: 'Where it is.', format: 'String', default: null },
    password: { doc: 'Its password.', format: String, default: undefined, sensitive: true },
    token: { doc: 'Its token.', format: refuseShort, default: undefined, sensitive: true },
    code: { doc: 'Its code.', format: refuseLong, default: undefined },
    mode: { doc: 'How.', format: ['copy', 'insert'], default: 'copy' },
  },
  blackhole: {},
}

export const sampleText = `kafka:
  brokers: localhost:9092
  group: ingest
routes:
  - topics: [readings]
    decode: { files: a.proto, message: v1.Reading }
    sink: warehouse
sinks:
  warehouse: { type: duckdb, path: a.duckdb }
`

export type Environment = Readonly<Record<string, string>>

export const parseSample = (text = sampleText, env: Environment = {}): Config =>
  parseConfig(text, '/etc/millrace/config.yaml', { env, sinkOptions: sampleSinks })

/** Every problem as an operator reads it; none when the text is a good configuration. */
export function problemsOf(text: string, env: Environment = {}, name = 'config.yaml'): string[] {
  try {
    parseConfig(text, name, { env, sinkOptions: sampleSinks })
    return []
  } catch (error) {
    if (error instanceof ConfigError)
      return error.problems.map(({ path, message }) => (path ? `${path}: ${message}` : message))
    throw error
  }
}

function refuseShort(value: unknown): void {
  if (typeof value !== 'string' || value.length < 8) throw new Error(`must be longer than ${String(value)}`)
}

function refuseLong(value: unknown): void {
  if (typeof value !== 'string' || value.length > 8) throw new Error(`must be shorter than ${String(value)}`)
}
