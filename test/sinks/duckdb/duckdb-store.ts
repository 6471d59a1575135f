import { spawnSync } from 'node:child_process'
import assert from 'node:assert/strict'
import { cpSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  DuckDBBlobValue,
  DuckDBInstance,
  DuckDBIntervalValue,
  DuckDBListValue,
  DuckDBTimestampTZValue,
} from '@duckdb/node-api'
import type { ColumnSchema } from '../../../src/decode/columns.ts'
import { queryDuckDb } from '../../../src/sinks/duckdb/duckdb-query.ts'
import { catalogSink, createSink } from '../../support/catalog-sink.ts'
import type { Cell } from '../../decode/decoding.ts'
import type { Capability, StoreUnderTest } from '../contract/store-under-test.ts'
import type { ReadableStore } from '../golden-contract.ts'

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

/** A DuckDB file whose rows can be read back whole, for the golden rows. */
export async function createReadableDuckDb(): Promise<ReadableStore> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-duckdb-'))
  const path = join(folder, 'golden.duckdb')
  return {
    maker: catalogSink('duckdb', { path }),
    read: async ({ name, columns }) => {
      const rows = await queryDuckDb(path, `select ${columns.map(exactly).join()} from ${name}`)
      return new Map(
        rows.map((row) => [
          Number(row['_offset']),
          Object.fromEntries(columns.map(({ name: column, type }) => [column, cell(row[column], type)])),
        ]),
      )
    },
    remove: async () => rmSync(folder, { recursive: true, force: true }),
  }
}

/** The client takes a byte order mark off the texts that it hands over. */
function exactly({ name, type }: ColumnSchema): string {
  if (type === 'string[]') return `list_transform("${name}", lambda each: encode(each)) as "${name}"`
  return type === 'string' || type === 'json' ? `encode("${name}"::varchar) as "${name}"` : `"${name}"`
}

function cell(value: unknown, type: string): Cell {
  if (value instanceof DuckDBBlobValue) return Buffer.from(value.bytes).toString(type === 'bytes' ? 'hex' : 'utf8')
  if (value instanceof DuckDBListValue) return value.items.map((item) => cell(item, type.slice(0, -2)))
  if (value instanceof DuckDBTimestampTZValue) return value.micros
  if (value instanceof DuckDBIntervalValue) {
    assert.deepEqual([value.months, value.days], [0, 0], 'a duration has neither months nor days')
    return value.micros
  }
  return value as Cell
}
