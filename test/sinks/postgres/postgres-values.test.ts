import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { Column, ColumnType } from '../../../src/decode/columns.ts'
import { PostgresSink } from '../../../src/sinks/postgres/postgres-sink.ts'
import { startPostgres } from '../../support/postgres-server.ts'
import type { PostgresServer } from '../../support/postgres-server.ts'
import { fixed, valuesBatch, variable } from '../../support/sink-batches.ts'

const noSignal = new AbortController().signal

const text = (...values: (string | null)[]) =>
  variable(values.map((value) => (value === null ? null : Buffer.from(value))))

const list = (items: Column, lengths: readonly number[], validity?: Uint8Array): Column => {
  assert.ok(items.kind !== 'list')
  const offsets = new Uint32Array(lengths.length + 1)
  lengths.forEach((length, row) => (offsets[row + 1] = offsets[row]! + length))
  return { kind: 'list', offsets, items, validity }
}

interface ValuesCase {
  readonly type: ColumnType
  readonly column: Column
  readonly texts: readonly (string | null)[]
  /** The type of a column that is there already; the sink makes one without it. */
  readonly into?: string
  readonly as?: string
}

const long = 'ü€😀'.repeat(1000)
// Longer than the buffers that go to the socket.
const huge = 'x'.repeat(700_000)
const int32s = Int32Array.of(-(2 ** 31), 2 ** 31 - 1, 0, -1)
const int32Texts = ['-2147483648', '2147483647', '0', '-1']
const uint32s = Uint32Array.of(0, 2 ** 32 - 1)
const int64s = BigInt64Array.of(-(2n ** 63n), 2n ** 63n - 1n, 2n ** 53n + 1n, 0n, -1n, -(2n ** 32n), 10_000n)
const int64Texts = [...int64s].map(String)
const uint64s = BigUint64Array.of(2n ** 64n - 1n, 0n, 10_000n, 9_999n, 10n ** 19n, 2n ** 32n, 123_456_789_012_345_678n)
const doubles = Float64Array.of(Infinity, -Infinity, NaN, -0, Number.MIN_VALUE, Number.MAX_VALUE, 0.1)
const doubleTexts = ['Infinity', '-Infinity', 'NaN', '-0', '5e-324', '1.7976931348623157e+308', '0.1']

