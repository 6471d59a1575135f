import type { DuckDBConnection } from '@duckdb/node-api'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import type { PostgresServer } from '../support/postgres-server.ts'
import { TcpProxy } from '../support/tcp-proxy.ts'
import type { Bound, Store } from './store.ts'
import type { SinkPlace } from './target.ts'

/**
 * A database of the run's own, behind a proxy. The table has no unique key, so that a duplicate can be seen, and a column
 * that tells in which order the rows came.
 */
export class PostgresStore implements Store {
  readonly place: SinkPlace
  readonly proxy: TcpProxy
  readonly #server: PostgresServer
  readonly #url: string

  private constructor(server: PostgresServer, url: string, proxy: TcpProxy) {
    this.#server = server
    this.#url = url
    this.proxy = proxy
    this.place = { type: 'postgres', url: url.replace(`:${server.port}/`, `:${proxy.port}/`) }
  }

  static async open(server: PostgresServer, database: string): Promise<PostgresStore> {
    const url = await server.createDatabase(database)
    const store = new PostgresStore(server, url, await TcpProxy.start({ port: server.port }))
    await store
      .#query(`create table entries (_topic text, _partition int, _offset bigint, key text, sequence numeric(20),
      checksum bigint, note text, half double precision, arrival bigint generated always as identity)`)
    return store
  }

  async countBelow(bounds: readonly Bound[]): Promise<number[] | undefined> {
    const values = bounds.map(
      ({ topic, partition, offset }, index) => `(${index}, '${topic}', ${partition}, ${offset})`,
    )
    const rows = await this.#query(
      `select count(_offset) from (values ${values.join(', ')}) bound(i, topic, part, below)
       left join entries on _topic = bound.topic and _partition = bound.part and _offset < bound.below
       group by bound.i order by bound.i`,
    )
    return (rows as { count: string }[]).map(({ count }) => Number(count))
  }

  async collect(checker: DuckDBConnection): Promise<void> {
    // In the server's own folder, because it may run as somebody else who can write nowhere else.
    const file = join(this.#server.dataFolder, `${new URL(this.#url).pathname.slice(1)}.csv`)
    await this.#query(`copy (select _topic, _partition, _offset, key, sequence, checksum, note, half, arrival
      from entries) to '${file}' (format csv)`)
    await checker.run(`create table sink as select * from read_csv('${file}', header = false, columns = {'topic': 'varchar',
      'part': 'integer', 'place': 'bigint', 'key': 'varchar', 'sequence': 'bigint', 'checksum': 'bigint', 'note': 'varchar',
      'half': 'double', 'arrival': 'bigint'})`)
    rmSync(file)
  }

  async stop(): Promise<void> {
    this.proxy.stop()
  }

  /** On a connection of its own each time: the server may have been killed since the last. */
  async #query(sql: string): Promise<unknown[]> {
    const client = new pg.Client({ connectionString: this.#url, connectionTimeoutMillis: 5000 })
    client.on('error', () => undefined)
    await client.connect()
    try {
      return (await client.query(sql)).rows as unknown[]
    } finally {
      await client.end().catch(() => undefined)
    }
  }
}
