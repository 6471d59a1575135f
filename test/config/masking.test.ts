import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inspect } from 'node:util'
import { maskedConfig, parseConfig } from '../../src/config/load.ts'
import { parseSample, sampleSinks, sampleText } from './sample.ts'
import type { Environment } from './sample.ts'

// Not a word and not a number that could stand in a text for another reason.
const canary = '8675309314159'

const sasl = (password: string) =>
  sampleText.replace(
    'group: ingest',
    `group: ingest\n  security: { protocol: sasl_ssl, mechanism: plain, username: a, password: ${password} }`,
  )
const postgres = (options: string) => sampleText.replace('type: duckdb, path: a.duckdb', `type: postgres, ${options}`)
const property = (text: string) => sampleText.replace('group: ingest', `group: ingest\n  properties: { ${text} }`)

test('secrets are masked where they are, wherever they come from', () => {
  const text = postgres(`url: "postgres://ingest:${canary}@db/t", password: "${canary}", token: "${canary}"`).replace(
    'group: ingest',
    `group: ingest
  security: { protocol: sasl_ssl, mechanism: plain, username: a, password: "\${env:P}", key: k, certificate: c }
  properties: { sasl.oauthbearer.client.secret: "${canary}", ssl.key.pem: "${canary}", fetch.min.bytes: 1 }`,
  )
  const config = parseSample(text, { P: canary, MILLRACE_KAFKA_SECURITY_KEY_PASSWORD: canary })
  const masked = maskedConfig(config)
  assert.doesNotMatch(JSON.stringify(masked), new RegExp(canary))
  assert.equal(masked.kafka.security.password, '[secret]')
  assert.equal(masked.kafka.security.keyPassword, '[secret]')
  assert.deepEqual(masked.kafka.properties, {
    'sasl.oauthbearer.client.secret': '[secret]',
    'ssl.key.pem': '[secret]',
    'fetch.min.bytes': 1,
  })
  assert.deepEqual(masked.sinks['warehouse'], {
    type: 'postgres',
    url: 'postgres://ingest:[secret]@db/t',
    password: '[secret]',
    token: '[secret]',
    mode: 'copy',
  })
  assert.equal(config.kafka.security.password, canary, 'the configuration itself is left alone')
})

test('all but the secrets is shown as it is, and no secret is shown where there is none', () => {
  const config = parseSample()
  assert.deepEqual(maskedConfig(config), config)
})

test('of a copy, whose secrets are not known any more, no option of a sink is shown', () => {
  const masked = maskedConfig({ ...parseSample(postgres(`url: "${canary}", password: a`)) })
  assert.deepEqual(masked.sinks['warehouse'], {
    type: 'postgres',
    url: '[secret]',
    password: '[secret]',
    mode: '[secret]',
  })
})

const urls: readonly (readonly [text: string, masked: string])[] = [
  ['postgres://user:pass@host/db', 'postgres://user:[secret]@host/db'],
  ['postgres://user:p@ss/w:rd@host/db', 'postgres://user:[secret]@host/db'],
  ['redis://:pass@host', 'redis://:[secret]@host'],
  ['postgres://user@host:5432/db', 'postgres://user@host:5432/db'],
  ['http://host:8080/path', 'http://host:8080/path'],
  ['http://host/?user=a&password=pass&b=c', 'http://host/?user=a&password=[secret]&b=c'],
  ["host=db password='a b' user=c", 'host=db password=[secret] user=c'],
  ['user:pass@host:9092,other:9092', 'user:[secret]@host:9092,other:9092'],
  ['a.duckdb', 'a.duckdb'],
]
for (const [text, masked] of urls) {
  test(`${text} is shown as ${masked}`, () => {
    const config = parseSample(postgres(`url: ${JSON.stringify(text)}`))
    assert.equal(maskedConfig(config).sinks['warehouse']?.['url'], masked)
  })
}

