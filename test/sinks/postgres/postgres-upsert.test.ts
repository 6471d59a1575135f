import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { appendRules } from '../../../src/decode/columns.ts'
import type { Batch, Deletes, TableSchema } from '../../../src/decode/columns.ts'
import { SinkRefusedError } from '../../../src/errors.ts'
import { PostgresSink } from '../../../src/sinks/postgres/postgres-sink.ts'
import { startPostgres } from '../../support/postgres-server.ts'
import type { PostgresServer } from '../../support/postgres-server.ts'
import { fixed, variable } from '../../support/sink-batches.ts'

const noSignal = new AbortController().signal

/** Offset, key and value of a row; without a value the key is deleted. */
type Said = readonly [offset: number, key: string, value?: number]

describe('upserts into PostgreSQL', () => {
  let server: PostgresServer
  let sink: PostgresSink
  let tables = 0
  before(async () => {
    server = await startPostgres()
    sink = new PostgresSink({ url: server.url }, 'g')
    await sink.open()
  })
  after(async () => {
    await sink.close()
    await server.stop()
  })

  function schemaOf(name: string, deletes = true): TableSchema {
    return {
      name,
      columns: [
        { name: 'value', type: 'int32', nullable: true },
        { name: 'key', type: 'string', nullable: false },
        { name: '_partition', type: 'int32', nullable: false },
        { name: '_offset', type: 'int64', nullable: false },
      ],
      rules: { ...appendRules, mode: 'upsert', keys: ['key'], deletes },
    }
  }

  async function newTable(sql?: string) {
    const table = schemaOf(`latest_${++tables}`)
    if (sql !== undefined) await server.query(`create table ${table.name} (${sql})`)
    await sink.evolve(table)
    return table
  }

  async function claim(table: TableSchema, partition = 0) {
    const [claimed] = await sink.claim([{ route: table.name, topic: 't', partition, topicId: undefined }])
    return claimed!.epoch
  }

  function batchOf(table: TableSchema, epoch: number, base: number, said: readonly Said[], partition = 0): Batch {
    const rows = said.filter(([, , value]) => value !== undefined)
    const gone = said.filter(([, , value]) => value === undefined)
    const deletes: Deletes = {
      offsets: Float64Array.from(gone, ([offset]) => offset),
      keys: variable(gone.map(([, key]) => Buffer.from(key, 'latin1'))) as Deletes['keys'],
    }
    return {
      ...{ route: table.name, topic: 't', partition, epoch, base, next: (said.at(-1)?.[0] ?? base) + 1 },
      table,
      rowCount: rows.length,
      offsets: Float64Array.from(rows, ([offset]) => offset),
      columns: [
        fixed(Int32Array.from(rows, ([, , value]) => value!)),
        variable(rows.map(([, key]) => Buffer.from(key))),
        fixed(Int32Array.from(rows, () => partition)),
        fixed(BigInt64Array.from(rows, ([offset]) => BigInt(offset))),
      ],
      deletes,
    }
  }

  const stored = async (table: TableSchema): Promise<string[]> => {
    const rows = await server.query(
      `select key || ' ' || value || ' @' || _offset as row from ${table.name} order by key`,
    )
    return rows.map(({ row }) => row as string)
  }

  const histories: readonly { name: string; batches: readonly (readonly Said[])[]; left: readonly string[] }[] = [
    {
      name: 'the latest of a key in one batch',
      batches: [
        [
          [0, 'a', 1],
          [1, 'b', 2],
          [2, 'a', 3],
        ],
      ],
      left: ['a 3 @2', 'b 2 @1'],
    },
    { name: 'the latest of a key in two batches', batches: [[[0, 'a', 1]], [[1, 'a', 2]]], left: ['a 2 @1'] },
    {
      name: 'no row of a key deleted later',
      batches: [
        [
          [0, 'a', 1],
          [1, 'b', 1],
        ],
        [[2, 'a']],
      ],
      left: ['b 1 @1'],
    },
    {
      name: 'no row of a key deleted in its own batch',
      batches: [
        [
          [0, 'a', 1],
          [1, 'a'],
        ],
      ],
      left: [],
    },
    {
      name: 'a row written again after its delete',
      batches: [
        [
          [0, 'a', 1],
          [1, 'a'],
          [2, 'a', 3],
        ],
      ],
      left: ['a 3 @2'],
    },
    {
      name: 'all rows when only a key that is no text goes',
      batches: [[[0, 'a', 1]], [[1, '\xff']]],
      left: ['a 1 @0'],
    },
  ]
  for (const { name, batches, left } of histories) {
    test(`leave ${name}`, async () => {
      const table = await newTable()
      const epoch = await claim(table)
      let base = 0
      for (const said of batches) {
        const batch = batchOf(table, epoch, base, said)
        const [ack] = await sink.write([batch], noSignal)
        assert.deepEqual(ack, { kind: 'durable', next: batch.next, rows: said.length })
        base = batch.next
      }
      assert.deepEqual(await stored(table), left)
    })
  }

  test('never put an older offset over a newer one, nor delete by it', async () => {
    const table = await newTable()
    const epoch = await claim(table)
    await sink.write(
      [
        batchOf(table, epoch, 0, [
          [0, 'a', 1],
          [9, 'b', 9],
          [10, 'a', 10],
        ]),
      ],
      noSignal,
    )
    // As after a restored backup of the control table alone.
    await server.query(`update millrace_position set next_offset = 0 where route = '${table.name}'`)
    await sink.write(
      [
        batchOf(table, epoch, 0, [
          [0, 'a', 1],
          [1, 'b'],
          [2, 'c', 2],
        ]),
      ],
      noSignal,
    )
    assert.deepEqual(await stored(table), ['a 10 @10', 'b 9 @9', 'c 2 @2'])
  })

  test('take what comes from another partition, whose offsets say nothing', async () => {
    const table = await newTable()
    await sink.write([batchOf(table, await claim(table), 0, [[100, 'a', 1]])], noSignal)
    await sink.write([batchOf(table, await claim(table, 1), 0, [[5, 'a', 2]], 1)], noSignal)
    assert.deepEqual(await stored(table), ['a 2 @5'])
  })

  test('find the rows that a rule refuses, and write the rest', async () => {
    const table = await newTable('key text primary key, value int check (value > 0), _partition int, _offset bigint')
    const batch = batchOf(table, await claim(table), 0, [
      [0, 'a', 1],
      [1, 'b', -1],
      [2, 'c', 3],
      [3, 'd', -4],
    ])
    const [ack] = await sink.write([batch], noSignal)
    assert.ok(ack?.kind === 'poison', JSON.stringify(ack))
    assert.deepEqual(
      ack.rows.map(({ row }) => row),
      [1, 3],
    )
  })

  test('are refused where nothing can decide a conflict, tell newer from older, or find the row to delete', async () => {
    const refusals: readonly [sql: string | undefined, table: (name: string) => TableSchema, message: RegExp][] = [
      [
        'key text, value int, _partition int, _offset bigint',
        schemaOf,
        /no unique index on table\.keys: `create unique/,
      ],
      [
        undefined,
        (name) => ({ ...schemaOf(name), columns: schemaOf(name).columns.slice(0, 3) }),
        /needs the column _offset/,
      ],
      [
        undefined,
        (name) => ({ ...schemaOf(name), rules: { ...schemaOf(name).rules, keys: ['value'] } }),
        /needs one key/,
      ],
    ]
    for (const [sql, of, message] of refusals) {
      const table = of(`refused_${++tables}`)
      if (sql !== undefined) await server.query(`create table ${table.name} (${sql})`)
      await assert.rejects(sink.evolve(table), (error: Error) => {
        assert.ok(error instanceof SinkRefusedError)
        assert.match(error.message, message)
        return true
      })
    }
  })
})
