import { closeSync, openSync, readSync } from 'node:fs'
import type { CopyBuffer, CopyBytes } from '../../src/sinks/postgres/copy-encoder.ts'
import { parseAddress } from '../../src/sinks/postgres/postgres-address.ts'
import { PostgresConnection } from '../../src/sinks/postgres/postgres-connection.ts'
import type { Sample } from './figures.ts'

/** A file of COPY BINARY into a table on one connection: the floor where there is no psql. */
export async function copyFileSample(url: string, table: string, file: string, records: number): Promise<Sample> {
  const connection = await PostgresConnection.open(parseAddress({ url, sslmode: 'disable' }))
  const descriptor = openSync(file, 'r')
  const source: CopyBytes = {
    bytesNeeded: 0,
    next: ({ bytes }: CopyBuffer, at: number) => at + readSync(descriptor, bytes, at, bytes.length - at, null),
  }
  const startedAt = performance.now()
  const cpuAtStart = process.cpuUsage()
  await connection.copy(`copy ${table} from stdin (format binary)`, source)
  const seconds = (performance.now() - startedAt) / 1000
  const { user, system } = process.cpuUsage(cpuAtStart)
  closeSync(descriptor)
  await connection.close()
  return { records, seconds, cpuSeconds: (user + system) / 1e6 }
}
