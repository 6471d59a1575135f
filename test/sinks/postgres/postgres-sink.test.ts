import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { appendRules } from '../../../src/decode/columns.ts'
import type { TableSchema } from '../../../src/decode/columns.ts'
import { SinkRefusedError, SinkUnavailableError } from '../../../src/errors.ts'
import { PostgresSink } from '../../../src/sinks/postgres/postgres-sink.ts'
import { startPostgres } from '../../support/postgres-server.ts'
import type { PostgresServer } from '../../support/postgres-server.ts'
import { contractBatch, contractTable } from '../../support/sink-batches.ts'

const noSignal = new AbortController().signal

describe('PostgresSink', () => {
  let server: PostgresServer
  const opened: PostgresSink[] = []
  let names = 0
  before(async () => {
    server = await startPostgres()
  })
  after(async () => {
    for (const sink of opened) await sink.close()
    await server.stop()
  })

  async function open(url: string): Promise<PostgresSink> {
    const sink = new PostgresSink({ url }, 'g')
    opened.push(sink)
    await sink.open()
    return sink
  }

  const newDatabase = async () => {
    const name = `d${++names}`
    return { name, url: await server.createDatabase(name) }
  }

  async function claim(sink: PostgresSink) {
    const [claimed] = await sink.claim([{ route: 'r', topic: 't', partition: 0, topicId: undefined }])
    return claimed!.epoch
  }

  test('lists every mismatch of a table, with both types and what to do, and changes nothing', async () => {
    const { name, url } = await newDatabase()
    const sql = `create table readings (a smallint, b timestamptz(3), c text not null, d int generated always as (1) stored,
                                        e text[], f varchar, extra int not null, filled int not null default 1)`
    await server.queryIn(name, sql)
    const table: TableSchema = {
      name: 'readings',
      columns: [
        { name: 'a', type: 'int32', nullable: true },
        { name: 'b', type: 'timestamp', nullable: true },
        { name: 'c', type: 'string', nullable: true },
        { name: 'd', type: 'int32', nullable: true },
        { name: 'e', type: 'string', nullable: true },
        { name: 'f', type: 'string', nullable: true },
        { name: 'g', type: 'string', nullable: true },
      ],
      rules: { ...appendRules, evolve: 'refuse' },
    }
    const sink = await open(url)
    await assert.rejects(sink.evolve(table), (error: Error) => {
      assert.ok(error instanceof SinkRefusedError)
      for (const part of [
        /column a is smallint, and values of type int32 need integer/,
        /column b is timestamp\(3\) with time zone/,
        /column c must have a value and the field may have none/,
        /column d is computed/,
        /column e is text\[\], and values of type string need text/,
        /column extra must have a value and the message has no such field/,
        /lacks g/,
      ]) {
        assert.match(error.message, part)
      }
      assert.doesNotMatch(error.message, /column (f|filled)/)
      return true
    })
    const columns = await server.queryIn(
      name,
      `select attname from pg_attribute where attrelid = 'readings'::regclass and attnum > 0`,
    )
    assert.equal(columns.length, 8)
  })

  test('tells the statements that it would run, and runs none', async () => {
    const { name, url } = await newDatabase()
    await server.queryIn(name, 'create table contract (word text)')
    const sink = new PostgresSink({ url }, 'g')
    opened.push(sink)
    const statements = await sink.plan([contractTable, { ...contractTable, name: 'telemetry.other' }])
    const text = statements.join('\n')
    assert.match(text, /^create table if not exists millrace_position/)
    assert.match(text, /alter table "contract" add column if not exists "from_partition" integer/)
    assert.match(text, /create table if not exists "telemetry"\."other" \(\n {2}"from_partition" integer/)
    const [count] = await server.queryIn(
      name,
      `select count(*)::int as n from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace`,
    )
    assert.equal(count!['n'], 1)
  })

  test('needs no right on the table but to insert', async () => {
    const { name, url } = await newDatabase()
    const owner = await open(url)
    await owner.evolve(contractTable)
    await server.query(`create role writer_${name} login password 'secret'`)
    const sink = await open(server.urlOf(name, `writer_${name}`, 'secret'))
    await assert.rejects(sink.evolve(contractTable), /may not be written: `grant insert on contract`/)
    await server.queryIn(name, `grant insert on contract to writer_${name}`)
    await sink.evolve(contractTable)
    await assert.rejects(claim(sink), /42501 .*millrace_position.*grant the role what it lacks/)
    await server.queryIn(name, `grant select, insert, update on millrace_position to writer_${name}`)
    const epoch = await claim(sink)
    const acks = await sink.write([contractBatch({ epoch, base: 0, next: 3 })], noSignal)
    assert.deepEqual(acks, [{ kind: 'durable', next: 3, rows: 3 }])
    await sink.close()
    await owner.close()
    await server.query(`drop database ${name} with (force)`)
    await server.query(`drop role writer_${name}`)
  })

  test('takes a fault of the configuration for no fault of the rows, and goes on when it is mended', async () => {
    const { name, url } = await newDatabase()
    const sink = await open(url)
    await sink.evolve({ ...contractTable, rules: { ...appendRules, create: true } })
    const epoch = await claim(sink)
    const write = async () => (await sink.write([contractBatch({ epoch, base: 0, next: 3 })], noSignal))[0]
    await server.queryIn(name, `alter table contract rename to elsewhere`)
    const gone = await write()
    assert.ok(gone?.kind === 'retry' && gone.error instanceof SinkRefusedError, JSON.stringify(gone))
    assert.match(gone.error.message, /t\/0 offsets 0 to 2 to contract: 42P01/)
    await server.queryIn(name, `alter table elsewhere rename to contract`)
    assert.equal((await write())?.kind, 'durable')
  })

  test('writes on when a column gets a wider type meanwhile', async () => {
    const { name, url } = await newDatabase()
    const sink = await open(url)
    await sink.evolve(contractTable)
    const epoch = await claim(sink)
    await server.queryIn(name, 'alter table contract alter from_partition type bigint')
    const kinds: (string | undefined)[] = []
    for (let tries = 0; tries < 6 && kinds.at(-1) !== 'durable'; tries++) {
      kinds.push((await sink.write([contractBatch({ epoch, base: 0, next: 3 })], noSignal))[0]?.kind)
    }
    assert.equal(kinds.at(-1), 'durable', kinds.join())
    assert.ok(!kinds.includes('poison'))
  })

  test('keeps passwords out of what it says', async () => {
    const { url } = await newDatabase()
    const wrong = url.replace(/:[^:@]+@/, ':hunter2-wrong@')
    await assert.rejects(open(wrong), (error: Error) => {
      assert.ok(error instanceof SinkRefusedError)
      assert.doesNotMatch(`${error.message} ${error.stack} ${String(error.cause)}`, /hunter2/)
      return true
    })
    assert.throws(() => new PostgresSink({ url: 'mysql://u:hunter2@h/d' }, 'g'), /^SinkRefusedError: url: must be like/)
  })

  test('follows the primary through a failover, with what was replicated', async () => {
    const primary = await startPostgres()
    const standby = await primary.startStandby()
    try {
      const sink = await open(primary.url.replace(`:${primary.port}/`, `:${standby.port},127.0.0.1:${primary.port}/`))
      await sink.evolve(contractTable)
      const epoch = await claim(sink)
      await sink.write([contractBatch({ epoch, base: 0, next: 3 })], noSignal)
      // The standby must have it all before the primary goes: replication is not synchronous here.
      const [sent] = await primary.query('select pg_current_wal_lsn()::text as at')
      for (let caughtUp = false; !caughtUp;) {
        const [row] = await standby.query(`select pg_last_wal_replay_lsn() >= '${sent!['at'] as string}' as done`)
        caughtUp = row!['done'] as boolean
      }
      await primary.kill()
      const [away] = await sink.write([contractBatch({ epoch, base: 3, next: 5 })], noSignal)
      assert.ok(away?.kind === 'retry' && away.error instanceof SinkUnavailableError, JSON.stringify(away))
      await standby.promote()
      const acks = await sink.write([contractBatch({ epoch, base: 2, next: 5 })], noSignal)
      assert.deepEqual(acks, [{ kind: 'durable', next: 5, rows: 2 }])
      await sink.close()
    } finally {
      await standby.stop()
      await primary.stop()
    }
  })
})
