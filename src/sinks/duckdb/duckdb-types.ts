import {
  BIGINT,
  BLOB,
  BOOLEAN,
  DOUBLE,
  FLOAT,
  INTEGER,
  INTERVAL,
  LIST,
  TIMESTAMPTZ,
  TIMESTAMP_NS,
  UBIGINT,
  UINTEGER,
  VARCHAR,
} from '@duckdb/node-api'
import type { DuckDBType } from '@duckdb/node-api'
import type { ColumnType, ItemType, ListType } from '../../decode/columns.ts'

interface TypeMapping {
  /** As in `create table`, and as information_schema tells it. */
  readonly sql: string
  /** What a chunk for the appender holds. */
  readonly chunk: DuckDBType
}

/** Every column type has its own lossless type in DuckDB; a list has that of its items. */
export const duckDbTypes: Readonly<Record<Exclude<ColumnType, ListType>, TypeMapping>> = {
  bool: { sql: 'BOOLEAN', chunk: BOOLEAN },
  int32: { sql: 'INTEGER', chunk: INTEGER },
  uint32: { sql: 'UINTEGER', chunk: UINTEGER },
  int64: { sql: 'BIGINT', chunk: BIGINT },
  uint64: { sql: 'UBIGINT', chunk: UBIGINT },
  float32: { sql: 'FLOAT', chunk: FLOAT },
  float64: { sql: 'DOUBLE', chunk: DOUBLE },
  timestamp: { sql: 'TIMESTAMP WITH TIME ZONE', chunk: TIMESTAMPTZ },
  timestampNanos: { sql: 'TIMESTAMP_NS', chunk: TIMESTAMP_NS },
  duration: { sql: 'INTERVAL', chunk: INTERVAL },
  string: { sql: 'VARCHAR', chunk: VARCHAR },
  bytes: { sql: 'BLOB', chunk: BLOB },
  json: { sql: 'JSON', chunk: VARCHAR },
}

export function duckDbType(type: ColumnType): TypeMapping {
  if (!type.endsWith('[]')) return duckDbTypes[type as Exclude<ColumnType, ListType>]
  const { sql, chunk } = duckDbTypes[type.slice(0, -2) as ItemType]
  return { sql: `${sql}[]`, chunk: LIST(chunk) }
}

/** True when a column of this SQL type takes the values whole. JSON is kept as text in either of two types. */
export function takes(sql: string, type: ColumnType): boolean {
  return sql === duckDbType(type).sql || (type === 'json' && sql === 'VARCHAR')
}