// The expected texts are what PostgreSQL itself makes of the values: equal texts are equal values.
const cases: readonly ValuesCase[] = [
  { type: 'bool', column: fixed(Uint8Array.of(1, 0)), texts: ['true', 'false'] },
  { type: 'int32', column: fixed(int32s), texts: int32Texts },
  { type: 'int32', column: fixed(int32s), texts: int32Texts, into: 'bigint' },
  { type: 'int32', column: fixed(int32s), texts: int32Texts, into: 'numeric' },
  { type: 'int32', column: fixed(int32s), texts: int32Texts, into: 'double precision' },
  { type: 'uint32', column: fixed(uint32s), texts: ['0', '4294967295'] },
  { type: 'uint32', column: fixed(uint32s), texts: ['0', '4294967295'], into: 'numeric(10,0)' },
  { type: 'uint32', column: fixed(uint32s), texts: ['0', '4294967295'], into: 'double precision' },
  { type: 'int64', column: fixed(int64s), texts: int64Texts },
  { type: 'int64', column: fixed(int64s), texts: int64Texts, into: 'numeric(30,0)' },
  { type: 'uint64', column: fixed(uint64s), texts: [...uint64s].map(String) },
  { type: 'uint64', column: fixed(BigUint64Array.of(2n ** 63n - 1n)), texts: ['9223372036854775807'], into: 'bigint' },
  { type: 'float32', column: fixed(Float32Array.of(1.5, NaN, -0)), texts: ['1.5', 'NaN', '-0'] },
  { type: 'float32', column: fixed(Float32Array.of(1.5, -0)), texts: ['1.5', '-0'], into: 'double precision' },
  { type: 'float64', column: fixed(doubles), texts: doubleTexts },
  {
    type: 'timestamp',
    column: fixed(BigInt64Array.of(0n, 253_402_300_799_999_999n, -62_135_596_800_000_000n, 946_684_799_999_999n)),
    texts: ['0', '253402300799999999', '-62135596800000000', '946684799999999'],
    as: '(extract(epoch from value) * 1000000)::bigint',
  },
  {
    type: 'timestamp',
    column: fixed(BigInt64Array.of(1_700_000_000_123_456n)),
    texts: ['2023-11-14 22:13:20.123456'],
    into: 'timestamp',
  },
  { type: 'timestampNanos', column: fixed(int64s), texts: int64Texts },
  {
    type: 'duration',
    column: fixed(BigInt64Array.of(0n, -1n, 315_576_000_000_000_000n)),
    texts: ['00:00:00', '-00:00:00.000001', '87660000:00:00'],
  },
  {
    type: 'string',
    column: text('', null, 'four', 'x'.repeat(24), 'x'.repeat(25), long, '😀', huge),
    texts: ['', null, 'four', 'x'.repeat(24), 'x'.repeat(25), long, '😀', huge],
  },
  { type: 'string', column: text('ab', 'ü€😀'), texts: ['ab', 'ü€😀'], into: 'varchar(3)' },
  { type: 'string', column: text('HOT'), texts: ['HOT'], into: 'mood' },
  {
    type: 'string',
    column: text('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', null, 'FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF'),
    texts: ['a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', null, 'ffffffff-ffff-ffff-ffff-ffffffffffff'],
    into: 'uuid',
  },
  { type: 'string', column: text('short'), texts: ['short'], into: 'short_text' },
  {
    type: 'bytes',
    column: variable([new Uint8Array(0), null, Uint8Array.of(0, 255, 0), new Uint8Array(5000).fill(7)]),
    texts: ['', null, '00ff00', '07'.repeat(5000)],
    as: `encode(value, 'hex')`,
  },
  {
    type: 'json',
    column: text('{"a":[1,"x"]}', null, '18446744073709551615'),
    texts: ['{"a": [1, "x"]}', null, '18446744073709551615'],
  },
  { type: 'json', column: text('{"a":[1,"x"]}'), texts: ['{"a":[1,"x"]}'], into: 'json' },
  { type: 'json', column: text('{"a":[1,"x"]}'), texts: ['{"a":[1,"x"]}'], into: 'text' },
  { type: 'int64', column: fixed(BigInt64Array.of(1n, 2n, 3n), Uint8Array.of(0b101)), texts: ['1', null, '3'] },
  { type: 'int32[]', column: list(fixed(Int32Array.of(1, -2, 3)), [2, 0, 1]), texts: ['{1,-2}', '{}', '{3}'] },
  {
    type: 'uint64[]',
    column: list(fixed(uint64s), [3], Uint8Array.of(1)),
    texts: ['{18446744073709551615,0,10000}'],
  },
  { type: 'uint32[]', column: list(fixed(uint32s), [2]), texts: ['{0,4294967295}'], into: 'bigint[]' },
  { type: 'bool[]', column: list(fixed(Uint8Array.of(1, 0)), [2]), texts: ['{t,f}'] },
  { type: 'float64[]', column: list(fixed(Float64Array.of(0.5, NaN)), [2]), texts: ['{0.5,NaN}'] },
  {
    type: 'string[]',
    column: list(text('a,b', '', 'ü'), [2, 0, 1], Uint8Array.of(0b101)),
    texts: ['{"a,b",""}', null, '{ü}'],
  },
  { type: 'bytes[]', column: list(variable([Uint8Array.of(1)]), [1]), texts: ['{"\\\\x01"}'] },
]

