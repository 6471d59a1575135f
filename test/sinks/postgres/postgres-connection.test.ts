import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { SinkRefusedError } from '../../../src/errors.ts'
import { parseAddress } from '../../../src/sinks/postgres/postgres-address.ts'
import type { PostgresOptions } from '../../../src/sinks/postgres/postgres-address.ts'
import { PostgresConnection } from '../../../src/sinks/postgres/postgres-connection.ts'
import { CertificateAuthority } from '../../support/certificates.ts'
import { startPostgres } from '../../support/postgres-server.ts'
import type { PostgresServer } from '../../support/postgres-server.ts'

describe('a connection to PostgreSQL', () => {
  const authority = new CertificateAuthority()
  const stranger = new CertificateAuthority()
  const client = authority.issue('pilot')
  let server: PostgresServer
  let plain: PostgresServer
  before(async () => {
    const { certificate, key } = authority.issue('localhost')
    server = await startPostgres({
      settings: { ssl: 'on', ssl_cert_file: 'server.pem', ssl_key_file: 'server.key', ssl_ca_file: 'ca.pem' },
      files: { 'server.pem': certificate, 'server.key': key, 'ca.pem': authority.certificate },
      access: ['hostssl all pilot 127.0.0.1/32 cert'],
    })
    await server.query('create role pilot login')
    plain = await startPostgres()
  })
  after(async () => {
    authority.remove()
    stranger.remove()
    await server.stop()
    await plain.stop()
  })

  const ca = authority.file('trusted.pem', authority.certificate)
  const otherCa = stranger.file('trusted.pem', stranger.certificate)
  const certificate = authority.file('client.pem', client.certificate)
  const key = authority.file('client.key', client.key)

  const cases: readonly {
    name: string
    host?: string
    user?: string
    plainServer?: true
    options: Omit<PostgresOptions, 'url'>
    /** Whether it is encrypted, or what is said instead. */
    outcome: boolean | RegExp
  }[] = [
    { name: 'disable does not encrypt', options: { sslmode: 'disable' }, outcome: false },
    { name: 'prefer encrypts where the server can', options: { sslmode: 'prefer' }, outcome: true },
    { name: 'prefer is what holds without a word', options: {}, outcome: true },
    { name: 'prefer does without where it cannot', plainServer: true, options: { sslmode: 'prefer' }, outcome: false },
    { name: 'require does not', plainServer: true, options: { sslmode: 'require' }, outcome: /does not support SSL/ },
    { name: 'require checks nothing', options: { sslmode: 'require' }, outcome: true },
    {
      name: 'require checks what it has an authority for',
      options: { sslmode: 'require', ca: otherCa },
      outcome: /certificate/,
    },
    { name: 'verify-ca takes any name', options: { sslmode: 'verify-ca', ca }, outcome: true },
    {
      name: 'verify-ca refuses another authority',
      options: { sslmode: 'verify-ca', ca: otherCa },
      outcome: /certificate/,
    },
    {
      name: 'verify-full takes its own name',
      host: 'localhost',
      options: { sslmode: 'verify-full', ca },
      outcome: true,
    },
    { name: 'verify-full refuses another name', options: { sslmode: 'verify-full', ca }, outcome: /IP|altnames/ },
    {
      name: 'a certificate of ours is the password',
      user: 'pilot',
      options: { sslmode: 'verify-ca', ca, certificate, key },
      outcome: true,
    },
    { name: 'without it there is none', user: 'pilot', options: { sslmode: 'verify-ca', ca }, outcome: /certificate/ },
  ]
  for (const { name, host = '127.0.0.1', user, plainServer, options, outcome } of cases) {
    test(name, async () => {
      const at = plainServer ? plain : server
      const url = at.urlOf('postgres', user).replace('127.0.0.1', host)
      if (outcome instanceof RegExp) {
        await assert.rejects(PostgresConnection.open(parseAddress({ url, ...options })), (error: Error) => {
          assert.ok(error instanceof SinkRefusedError, error.message)
          assert.match(error.message, outcome)
          return true
        })
        return
      }
      const connection = await PostgresConnection.open(parseAddress({ url, ...options }))
      const [row] = await connection.query('select ssl::text from pg_stat_ssl where pid = pg_backend_pid()')
      await connection.close()
      assert.equal(row?.['ssl'], String(outcome))
    })
  }

  const addresses: readonly [url: string, expected: object | RegExp][] = [
    ['postgres://u@h/d', { hosts: [{ host: 'h', port: 5432 }], user: 'u', database: 'd', password: '' }],
    ['postgresql://u:p%40ss@h:6432/d', { hosts: [{ host: 'h', port: 6432 }], password: 'p@ss' }],
    [
      'postgres://u@a,[::1]:5433/d',
      {
        hosts: [
          { host: 'a', port: 5432 },
          { host: '::1', port: 5433 },
        ],
      },
    ],
    ['postgres://u@h', { database: 'u' }],
    ['postgres://u@h/d?application_name=x&sslmode=disable', { applicationName: 'x', tls: undefined }],
    ['postgres://h/d', /must name the user/],
    ['postgres://u@/d', /must name a host/],
    ['postgres://u@h/d?sslmode=allow', /sslmode: must be disable, prefer, .*also takes a connection without TLS/],
    ['postgres://u@h/d?target_session_attrs=standby', /can only be read-write/],
    ['postgres://u@h/d?options=-c', /has the parameter options, and only/],
    ['postgres://u:secret@h/d?sslrootcert=/nowhere', /^(?!.*secret).*ca: the file \/nowhere cannot be read \(ENOENT\)/],
  ]
  for (const [url, expected] of addresses) {
    test(`${url} is ${expected instanceof RegExp ? 'refused' : 'understood'}`, () => {
      if (expected instanceof RegExp) assert.throws(() => parseAddress({ url }), expected)
      else {
        const parsed = Object.entries(parseAddress({ url })).filter(([name]) => name in expected)
        assert.deepEqual(Object.fromEntries(parsed), expected)
      }
    })
  }
})
