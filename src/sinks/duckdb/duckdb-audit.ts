import { DuckDBInstance } from '@duckdb/node-api'
import type { DuckDBConnection } from '@duckdb/node-api'
import { SinkUnavailableError } from '../../errors.ts'
import type { PlaceColumns, SinkAudit, SinkPartition } from '../sink.ts'
import { quoted } from './duckdb-table.ts'

/** Looks at a DuckDB file read-only, while no daemon has it open. */
export class DuckDbAudit implements SinkAudit {
  readonly #group: string
  readonly #instance: DuckDBInstance
  readonly #connection: DuckDBConnection

  private constructor(group: string, instance: DuckDBInstance, connection: DuckDBConnection) {
    this.#group = group
    this.#instance = instance
    this.#connection = connection
  }

  static async open(path: string, group: string): Promise<DuckDbAudit> {
    try {
      const instance = await DuckDBInstance.create(path, { access_mode: 'READ_ONLY' })
      return new DuckDbAudit(group, instance, await instance.connect())
    } catch (cause) {
      throw new SinkUnavailableError(`${path} cannot be looked at: stop the daemon that has it open, or name a copy`, {
        cause,
      })
    }
  }

  async position({ route, topic, partition, topicId = '' }: SinkPartition): Promise<number | null> {
    const reader = await this.#connection.runAndReadAll(
      `select next_offset from millrace_position where consumer_group = $1 and route = $2 and topic = $3
       and "partition" = $4 and topic_id = $5`,
      [this.#group, route, topic, partition, topicId],
    )
    const next = reader.getRows()[0]?.[0] as bigint | null | undefined
    return next === null || next === undefined ? null : Number(next)
  }

  async *rows(
    table: string,
    columns: PlaceColumns,
    { topic, partition }: Pick<SinkPartition, 'topic' | 'partition'>,
    from: number,
    to: number,
  ): AsyncGenerator<readonly number[]> {
    const ofTopic = columns.topic === undefined ? '' : `and ${quoted(columns.topic)} = $4`
    const result = await this.#connection.stream(
      `select ${quoted(columns.offset)}::double from ${quoted(table)} where ${quoted(columns.partition)} = $1
       and ${quoted(columns.offset)} >= $2 and ${quoted(columns.offset)} < $3 ${ofTopic}`,
      [partition, BigInt(from), BigInt(to), ...(columns.topic === undefined ? [] : [topic])],
    )
    for (;;) {
      const chunk = await result.fetchChunk()
      if (!chunk || chunk.rowCount === 0) return
      yield chunk.getColumnValues(0) as number[]
    }
  }

  async countRows(table: string): Promise<number> {
    const reader = await this.#connection.runAndReadAll(`select count(*) from ${quoted(table)}`)
    return Number(reader.getRows()[0]![0])
  }

  async close(): Promise<void> {
    this.#connection.closeSync()
    this.#instance.closeSync()
  }
}