describe('values in PostgreSQL', () => {
  let server: PostgresServer
  let sink: PostgresSink
  let tables = 0
  before(async () => {
    server = await startPostgres()
    await server.query(
      `create type mood as enum ('HOT', 'COLD'); create domain short_text as text check (length(value) < 10)`,
    )
    sink = new PostgresSink({ url: server.url }, 'g')
    await sink.open()
  })
  after(async () => {
    await sink.close()
    await server.stop()
  })

  /** A table of its own with one column beside the place, and a batch for it. */
  async function prepared(type: ColumnType, column: Column, rows: number, into: string | undefined) {
    const [claimed] = await sink.claim([{ route: 'r', topic: 't', partition: 0, topicId: String(++tables) }])
    const batch = valuesBatch({ name: 'value', type, nullable: true }, column, rows, claimed!.epoch)
    const table = { ...batch.table, name: `values_${tables}` }
    if (into !== undefined) await server.query(`create table ${table.name} (value ${into}, place bigint)`)
    await sink.evolve(table)
    return { ...batch, table }
  }

  for (const { type, column, texts, into, as = 'value' } of cases) {
    const nulls = column.validity === undefined ? '' : ', absent ones as null'
    test(`${type} values are read back from ${into ?? 'a new column'} as they were${nulls}`, async () => {
      const batch = await prepared(type, column, texts.length, into)
      const acks = await sink.write([batch], noSignal)
      assert.deepEqual(acks, [{ kind: 'durable', next: texts.length, rows: texts.length }])
      const rows = await server.query(`select (${as})::text as text from ${batch.table.name} order by place`)
      assert.deepEqual(
        rows.map((row) => row['text']),
        texts,
      )
    })
  }

  const badRows: readonly (Omit<ValuesCase, 'texts'> & { rows: number; bad: readonly [number, RegExp][] })[] = [
    {
      type: 'string',
      column: text('a', 'b\0', 'c', '\0'),
      rows: 4,
      bad: [
        [1, /22021 .*column value.*NUL/],
        [3, /22021/],
      ],
    },
    { type: 'json', column: text('{}', '{"a":"\\u0000"}'), rows: 2, bad: [[1, /22P05/]] },
    {
      type: 'string',
      column: text('ab ', 'abc ', 'abcd'),
      into: 'varchar(3)',
      rows: 3,
      bad: [
        [1, /22001/],
        [2, /22001/],
      ],
    },
    { type: 'string', column: text('HOT', 'MILD'), into: 'mood', rows: 2, bad: [[1, /22P02 .*mood$/]] },
    {
      type: 'string',
      // Without hyphens, in braces, with a digit too many, with a letter that is none: PostgreSQL would take the first two.
      column: text(
        'a0eebc999c0b4ef8bb6d6bb9bd380a11',
        '{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}',
        'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11',
        'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a110',
        'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380g11',
        '',
      ),
      into: 'uuid',
      rows: 6,
      bad: [0, 1, 3, 4, 5].map((row): [number, RegExp] => [row, /22P02 column value: the text is not a UUID/]),
    },
    { type: 'string', column: text('short', 'x'.repeat(10)), into: 'short_text', rows: 2, bad: [[1, /23514/]] },
    { type: 'uint64', column: fixed(uint64s), into: 'bigint', rows: 2, bad: [[0, /22003/]] },
    {
      type: 'int32',
      column: fixed(Int32Array.of(5, -6, 7)),
      into: 'int check (value > 0)',
      rows: 3,
      bad: [[1, /23514/]],
    },
    { type: 'int32', column: fixed(Int32Array.of(5, 6, 5)), into: 'int unique', rows: 3, bad: [[2, /23505/]] },
    {
      type: 'int32',
      column: fixed(int32s),
      into: 'numeric(5,0)',
      rows: 3,
      bad: [
        [0, /22003/],
        [1, /22003/],
      ],
    },
  ]
  for (const { type, column, into, rows, bad } of badRows) {
    test(`what ${into ?? type} cannot hold is a bad row with its code, and the rest is written`, async () => {
      const batch = await prepared(type, column, rows, into)
      const [ack] = await sink.write([batch], noSignal)
      assert.ok(ack?.kind === 'poison', JSON.stringify(ack))
      assert.deepEqual(
        ack.rows.map(({ row }) => row),
        bad.map(([row]) => row),
      )
      ack.rows.forEach(({ code, reason }, index) => assert.match(`${code} ${reason}`, bad[index]![1]))
      assert.deepEqual(await server.query(`select * from ${batch.table.name}`), [])
    })
  }
})
