import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { describe, test } from 'node:test'
import { loadConfig } from '../src/config/load.ts'
import { ConfigError } from '../src/errors.ts'
import { parseFailPoints } from '../src/fail-points.ts'

const failPoints = new URL('../src/fail-points.js', import.meta.url).href

/** A process that passes a place twice and tells of it; how it ended. */
function pass(variables: Record<string, string>) {
  const script = `import { failPoint, failPointsArmed } from ${JSON.stringify(failPoints)}
    for (const time of [1, 2]) {
      try { if (failPointsArmed) await failPoint('in-drain') } catch (error) { console.log(error.message) }
      console.log('passed ' + time)
    }`
  const { status, signal, stdout } = spawnSync(process.execPath, ['--input-type=module', '--eval', script], {
    env: { PATH: process.env['PATH'], ...variables },
    encoding: 'utf8',
    timeout: 20_000,
  })
  return { status, signal, stdout: stdout.trim().split('\n') }
}

describe('fail points', () => {
  const whole = ['passed 1', 'passed 2']
  const cases: { name: string; variables: Record<string, string>; signal?: string; stdout: string[] }[] = [
    { name: 'nothing happens at a place that is not armed', variables: {}, stdout: whole },
    {
      name: 'nothing happens without the switch for tests',
      variables: { MILLRACE_FAIL_POINTS: 'in-drain=kill' },
      stdout: whole,
    },
    {
      name: 'kill ends the process at the hit it is armed for',
      variables: { MILLRACE_FAIL_POINTS: 'in-drain=kill@2', MILLRACE_TEST: '1' },
      signal: 'SIGKILL',
      stdout: ['passed 1'],
    },
    {
      name: 'throw throws at that hit and at no other',
      variables: { MILLRACE_FAIL_POINTS: 'after-poll=kill;in-drain=throw', MILLRACE_TEST: '1' },
      stdout: ['fail point in-drain hit 1', ...whole],
    },
    {
      name: 'delay goes on afterwards',
      variables: { MILLRACE_FAIL_POINTS: 'in-drain=delay:5', MILLRACE_TEST: '1' },
      stdout: whole,
    },
  ]
  for (const { name, variables, signal, stdout } of cases) {
    test(name, () => {
      const ended = pass(variables)
      assert.deepEqual(ended.stdout, stdout)
      assert.equal(ended.signal, signal ?? null)
    })
  }

  test('a marked record is told from places', () => {
    const { marked, places } = parseFailPoints('record=hang:device-7')
    assert.equal(places.size, 0)
    assert.equal(marked?.key.toString(), 'device-7')
  })

  for (const text of ['nowhere=kill', 'in-drain=explode', 'in-drain']) {
    test(`${text} is refused`, () => assert.throws(() => parseFailPoints(text), /is no fail point/))
  }

  test('a daemon refuses to start with the variable but without the switch', () => {
    const config = new URL('../../config/default.yaml', import.meta.url).pathname
    assert.throws(
      () => loadConfig(config, { env: { MILLRACE_FAIL_POINTS: 'in-drain=kill' }, sinkOptions: {} }),
      (error) => error instanceof ConfigError && error.problems.some(({ path }) => path === 'MILLRACE_FAIL_POINTS'),
    )
  })
})
