import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { PostgresSink } from '../../../src/sinks/postgres/postgres-sink.ts'
import { startPostgres } from '../../support/postgres-server.ts'
import type { PostgresServer } from '../../support/postgres-server.ts'
import { contractBatch, contractTable } from '../../support/sink-batches.ts'

const rows = 1200

let server: PostgresServer
before(async () => {
  server = await startPostgres()
})
after(() => server.stop())

const numbers = Array.from({ length: rows }, (_, row) => row)

// Every case is one write: what it does not name would cost another.
const cases: { name: string; rule: string; bad: readonly number[] }[] = [
  {
    name: 'rows that break a rule, near and far from each other',
    rule: 'add check (from_offset not in (7, 8, 9, 700, 1199))',
    bad: [7, 8, 9, 700, 1199],
  },
  {
    name: 'runs of them longer than a try',
    rule: 'add check (from_offset not between 100 and 400)',
    bad: numbers.filter((row) => row >= 100 && row <= 400),
  },
  {
    name: 'rows that repeat a key of a row far before them',
    rule: 'add column half bigint generated always as (from_offset % 1000) stored unique',
    bad: numbers.filter((row) => row >= 1000),
  },
]

for (const { name, rule, bad } of cases) {
  test(`one search finds ${name}`, async () => {
    await server.query('drop table if exists contract, millrace_position')
    const sink = new PostgresSink({ url: server.url, sslmode: 'disable' }, 'g')
    await sink.open()
    await sink.evolve(contractTable)
    await server.query(`alter table contract ${rule}`)
    const [claimed] = await sink.claim([{ route: 'r', topic: 't', partition: 0, topicId: undefined }])
    const batch = contractBatch({ epoch: claimed!.epoch, base: 0, next: rows })
    const [ack] = await sink.write([batch], new AbortController().signal)
    assert.ok(ack?.kind === 'poison', JSON.stringify(ack))
    assert.deepEqual(
      ack.rows.map(({ row }) => row),
      bad,
    )
    const [stored] = await server.query<{ n: number }>('select count(*)::int as n from contract')
    assert.equal(stored!.n, 0)
    await sink.close()
  })
}
