import pg from 'pg'
import type { PlaceColumns, SinkAudit, SinkPartition } from '../sink.ts'
import { parseAddress } from './postgres-address.ts'
import type { PostgresOptions } from './postgres-address.ts'
import { begin, PostgresConnection } from './postgres-connection.ts'
import { FaultReporter } from './postgres-faults.ts'
import { quotedTable } from './postgres-table.ts'

/** So many rows are on this side at once. */
const fetchRows = 50_000

/** Looks at a database beside the daemons that write there. Needs the right to select from the tables. */
export class PostgresAudit implements SinkAudit {
  readonly #group: string
  readonly #positions: string
  readonly #faults: FaultReporter
  readonly #connection: PostgresConnection

  private constructor(group: string, options: PostgresOptions, faults: FaultReporter, connection: PostgresConnection) {
    const { controlSchema } = options
    this.#group = pg.escapeLiteral(group)
    this.#positions = quotedTable(`${controlSchema === undefined ? '' : `${controlSchema}.`}millrace_position`)
    this.#faults = faults
    this.#connection = connection
  }

  static async open(options: PostgresOptions, group: string): Promise<PostgresAudit> {
    const address = parseAddress(options)
    return new PostgresAudit(group, options, new FaultReporter(address.shown), await PostgresConnection.open(address))
  }

  async position({ route, topic, partition, topicId = '' }: SinkPartition): Promise<number | null> {
    const [row] = await this.#ask(
      `select next_offset from ${this.#positions} where consumer_group = ${this.#group}
       and route = ${pg.escapeLiteral(route)} and topic = ${pg.escapeLiteral(topic)} and partition = ${partition}
       and topic_id = ${pg.escapeLiteral(topicId)}`,
    )
    const next = row?.['next_offset']
    return next === null || next === undefined ? null : Number(next)
  }

  async *rows(
    table: string,
    columns: PlaceColumns,
    { topic, partition }: Pick<SinkPartition, 'topic' | 'partition'>,
    from: number,
    to: number,
  ): AsyncGenerator<readonly number[]> {
    const column = pg.escapeIdentifier
    const ofTopic = columns.topic === undefined ? '' : `and ${column(columns.topic)} = ${pg.escapeLiteral(topic)}`
    await this.#ask(
      `${begin}; declare audited no scroll cursor for select ${column(columns.offset)} as at from ${quotedTable(table)}
       where ${column(columns.partition)} = ${partition} and ${column(columns.offset)} >= ${from}
       and ${column(columns.offset)} < ${to} ${ofTopic}`,
    )
    try {
      for (;;) {
        const rows = await this.#ask(`fetch ${fetchRows} from audited`)
        if (rows.length === 0) return
        yield rows.map(({ at }) => Number(at))
      }
    } finally {
      if (this.#connection.usable) await this.#ask('rollback')
    }
  }

  async countRows(table: string): Promise<number> {
    const [row] = await this.#ask(`select count(*)::text as count from ${quotedTable(table)}`)
    return Number(row!['count'])
  }

  async close(): Promise<void> {
    await this.#connection.close()
  }

  async #ask(statements: string): ReturnType<PostgresConnection['query']> {
    try {
      return await this.#connection.query(statements)
    } catch (error) {
      throw this.#faults.translate(error, 'looking at what is there')
    }
  }
}
