import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { appendRules } from '../../../src/decode/columns.ts'
import type { Column, ColumnType } from '../../../src/decode/columns.ts'
import { messageChain, SinkRefusedError, SinkUnavailableError } from '../../../src/errors.ts'
import { queryDuckDb } from '../../../src/sinks/duckdb/duckdb-query.ts'
import { catalogSink, createSink } from '../../support/catalog-sink.ts'
import { contractBatch, contractTable, fixed, list, valuesBatch, variable } from '../../support/sink-batches.ts'
import { Seeded } from '../../support/seeded.ts'
import type { ThreadTask } from '../../support/sink-thread.ts'
import type { WriterSaid } from '../../support/sink-writer.ts'
import { startWriter } from '../../support/start-writer.ts'
import { runDuckDb } from './duckdb-store.ts'

const noSignal = new AbortController().signal

describe('DuckDbSink', () => {
  let folder: string
  let files = 0
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'millrace-duckdb-'))
  })
  after(() => rmSync(folder, { recursive: true, force: true }))

  const newPath = () => join(folder, `${++files}.duckdb`)

  async function claimedSink(path: string) {
    const sink = await createSink({ type: 'duckdb', path }, 'g')
    await sink.open()
    const [claimed] = await sink.claim([{ route: 'r', topic: 't', partition: 0, topicId: undefined }])
    return { sink, epoch: claimed!.epoch }
  }

  const text = (...values: (string | null)[]) =>
    variable(values.map((value) => (value === null ? null : Buffer.from(value))))
  const long = 'ü€😀'.repeat(1000)
  // The expected texts are what DuckDB itself makes of the values: equal texts are equal values.
  const cases: { type: ColumnType; column: Column; rows: number; texts: (string | null)[]; as?: string }[] = [
    { type: 'bool', column: fixed(Uint8Array.of(1, 0)), rows: 2, texts: ['true', 'false'] },
    {
      type: 'int32',
      column: fixed(Int32Array.of(-(2 ** 31), 2 ** 31 - 1)),
      rows: 2,
      texts: ['-2147483648', '2147483647'],
    },
    { type: 'uint32', column: fixed(Uint32Array.of(0, 2 ** 32 - 1)), rows: 2, texts: ['0', '4294967295'] },
    {
      type: 'int64',
      column: fixed(BigInt64Array.of(-(2n ** 63n), 2n ** 63n - 1n, 2n ** 53n + 1n)),
      rows: 3,
      texts: ['-9223372036854775808', '9223372036854775807', '9007199254740993'],
    },
    { type: 'uint64', column: fixed(BigUint64Array.of(2n ** 64n - 1n)), rows: 1, texts: ['18446744073709551615'] },
    { type: 'float32', column: fixed(Float32Array.of(1.5, NaN, -0)), rows: 3, texts: ['1.5', 'nan', '-0.0'] },
    {
      type: 'float64',
      column: fixed(Float64Array.of(Infinity, -Infinity, NaN, -0, Number.MIN_VALUE)),
      rows: 5,
      texts: ['inf', '-inf', 'nan', '-0.0', '5e-324'],
    },
    {
      type: 'timestamp',
      column: fixed(BigInt64Array.of(0n, 253_402_300_799_999_999n, -62_135_596_800_000_000n)),
      rows: 3,
      texts: ['0', '253402300799999999', '-62135596800000000'],
      as: 'epoch_us(value)',
    },
    {
      type: 'timestampNanos',
      column: fixed(BigInt64Array.of(0n, 1n, 9_223_372_036_854_775_806n, -9_223_372_036_854_775_806n)),
      rows: 4,
      texts: ['0', '1', '9223372036854775806', '-9223372036854775806'],
      as: 'epoch_ns(value)',
    },
    {
      type: 'int64[]',
      column: list(fixed(BigInt64Array.of(-(2n ** 63n), 2n ** 53n + 1n, 7n)), [2, 0, null, 1]),
      rows: 4,
      texts: ['[-9223372036854775808, 9007199254740993]', '[]', null, '[7]'],
    },
    {
      type: 'string[]',
      column: list(text('', 'twelve bytes', 'thirteen byte', long), [0, 2, 1, 1]),
      rows: 4,
      texts: ['[]', '["","twelve bytes"]', '["thirteen byte"]', JSON.stringify([long])],
      as: 'to_json(value)',
    },
    {
      type: 'bytes[]',
      column: list(variable([Uint8Array.of(0, 255), new Uint8Array(0)]), [null, 2]),
      rows: 2,
      texts: [null, "[00FF, '']"],
      as: 'list_transform(value, lambda each: hex(each))',
    },
    {
      type: 'bool[]',
      column: list(fixed(Uint8Array.of(1, 0, 1)), [3]),
      rows: 1,
      texts: ['[true, false, true]'],
    },
    {
      type: 'duration',
      column: fixed(BigInt64Array.of(0n, -1n, 315_576_000_000_000_000n)),
      rows: 3,
      texts: ['0', '-1', '315576000000000000'],
      as: `datepart('microsecond', value) + 60000000 * datepart('minute', value) + 3600000000 * datepart('hour', value)`,
    },
    {
      type: 'string',
      column: text('', null, 'four', 'twelve bytes', 'thirteen byte', long, 'NUL \0 within', '😀'),
      rows: 8,
      texts: ['', null, 'four', 'twelve bytes', 'thirteen byte', long, 'NUL \0 within', '😀'],
    },
    {
      type: 'bytes',
      column: variable([new Uint8Array(0), null, Uint8Array.of(0, 255, 0), new Uint8Array(5000).fill(7)]),
      rows: 4,
      texts: ['', null, '00FF00', '07'.repeat(5000)],
      as: 'hex(value)',
    },
    {
      type: 'json',
      column: text('{"a":[1,"x"]}', null, '"18446744073709551615"'),
      rows: 3,
      texts: ['{"a":[1,"x"]}', null, '"18446744073709551615"'],
    },
    {
      type: 'int64',
      column: fixed(BigInt64Array.of(1n, 2n, 3n), Uint8Array.of(0b101)),
      rows: 3,
      texts: ['1', null, '3'],
    },
  ]
  for (const { type, column, rows, texts, as = 'value' } of cases) {
    test(`${type} values are read back as they were${column.validity ? ', absent ones as null' : ''}`, async () => {
      const path = newPath()
      const { sink, epoch } = await claimedSink(path)
      const batch = valuesBatch({ name: 'value', type, nullable: true }, column, rows, epoch)
      await sink.evolve(batch.table)
      assert.deepEqual(await sink.write([batch], noSignal), [{ kind: 'durable', next: rows, rows }])
      await sink.close()
      const read = await queryDuckDb(path, `select (${as})::varchar as text from "${batch.table.name}" order by place`)
      assert.deepEqual(
        read.map((row) => row['text']),
        texts,
      )
    })
  }

  test('more rows than a chunk holds, with nulls, arrive whole wherever the head was trimmed', async () => {
    const path = newPath()
    const { sink, epoch } = await claimedSink(path)
    await sink.evolve(contractTable)
    await sink.write([contractBatch({ epoch, base: 0, next: 4099 })], noSignal)
    await sink.write([contractBatch({ epoch, base: 4000, next: 10_000 })], noSignal)
    await sink.close()
    const [sums] = await queryDuckDb(
      path,
      `select count(*) as rows, count(distinct from_offset) as places,
              count(*) filter ((word is null) <> (from_offset % 5 = 0)) as wrong_nulls,
              count(*) filter (word <> 'word ' || repeat('x', (from_offset % 20)::int) || ' ' || from_offset) as wrong_words
       from contract`,
    )
    assert.deepEqual(sums, { rows: 10_000n, places: 10_000n, wrong_nulls: 0n, wrong_words: 0n })
  })

  test('lists with more items than a chunk has rows arrive whole, each with its own', async () => {
    const path = newPath()
    const { sink, epoch } = await claimedSink(path)
    const lengths = Array.from({ length: 5000 }, (_, row) => row % 7)
    const items = lengths.flatMap((length, row) =>
      Array.from({ length }, (_, item) => Buffer.from(`item ${row}/${item}`)),
    )
    const batch = valuesBatch(
      { name: 'value', type: 'string[]', nullable: false },
      list(variable(items), lengths),
      5000,
      epoch,
    )
    await sink.evolve(batch.table)
    assert.equal((await sink.write([batch], noSignal))[0]?.kind, 'durable')
    await sink.close()
    const [sums] = await queryDuckDb(
      path,
      `select count(*) as rows, sum(len(value))::int as items,
              count(*) filter (value <> [format('item {}/{}', place, item) for item in range(place % 7)]) as wrong
       from ${`"${batch.table.name}"`}`,
    )
    assert.deepEqual(sums, { rows: 5000n, items: items.length, wrong: 0n })
  })

  test('rows that break a rule of the table are named, wherever they are, and the rest is then taken', async () => {
    const path = newPath()
    await runDuckDb(
      path,
      'create table contract (from_partition integer, from_offset bigint check (from_offset not in (0, 7, 19)), word varchar)',
    )
    const { sink, epoch } = await claimedSink(path)
    await sink.evolve(contractTable)
    const [ack] = await sink.write([contractBatch({ epoch, base: 0, next: 20 })], noSignal)
    assert.ok(ack?.kind === 'poison')
    assert.deepEqual(
      ack.rows.map(({ row }) => row),
      [0, 7, 19],
    )
    assert.match(ack.rows[0]!.reason, /CHECK constraint/)
    const offsets = Array.from({ length: 20 }, (_, offset) => offset).filter((offset) => ![0, 7, 19].includes(offset))
    assert.deepEqual(await sink.write([contractBatch({ epoch, base: 0, next: 20, offsets })], noSignal), [
      { kind: 'durable', next: 20, rows: 17 },
    ])
    await sink.close()
  })

  test('times of nanoseconds that would be read back as infinity are named, and those next to them are not', async () => {
    const path = newPath()
    const { sink, epoch } = await claimedSink(path)
    const last = 2n ** 63n - 1n
    // The third is no value: what lies below a null is not looked at.
    const values = fixed(BigInt64Array.of(last, last - 1n, last, -last, -last - 1n, 1n - last), Uint8Array.of(0b111011))
    const batch = valuesBatch({ name: 'value', type: 'timestampNanos', nullable: true }, values, 6, epoch)
    await sink.evolve(batch.table)
    const [ack] = await sink.write([batch], noSignal)
    assert.ok(ack?.kind === 'poison', JSON.stringify(ack))
    assert.deepEqual(
      ack.rows.map(({ row }) => row),
      [0, 3],
    )
    assert.match(ack.rows[0]!.reason, /infinity/)
    await sink.close()
  })

  test('a key that is there already, or twice in a batch, is the poison of its own batch, and neighbours are written', async () => {
    const path = newPath()
    await runDuckDb(path, 'create table contract (from_partition integer, from_offset bigint unique, word varchar)')
    const { sink, epoch } = await claimedSink(path)
    await sink.evolve(contractTable)
    const [second] = await sink.claim([{ route: 'r', topic: 't', partition: 1, topicId: undefined }])
    const other = (offsets: number[]) =>
      contractBatch({ epoch: second!.epoch, partition: 1, base: 4, next: 9, offsets })
    const [taken, refused] = await sink.write([contractBatch({ epoch, base: 0, next: 5 }), other([4, 8])], noSignal)
    assert.deepEqual(taken, { kind: 'durable', next: 5, rows: 5 })
    assert.ok(refused?.kind === 'poison')
    assert.deepEqual(
      refused.rows.map(({ row }) => row),
      [0],
    )
    const [poison] = await sink.write([other([6, 7, 7, 8])], noSignal)
    assert.ok(poison?.kind === 'poison')
    assert.deepEqual(
      poison.rows.map(({ row }) => row),
      [2],
    )
    await sink.close()
  })

  test('a table gets the columns that it lacks, and every mismatch is told at once', async () => {
    const path = newPath()
    await runDuckDb(
      path,
      'create table contract (from_offset varchar, "FROM_PARTITION" integer, other integer not null)',
    )
    const { sink } = await claimedSink(path)
    await assert.rejects(sink.evolve(contractTable), (error: unknown) => {
      assert.ok(error instanceof SinkRefusedError)
      assert.match(error.message, /from_offset is VARCHAR and BIGINT is needed.*other must have a value/)
      return true
    })
    await sink.close()
    await runDuckDb(path, 'drop table contract; create table contract (other integer, from_partition integer)')
    const { sink: again, epoch } = await claimedSink(path)
    await again.evolve(contractTable)
    assert.equal((await again.write([contractBatch({ epoch, base: 0, next: 2 })], noSignal))[0]?.kind, 'durable')
    await again.close()
    assert.deepEqual(await queryDuckDb(path, 'select other, from_offset from contract'), [
      { other: null, from_offset: 0n },
      { other: null, from_offset: 1n },
    ])
  })

  test('a table is not touched where that is not allowed', async () => {
    const path = newPath()
    const { sink } = await claimedSink(path)
    const kept = { ...contractTable, rules: { ...appendRules, create: false, evolve: 'refuse' as const } }
    await assert.rejects(sink.evolve(kept), /table contract: does not exist, and table.create is false/)
    await sink.evolve({ ...contractTable, columns: contractTable.columns.slice(0, 2) })
    await assert.rejects(sink.evolve(kept), /lacks word VARCHAR, and table.evolve is `refuse`/)
    await sink.close()
  })

  test('a plan names the statements that opening would run, and makes no file and no table', async () => {
    const path = newPath()
    const planned = async () => {
      const sink = await createSink({ type: 'duckdb', path }, 'g')
      const statements = await sink.plan!([contractTable])
      await sink.close()
      return statements
    }
    const made = [/^create table millrace_position/, /^create table "contract" \("from_partition" INTEGER/]
    const matches = (statements: readonly string[], patterns: readonly RegExp[]) => {
      assert.equal(statements.length, patterns.length, statements.join('; '))
      patterns.forEach((pattern, index) => assert.match(statements[index]!, pattern))
    }
    matches(await planned(), made)
    assert.deepEqual(
      readdirSync(folder).filter((name) => name.startsWith(basename(path))),
      [],
    )
    const { sink } = await claimedSink(path)
    await sink.evolve({ ...contractTable, columns: contractTable.columns.slice(0, 2) })
    await sink.close()
    matches(await planned(), [/^alter table "contract" add column "word" VARCHAR$/])
    matches(await planned(), [/^alter table/])
    await runDuckDb(path, 'alter table contract add column word integer')
    await assert.rejects(planned(), /word is INTEGER and VARCHAR is needed/)
  })

  test('upserts are refused, with what to do instead', async () => {
    const { sink } = await claimedSink(newPath())
    const rules = { ...appendRules, mode: 'upsert' as const, keys: ['word'] }
    await assert.rejects(sink.evolve({ ...contractTable, rules }), /set table\.mode: append/)
    await sink.close()
  })

  test('a hostile name is only a name', async () => {
    const path = newPath()
    const { sink, epoch } = await claimedSink(path)
    const name = 'x"; drop table millrace_position; --'
    const batch = valuesBatch({ name, type: 'int32', nullable: true }, fixed(Int32Array.of(5)), 1, epoch)
    const table = { ...batch.table, name: 'a"b' }
    await sink.evolve(table)
    assert.equal((await sink.write([{ ...batch, table }], noSignal))[0]?.kind, 'durable')
    await sink.close()
    assert.deepEqual(await queryDuckDb(path, 'select * from "a""b"'), [{ place: 0n, [name]: 5 }])
  })

  test('a missing table is a fault to be mended, never poison', async () => {
    const path = newPath()
    const { sink, epoch } = await claimedSink(path)
    const [ack] = await sink.write([contractBatch({ epoch, base: 0, next: 1 })], noSignal)
    assert.ok(ack?.kind === 'retry')
    assert.ok(ack.error instanceof SinkRefusedError)
    await sink.close()
  })

  /** The position that the next opener is given, which must be that of the rows; of those from `from` on, if it is given. */
  async function positionAfter(path: string, from = 0): Promise<number> {
    const sink = await createSink({ type: 'duckdb', path }, 'g')
    await sink.open()
    const [claimed] = await sink.claim([{ route: 'r', topic: 't', partition: 0, topicId: 'id-1' }])
    await sink.close()
    const position = claimed!.position ?? 0
    const [stored] = await queryDuckDb(
      path,
      `select count(*) as rows, count(distinct from_offset) as places, coalesce(max(from_offset) + 1, ${from}) as next
        from contract where from_offset >= ${from}`,
    )
    const count = BigInt(position - from)
    assert.deepEqual(stored, { rows: count, places: count, next: BigInt(position) })
    return position
  }

  /** Before each kill a writer is left to write for a while; there is no telling where it is then. */
  const kills = Number(process.env['MILLRACE_TEST_KILLS'] ?? 15)
  test(`kill -9 in the middle of writing, ${kills} times, leaves rows and position together, and the file to the next opener`, async () => {
    const path = newPath()
    const seeded = new Seeded(Number(process.env['MILLRACE_TEST_SEED'] ?? 7))
    let acknowledged = 0
    let seen = 0
    for (let kill = 0; kill < kills; kill++) {
      // Small batches, and ones that are more than a row group, which go to the file before the commit; with a checkpoint
      // at nearly every commit, or none.
      const rows = [3, 500, 20_000, 130_000][kill % 4]!
      const checkpointBytes = kill % 3 === 0 ? 2 ** 30 : 2 ** 14
      const writer = startWriter({ maker: catalogSink('duckdb', { path, checkpointBytes }), rows })
      const writes = 1 + seeded.below(3)
      let startedAt = 0
      for (let told = 0; told < writes; told++) {
        startedAt = performance.now()
        const [said] = (await once(writer, 'message')) as [WriterSaid]
        assert.ok(!('error' in said), JSON.stringify(said))
        acknowledged = said.next
      }
      if (kill === 0) {
        const lateComer = await createSink({ type: 'duckdb', path }, 'g')
        await assert.rejects(lateComer.open(), (error: Error) => {
          assert.ok(error instanceof SinkUnavailableError, 'the other may be closing')
          assert.match(error.message, new RegExp(`open in process ${writer.pid} already`))
          return true
        })
        await assert.rejects(lateComer.plan!([contractTable]), (error: Error) => {
          assert.ok(error instanceof SinkUnavailableError)
          assert.match(messageChain(error), /open in another process.*lock on file/)
          return true
        })
        await lateComer.close()
      }
      // Somewhere in the next write, or in one after it.
      await pause((seeded.below(100) / 100) * Math.min(1000, performance.now() - startedAt))
      const exit = once(writer, 'exit')
      writer.kill('SIGKILL')
      await exit
      // The rows before were there after an earlier kill; all of them are looked at once more at the end.
      const position = await positionAfter(path, seen)
      assert.ok(position >= acknowledged, `${position} stored, ${acknowledged} acknowledged`)
      seen = position
    }
    assert.equal(await positionAfter(path), seen)
  })

  // A checkpoint that met a full disk emptied the table in earlier releases of DuckDB.
  const fullDisks = [
    { name: 'the write-ahead log', checkpointBytes: 2 ** 30 },
    { name: 'a checkpoint', checkpointBytes: 2 ** 14 },
  ]
  for (const { name, checkpointBytes } of fullDisks) {
    test(`a disk that ${name} finds full is waited for: it is no bad row, and what was acknowledged is there`, async () => {
      // A path with a word that DuckDB's messages of bad rows have, too.
      const path = join(folder, `check constraint ${checkpointBytes}.duckdb`)
      // The system refuses to let a file of this process grow over so many blocks; else the signal would end it.
      const limited = ['-c', `trap '' XFSZ; ulimit -f 8192; exec "$0" "$@"`]
      const task = { maker: catalogSink('duckdb', { path, checkpointBytes }), rows: 20_000 }
      const writer = startWriter(task, ['sh', ...limited])
      let said: WriterSaid
      do [said] = (await once(writer, 'message')) as [WriterSaid]
      while (!('error' in said))
      await once(writer, 'exit')
      assert.match(said.error, /^SinkUnavailableError: .*File too large/)
      assert.equal(await positionAfter(path), said.next)
    })
  }

  test('the file of a thread that ended can be opened by the next one', async () => {
    const path = newPath()
    const workerData: ThreadTask = { kind: 'open', path }
    const thread = new Worker(new URL('../../support/sink-thread.js', import.meta.url), { workerData })
    await once(thread, 'message')
    const second = await createSink({ type: 'duckdb', path }, 'g')
    await assert.rejects(second.open(), /open in this very process already/)
    await second.close()
    await thread.terminate()
    const { sink, epoch } = await claimedSink(path)
    await sink.evolve(contractTable)
    assert.equal((await sink.write([contractBatch({ epoch, base: 0, next: 3 })], noSignal))[0]?.kind, 'durable')
    await sink.close()
  })

  for (const type of ['string', 'json'] as const) {
    test(`a ${type} that is no UTF-8 is poison, and not the end of the process`, async () => {
      const path = newPath()
      const { sink, epoch } = await claimedSink(path)
      const values = variable([Buffer.from('"good, and long enough"'), Buffer.from('ff'.repeat(20), 'hex')])
      const batch = valuesBatch({ name: 'value', type, nullable: true }, values, 2, epoch)
      await sink.evolve(batch.table)
      assert.deepEqual(await sink.write([batch], noSignal), [
        { kind: 'poison', rows: [{ row: 1, reason: 'a string is not valid UTF-8', code: 'ROW_REFUSED' }] },
      ])
      await sink.close()
    })
  }

  const columns = 'from_partition integer, from_offset bigint, word varchar'
  const notAppendable: { name: string; made: string; says: RegExp }[] = [
    {
      name: 'a view',
      made: `create view contract as select 1 as from_partition, 1::bigint as from_offset, 'x' as word`,
      says: /a route writes to a table, not to a view/,
    },
    {
      name: 'a table with generated columns',
      made: `create table contract (${columns}, twice bigint generated always as (from_offset * 2))`,
      says: /has generated columns/,
    },
  ]
  for (const { name, made, says } of notAppendable) {
    test(`${name} is refused before anything is written`, async () => {
      const path = newPath()
      await runDuckDb(path, made)
      const { sink } = await claimedSink(path)
      await assert.rejects(sink.evolve(contractTable), (error: unknown) => {
        assert.ok(error instanceof SinkRefusedError)
        assert.match(error.message, says)
        return true
      })
      await sink.close()
    })
  }
})
