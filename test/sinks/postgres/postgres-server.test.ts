import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { startPostgres } from '../../support/postgres-server.ts'
import type { PostgresServer } from '../../support/postgres-server.ts'

describe("the tests' PostgreSQL", () => {
  let server: PostgresServer
  before(async () => {
    server = await startPostgres()
    await server.query('create table kept (value int)')
  })
  after(() => server.stop())

  test('keeps what was committed through a restart and through kill -9', async () => {
    await server.query('insert into kept values (1)')
    await server.restart('immediate')
    await server.query('insert into kept values (2)')
    await server.kill()
    await server.start()
    assert.deepEqual(await server.query('select value from kept order by value'), [{ value: 1 }, { value: 2 }])
  })

  test('has a standby that refuses writes until it is promoted', async () => {
    const standby = await server.startStandby()
    try {
      await assert.rejects(standby.query('insert into kept values (3)'), { code: '25006' })
      await standby.promote()
      await standby.query('insert into kept values (3)')
    } finally {
      await standby.stop()
    }
  })
})
