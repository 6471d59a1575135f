import { randomBytes } from 'node:crypto'
import { PostgresSink } from '../../src/sinks/postgres/postgres-sink.ts'
import type { StoreUnderTest } from '../sinks/sink-contract.ts'
import type { PostgresServer } from './postgres-server.ts'

/** A database of its own on a server that is shared. */
export async function createPostgresStore(server: PostgresServer): Promise<StoreUnderTest> {
  const name = `contract_${randomBytes(6).toString('hex')}`
  const url = await server.createDatabase(name)
  return {
    sink: (group) => Promise.resolve(new PostgresSink({ url }, group)),
    rows: async () => {
      const rows = await server.queryIn<{ place: string }>(
        name,
        `select from_partition || '/' || from_offset as place from contract`,
      )
      return rows.map(({ place }) => place)
    },
    remove: async () => {
      await server.query(`drop database ${name} with (force)`)
    },
  }
}
