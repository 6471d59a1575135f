import { spawnSync } from 'node:child_process'
import assert from 'node:assert/strict'
import { cpSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import { queryDuckDb } from '../../../src/sinks/duckdb/duckdb-query.ts'
import { catalogSink, createSink } from '../../support/catalog-sink.ts'
import type { Capability, StoreUnderTest } from '../contract/store-under-test.ts'

/** What a DuckDB file can be put through: one opener at a time, and no server. */
export const duckDbAble: readonly Capability[] = ['refuseRows', 'refuseAll', 'backUp', 'unfit']

/** A DuckDB file of its own, for the contract of sinks. */
export async function createDuckDbStore(): Promise<StoreUnderTest> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-duckdb-'))
  const path = join(folder, 'contract.duckdb')
  const texts = async (expression: string) => {
    const order = 'order by from_partition, from_offset'
    const rows = await queryDuckDb(path, `select (${expression})::varchar as text from contract ${order}`)
    return rows.map(({ text }) => text as string | null)
  }
  return {
    maker: catalogSink('duckdb', { path }),
    rows: async () => (await texts(`from_partition || '/' || from_offset`)) as string[],
    texts,
    remove: async () => rmSync(folder, { recursive: true, force: true }),
    refuseRows: (offsets) =>
      runDuckDb(
        path,
        `create table contract (from_partition integer, from_offset bigint check (from_offset not in (${offsets.join()})),
                                word varchar)`,
      ),
    refuseAll: async () => {
      limitFiles(String(statSync(path).size))
      return async () => limitFiles('unlimited')
    },
    backUp: async () => {
      cpSync(path, `${path}.backup`)
      return async () => {
        rmSync(`${path}.wal`, { force: true })
        cpSync(`${path}.backup`, path)
      }
    },
    unfit: async () => {
      const first = await createSink({ type: 'duckdb', path }, 'g')
      await first.open()
      const noDatabase = join(folder, 'letter.txt')
      writeFileSync(noDatabase, 'Dear Sir or Madam, '.repeat(1000))
      return {
        'a file that is open already, which would lose rows': await createSink({ type: 'duckdb', path }, 'other'),
        'a file that is no database': await createSink({ type: 'duckdb', path: noDatabase }, 'g'),
      }
    },
  }
}

/** Runs SQL on a DuckDB file that no sink has open. */
export async function runDuckDb(path: string, sql: string): Promise<void> {
  const instance = await DuckDBInstance.create(path)
  const connection = await instance.connect()
  await connection.run(sql)
  connection.closeSync()
  instance.closeSync()
}

/** No file of this process may grow over so many bytes: a full disk, as far as one process can have it. */
function limitFiles(bytes: string): void {
  // Its default would end the process.
  if (process.listenerCount('SIGXFSZ') === 0) process.on('SIGXFSZ', () => undefined)
  const { status, stderr } = spawnSync('prlimit', ['--pid', String(process.pid), `--fsize=${bytes}:unlimited`], {
    encoding: 'utf8',
  })
  assert.equal(status, 0, stderr)
}
