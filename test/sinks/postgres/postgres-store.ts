import { randomBytes } from 'node:crypto'
import { PostgresSink } from '../../../src/sinks/postgres/postgres-sink.ts'
import { catalogSink } from '../../support/catalog-sink.ts'
import type { ColumnSchema } from '../../../src/decode/columns.ts'
import type { Cell } from '../../decode/decoding.ts'
import type { PostgresServer } from '../../support/postgres-server.ts'
import { TcpProxy } from '../../support/tcp-proxy.ts'
import { capabilities } from '../contract/store-under-test.ts'
import type { StoreUnderTest } from '../contract/store-under-test.ts'
import type { ReadableStore } from '../golden-contract.ts'

export const postgresAble = capabilities

/** A database of its own on a server that is shared, behind a network of its own; `port` is that of a pooler between, if there is one. */
export async function createPostgresStore(server: PostgresServer, port = server.port): Promise<StoreUnderTest> {
  const name = `contract_${randomBytes(6).toString('hex')}`
  const url = await server.createDatabase(name)
  const proxy = await TcpProxy.start({ port })
  const behindProxy = url.replace(`:${server.port}/`, `:${proxy.port}/`)
  const texts = async (expression: string) => {
    const order = 'order by from_partition, from_offset'
    const rows = await server.queryIn(name, `select (${expression})::text as text from contract ${order}`)
    return rows.map(({ text }) => text as string | null)
  }
  const role = `reader_${name}`
  return {
    maker: catalogSink('postgres', { url: behindProxy, sslmode: 'disable' }),
    rows: async () => (await texts(`from_partition || '/' || from_offset`)) as string[],
    texts,
    remove: async () => {
      proxy.stop()
      await server.query(`drop database if exists ${name} with (force)`)
      await server.query(`drop database if exists ${name}_backup with (force)`)
      await server.query(`drop role if exists ${role}`)
    },
    several: true,
    network: { proxy, loadBegins: 'begin; set local', rowsBegin: 'copy "contract"', committed: 'COMMIT\0' },
    refuseRows: async (offsets) => {
      await server.queryIn(
        name,
        `create table contract (from_partition integer, word text,
                                from_offset bigint check (from_offset not in (${offsets.join()})))`,
      )
    },
    restart: () => server.restart('immediate'),
    refuseAll: async () => {
      const setReadOnly = async (value: string) => {
        await server.query(`alter system set default_transaction_read_only = ${value}`)
        await server.query('select pg_reload_conf()')
        // Connections are told a moment later; new ones last.
        for (let told = ''; told !== value;) {
          const [row] = await server.queryIn(name, 'show default_transaction_read_only')
          told = row!['default_transaction_read_only'] as string
        }
      }
      await setReadOnly('on')
      return () => setReadOnly('off')
    },
    backUp: async () => {
      await server.query(`create database ${name}_backup template ${name}`)
      return async () => {
        await server.query(`drop database ${name} with (force)`)
        await server.query(`alter database ${name}_backup rename to ${name}`)
      }
    },
    unfit: async () => {
      await server.query(`create role ${role} login password 'secret'`)
      return {
        'a role that may not make the control table': new PostgresSink(
          { url: server.urlOf(name, role, 'secret') },
          'g',
        ),
        'a password that is wrong': new PostgresSink({ url, password: 'wrong' }, 'g'),
        'a database that is not there': new PostgresSink({ url: server.urlOf('nowhere') }, 'g'),
      }
    },
  }
}

/** PostgreSQL has no NUL in its texts, nor in those within jsonb, and no -0 among the numbers there. */
export const goldenNotInPostgres = {
  'text of a NUL': '22021',
  'text of a NUL within': '22021',
  'a text with a NUL among others': '22021',
  'a NUL, in a list': '22021',
  'a NUL within, in a list': '22021',
  'a map with -0': '22003',
  'a map with a NUL': '22P05',
  'a NUL, in a map': '22P05',
  'a NUL within, in a map': '22P05',
}

/** A database whose rows can be read back whole, for the golden rows. */
export async function createReadablePostgres(server: PostgresServer): Promise<ReadableStore> {
  const name = `golden_${randomBytes(6).toString('hex')}`
  const url = await server.createDatabase(name)
  return {
    maker: catalogSink('postgres', { url, sslmode: 'disable' }),
    read: async (table) => {
      const chosen = table.columns.map((column) => `${exactly(column)} as "${column.name}"`)
      const rows = await server.queryIn(name, `select ${chosen.join()} from ${table.name}`)
      return new Map(
        rows.map((row) => [
          Number(row['_offset']),
          Object.fromEntries(table.columns.map(({ name: column, type }) => [column, cell(row[column], type)])),
        ]),
      )
    },
    remove: async () => {
      await server.query(`drop database if exists ${name} with (force)`)
    },
  }
}

/** The client would make a Date of a time, which has no microseconds, and an object of JSON. */
function exactly({ name, type }: ColumnSchema): string {
  if (type === 'timestamp' || type === 'duration') return `(extract(epoch from "${name}") * 1000000)::bigint::text`
  return type === 'json' ? `"${name}"::text` : `"${name}"`
}

function cell(value: unknown, type: string): Cell {
  if (value === null) return null
  if (Array.isArray(value)) return value.map((item) => cell(item, type.slice(0, -2)))
  if (Buffer.isBuffer(value)) return value.toString('hex')
  if (['int64', 'uint64', 'timestamp', 'duration'].includes(type)) return BigInt(value as string)
  // Read as a double, the shortest text of a float is another number.
  if (type === 'float32') return Math.fround(value as number)
  return type === 'uint32' ? Number(value) : (value as Cell)
}
