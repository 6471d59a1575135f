import assert from 'node:assert/strict'
import { test } from 'node:test'
import { negativeZeros } from '../../../src/sinks/postgres/negative-zero.ts'
import { variable } from '../../support/sink-batches.ts'

const cases: { json: string; is: boolean }[] = [
  { json: '-0', is: true },
  { json: '{"a":-0}', is: true },
  { json: '[1,-0.0e3]', is: true },
  { json: '{"a":-0.5,"b":[-0]}', is: true },
  { json: '{"a":-0.5,"b":-0.001,"c":0}', is: false },
  { json: '{"a":"-0"}', is: false },
  { json: '{"a\\"b":"x\\",-0,"}', is: false },
  { json: '"\\\\"', is: false },
  { json: '{"2020-01-01":-1}', is: false },
]

for (const { json, is } of cases) {
  test(`${json} has ${is ? 'a' : 'no'} number -0`, () => {
    const others = Buffer.from('{"a":-1}')
    const column = variable([Buffer.from('-0'), others, Buffer.from(json), null, others])
    // Of the first row nothing is asked: it is stored already.
    const rows = negativeZeros(column, 'gauges', 1, 5)
    assert.deepEqual(
      rows.map(({ row }) => row),
      is ? [2] : [],
    )
    if (is) assert.match(rows[0]!.reason, /gauges.*-0/)
  })
}
