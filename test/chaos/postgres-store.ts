import type { DuckDBConnection } from '@duckdb/node-api'
import { chmodSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { startPostgres } from '../support/postgres-server.ts'
import type { PostgresServer } from '../support/postgres-server.ts'
import { TcpProxy } from '../support/tcp-proxy.ts'
import type { Bound, Store } from './store.ts'
import type { SinkPlace } from './target.ts'

/**
 * A PostgreSQL of the run's own, behind a proxy. The table has no unique key, so that a duplicate can be seen, and a column
 * that tells in which order the rows came.
 */
export class PostgresStore implements Store {
  readonly place: SinkPlace
  readonly proxy: TcpProxy
  readonly server: PostgresServer
  readonly #exchange: string

  private constructor(server: PostgresServer, proxy: TcpProxy, exchange: string) {
    this.server = server
    this.proxy = proxy
    this.#exchange = exchange
    this.place = { type: 'postgres', url: server.url.replace(`:${server.port}/`, `:${proxy.port}/`) }
  }

  static async start(folder: string): Promise<PostgresStore> {
    const server = await startPostgres({ settings: { shared_buffers: '256MB', max_wal_size: '2GB' } })
    const proxy = await TcpProxy.start({ port: server.port })
    const exchange = join(folder, 'exchange')
    mkdirSync(exchange)
    // The server may run as somebody else, and writes the rows there as a file.
    chmodSync(folder, 0o755)
    chmodSync(exchange, 0o777)
    await server.query(`create table entries (_topic text, _partition int, _offset bigint, key text, sequence numeric(20),
      checksum bigint, note text, half double precision, arrival bigint generated always as identity)`)
    return new PostgresStore(server, proxy, exchange)
  }

  async countBelow(bounds: readonly Bound[]): Promise<number[] | undefined> {
    const values = bounds.map(
      ({ topic, partition, offset }, index) => `(${index}, '${topic}', ${partition}, ${offset})`,
    )
    const rows = await this.server.query<{ count: string }>(
      `select count(_offset) from (values ${values.join(', ')}) bound(i, topic, part, below)
       left join entries on _topic = bound.topic and _partition = bound.part and _offset < bound.below
       group by bound.i order by bound.i`,
    )
    return rows.map(({ count }) => Number(count))
  }

  async collect(checker: DuckDBConnection): Promise<void> {
    const file = join(this.#exchange, 'entries.csv')
    await this.server.query(`copy (select _topic, _partition, _offset, key, sequence, checksum, note, half, arrival
      from entries) to '${file}' (format csv)`)
    await checker.run(`create table sink as select * from read_csv('${file}', header = false, columns = {'topic': 'varchar',
      'part': 'integer', 'place': 'bigint', 'key': 'varchar', 'sequence': 'bigint', 'checksum': 'bigint', 'note': 'varchar',
      'half': 'double', 'arrival': 'bigint'})`)
  }

  async stop(): Promise<void> {
    this.proxy.stop()
    await this.server.stop()
  }
}
