import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { SinkRefusedError, SinkUnavailableError } from '../../../src/errors.ts'
import { PostgresSink } from '../../../src/sinks/postgres/postgres-sink.ts'
import type { Ack } from '../../../src/sinks/sink.ts'
import { startPostgres } from '../../support/postgres-server.ts'
import type { PostgresServer } from '../../support/postgres-server.ts'
import { contractBatch, contractTable } from '../../support/sink-batches.ts'
import { TcpProxy } from '../../support/tcp-proxy.ts'

const rows = 10
const unknownMax = 5
const durable = { kind: 'durable', next: rows, rows } as const

describe('what a real server says when it fails', () => {
  let server: PostgresServer
  before(async () => {
    // Later than the test takes to close the circle, and sooner than the sink's own deadline for locks.
    server = await startPostgres({ settings: { deadlock_timeout: '3s' } })
    await server.query(`create role writer login password 'secret'`)
    await server.query('grant create on schema public to writer')
  })
  after(() => server.stop())

  /** A sink of its own with a claimed partition; `write` always writes the same rows. */
  async function writer(url = server.urlOf('postgres', 'writer', 'secret'), answerMaxMs?: number) {
    await server.query('drop table if exists contract, millrace_position')
    const sink = new PostgresSink({ url, sslmode: 'disable' }, 'g', answerMaxMs)
    await sink.open()
    await sink.evolve(contractTable)
    const [claimed] = await sink.claim([{ route: 'r', topic: 't', partition: 0, topicId: undefined }])
    const batch = contractBatch({ epoch: claimed!.epoch, base: 0, next: rows })
    const write = async (): Promise<Ack> => (await sink.write([batch], new AbortController().signal))[0]!
    return { sink, write }
  }

  const stored = () => server.query('select from contract').then(({ length }) => length)

  /** Resolves when a backend of the sink waits for a lock. */
  async function untilItWaits(): Promise<void> {
    const deadline = performance.now() + 10_000
    for (;;) {
      const [row] = await server.query<{ n: number }>(
        `select count(*)::int as n from pg_stat_activity where usename = 'writer' and wait_event_type = 'Lock'`,
      )
      if (row!.n > 0) return
      assert.ok(performance.now() < deadline, 'it never waited for the lock')
      await pause(5)
    }
  }

  function assertRetry(ack: Ack, says: RegExp, kind: new (...args: never[]) => Error = SinkUnavailableError): void {
    assert.ok(ack.kind === 'retry', JSON.stringify(ack))
    assert.ok(ack.error instanceof kind, ack.error.name)
    assert.match(ack.error.message, says)
  }

  test('the victim of a deadlock (40P01) tries again', async () => {
    const { sink, write } = await writer()
    await server.query(`begin; set local deadlock_timeout = '1min'; lock table contract in share mode`)
    const written = write()
    await untilItWaits()
    // It has the position and waits for the table; we have the table and want the position.
    const position = server.query('select from millrace_position for update')
    assertRetry(await written, /40P01 deadlock detected/)
    await position
    await server.query('rollback')
    assert.deepEqual(await write(), durable)
    assert.equal(await stored(), rows)
    await sink.close()
  })

  test('a backend that an administrator ends in the middle of a load (57P01) is replaced', async () => {
    const { sink, write } = await writer()
    await server.query('begin; lock table contract in share mode')
    const written = write()
    await untilItWaits()
    await server.query(`select pg_terminate_backend(pid) from pg_stat_activity where usename = 'writer'`)
    assertRetry(await written, /57P01 terminating connection due to administrator command/)
    await server.query('rollback')
    assert.deepEqual(await write(), durable)
    assert.equal(await stored(), rows)
    await sink.close()
  })

  test('a server with no connection left (53300) is asked again', async () => {
    const { sink, write } = await writer()
    await server.query('alter role writer connection limit 0')
    await server.query(`select pg_terminate_backend(pid, 5000) from pg_stat_activity where usename = 'writer'`)
    let ack = await write()
    // Whether the end of the connection is known by the first write is a matter of chance.
    if (ack.kind === 'retry' && /57P01/.test(ack.error.message)) ack = await write()
    assertRetry(ack, /cannot be reached: .*too many connections for role/)
    await server.query('alter role writer connection limit -1')
    assert.deepEqual(await write(), durable)
    assert.equal(await stored(), rows)
    await sink.close()
  })

  test('a server that is silent after the end of a COPY is given up at our deadline', async () => {
    const proxy = await TcpProxy.start({ port: server.port })
    const { sink, write } = await writer(`postgres://writer:secret@127.0.0.1:${proxy.port}/postgres`, 1_000)
    const held = proxy.holdBefore('fromServer', `COPY ${rows}`)
    const written = write()
    await held
    const heldAt = performance.now()
    assertRetry(await written, /gave no answer in 1 s/)
    assert.ok(performance.now() - heldAt < 10_000)
    assert.deepEqual(await write(), durable)
    assert.equal(await stored(), rows)
    await sink.close()
    proxy.stop()
  })

  test('an error that nobody knows is tried again, then somebody must look; no row is blamed', async () => {
    const { sink, write } = await writer()
    await server.query(`
      create or replace function fail() returns trigger language plpgsql as
        $$ begin raise exception 'the moon is full' using errcode = 'XY123'; end $$;
      create trigger fail before insert on contract for each row execute function fail()`)
    for (let attempt = 1; attempt < unknownMax; attempt++) assertRetry(await write(), /XY123 the moon is full$/)
    assertRetry(await write(), /XY123 the moon is full; nothing is known of this error/, SinkRefusedError)
    await server.query('drop trigger fail on contract')
    assert.deepEqual(await write(), durable)
    assert.equal(await stored(), rows)
    await sink.close()
  })
})
