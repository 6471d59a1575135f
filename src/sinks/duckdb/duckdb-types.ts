import {
  BIGINT,
  BLOB,
  BOOLEAN,
  DOUBLE,
  FLOAT,
  INTEGER,
  INTERVAL,
  TIMESTAMPTZ,
  TIMESTAMP_NS,
  UBIGINT,
  UINTEGER,
  VARCHAR,
} from '@duckdb/node-api'
import type { DuckDBType } from '@duckdb/node-api'
import type { ColumnType, ListType } from '../../decode/columns.ts'
import { SinkRefusedError } from '../../errors.ts'

interface TypeMapping {
  /** As in `create table`, and as information_schema tells it. */
  readonly sql: string
  /** What a chunk for the appender holds. */
  readonly chunk: DuckDBType
  readonly bytesPerValue: number
}

/** Every column type has its own lossless type in DuckDB. A `string_t` and an interval take 16 bytes in a vector. */
export const duckDbTypes: Readonly<Record<Exclude<ColumnType, ListType>, TypeMapping>> = {
  bool: { sql: 'BOOLEAN', chunk: BOOLEAN, bytesPerValue: 1 },
  int32: { sql: 'INTEGER', chunk: INTEGER, bytesPerValue: 4 },
  uint32: { sql: 'UINTEGER', chunk: UINTEGER, bytesPerValue: 4 },
  int64: { sql: 'BIGINT', chunk: BIGINT, bytesPerValue: 8 },
  uint64: { sql: 'UBIGINT', chunk: UBIGINT, bytesPerValue: 8 },
  float32: { sql: 'FLOAT', chunk: FLOAT, bytesPerValue: 4 },
  float64: { sql: 'DOUBLE', chunk: DOUBLE, bytesPerValue: 8 },
  timestamp: { sql: 'TIMESTAMP WITH TIME ZONE', chunk: TIMESTAMPTZ, bytesPerValue: 8 },
  timestampNanos: { sql: 'TIMESTAMP_NS', chunk: TIMESTAMP_NS, bytesPerValue: 8 },
  duration: { sql: 'INTERVAL', chunk: INTERVAL, bytesPerValue: 16 },
  string: { sql: 'VARCHAR', chunk: VARCHAR, bytesPerValue: 16 },
  bytes: { sql: 'BLOB', chunk: BLOB, bytesPerValue: 16 },
  json: { sql: 'JSON', chunk: VARCHAR, bytesPerValue: 16 },
}

/** Throws SinkRefusedError for a type that has no mapping here. */
export function duckDbType(type: ColumnType): TypeMapping {
  if (type in duckDbTypes) return duckDbTypes[type as keyof typeof duckDbTypes]
  throw new SinkRefusedError(`DuckDB is not given lists (${type}) yet; set decode.lists: json`)
}

/** True when a column of this SQL type takes the values whole. JSON is kept as text in either of two types. */
export function takes(sql: string, type: ColumnType): boolean {
  return sql === duckDbType(type).sql || (type === 'json' && sql === 'VARCHAR')
}
