import { DuckDBInstance } from '@duckdb/node-api'

/**
 * Asks a DuckDB file that no daemon has open, read-only. Rows as objects by column name; 64-bit integers are BigInts.
 * Rejects with DuckDB's own error.
 */
export async function queryDuckDb(path: string, sql: string): Promise<Record<string, unknown>[]> {
  const instance = await DuckDBInstance.create(path, { access_mode: 'READ_ONLY' })
  try {
    const connection = await instance.connect()
    const reader = await connection.runAndReadAll(sql)
    connection.closeSync()
    return reader.getRowObjects()
  } finally {
    instance.closeSync()
  }
}