// Configurations with something wrong at a secret, or near it, and a secret that must stay out of what is said.
const leaks: readonly { name: string; text: string; env?: Environment }[] = [
  { name: 'a number for a password', text: sasl(canary) },
  { name: 'a list for a password', text: sasl(`["${canary}"]`) },
  { name: 'a mapping for a password', text: sasl(`{ a: "${canary}" }`) },
  { name: 'a mapping that begins with a secret', text: sasl(`{"a-${canary}: b" }`) },
  { name: 'a stray ${ in a password', text: sasl(`"a\${${canary}}"`) },
  { name: 'an odd ${env:} in a password', text: sasl(`"\${env:-${canary}}"`) },
  { name: 'a password without a mechanism', text: sasl(`"${canary}"`).replace('mechanism: plain,', '') },
  { name: 'a password without sasl', text: sasl(`"${canary}"`).replace('sasl_ssl', 'ssl') },
  { name: 'a key password without a key', text: sampleText, env: { MILLRACE_KAFKA_SECURITY_KEY_PASSWORD: canary } },
  { name: 'a number for a password of a sink', text: postgres(`url: a, password: ${canary}`) },
  { name: "a secret that the sink's format refuses and quotes", text: postgres(`url: a, token: [${canary}]`) },
  { name: "a number that the sink's format refuses and quotes", text: postgres(`url: a, token: ${canary}`) },
  {
    name: 'a secret from elsewhere that a format quotes',
    text: postgres('url: a, code: "${env:P}"'),
    env: { P: canary },
  },
  { name: 'a secret in a property of its own key', text: property(`sasl.password: "${canary}"`) },
  { name: 'a list in a property', text: property(`ssl.key.pem: ["${canary}"]`) },
  { name: 'a property without a space', text: property(`"ssl.key.password:${canary}"`) },
  { name: 'a key without a space', text: sampleText.replace('group:', `password:${canary}:\n  group:`) },
  { name: 'a section that is a secret', text: sampleText.replace('group: ingest', `group: a\n  security: x${canary}`) },
  { name: 'an unknown key with a secret', text: postgres(`url: a, pasword: ${canary}`) },
  {
    name: 'a secret from the environment in an ordinary key',
    text: `${sampleText}workers: "\${env:P}"\n`,
    env: { P: canary },
  },
  {
    name: 'a secret from the environment as a sink',
    text: sampleText.replace('sink: w', 'sink: ${env:P}w'),
    env: { P: canary },
  },
  {
    name: 'a secret from the environment as a type',
    text: sampleText.replace('duckdb,', '"${env:P}",'),
    env: { P: canary },
  },
  {
    name: 'a secret in a variable of an ordinary key',
    text: sampleText,
    env: { MILLRACE_WORKERS: '${env:P}', P: canary },
  },
  { name: 'a password in a URL at a wrong place', text: `${sampleText}workers: "postgres://a:${canary}@b"\n` },
  { name: 'a password in an address', text: sampleText.replace('localhost', `user:${canary}@localhost`) },
  { name: 'an unknown variable', text: sampleText, env: { MILLRACE_KAFKA_PASSWORD: canary } },
  { name: 'an alias for a password', text: sasl(`*${canary}`) },
  { name: 'a tag for a password', text: sasl(`!${canary}`) },
  { name: 'a password that no value can begin with', text: sasl(`%${canary}`) },
  { name: 'a password with an open quote', text: sasl(`"${canary}`) },
  { name: 'a password with a wrong escape', text: sasl(`"\\q${canary}"`) },
  { name: 'a password with a colon', text: sampleText.replace('group: ingest', `group: a: ${canary}: b`) },
]
for (const { name, text, env = {} } of leaks) {
  for (const file of ['config.yaml', 'config.json']) {
    test(`${name} does not show it (${file})`, () => {
      assert.ok(text.includes(canary) || Object.values(env).includes(canary))
      assert.throws(
        () => parseConfig(text, file, { env, sinkOptions: sampleSinks }),
        (error) => {
          assert.doesNotMatch(inspect(error, { depth: 9 }), new RegExp(canary))
          return true
        },
      )
    })
  }
}
