import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { findGap, passGap } from '../../src/lanes/log-gap.ts'
import type { Gap, GapRule, Passage } from '../../src/lanes/log-gap.ts'

const log = { start: 50, end: 80 }

test('a position that the log has, its first and its end included, is no gap', () => {
  for (const position of [50, 60, 80]) assert.equal(findGap(position, 'sink', log), undefined)
  assert.equal(findGap(49, 'sink', log)?.kind, 'expired')
  assert.equal(findGap(81, 'sink', log)?.kind, 'cut off')
})

const expired: Gap = { kind: 'expired', position: 20, of: 'sink', log }
const anew: Gap = { kind: 'made anew', position: 900, of: 'sink', log }
const cutOff: Gap = { kind: 'cut off', position: 95, of: 'sink', log }
const cases: { gap: Gap; rule: GapRule; gives: Passage | RegExp }[] = [
  { gap: expired, rule: 'stop', gives: /^t\/1: records \[20, 50\) are gone .*\[50, 80\)/ },
  { gap: expired, rule: 'skip', gives: { base: 20, readFrom: 50, lost: 30 } },
  { gap: expired, rule: 'earliest', gives: { base: 20, readFrom: 50, lost: 30 } },
  { gap: anew, rule: 'stop', gives: /made anew: position 900/ },
  { gap: anew, rule: 'skip', gives: /made anew/ },
  { gap: anew, rule: 'earliest', gives: { base: undefined, readFrom: 50, lost: 0 } },
  { gap: cutOff, rule: 'skip', gives: /cut off: position 95 .* rows of \[80, 95\)/ },
  { gap: cutOff, rule: 'earliest', gives: /cut off/ },
  { gap: { ...cutOff, of: 'group' }, rule: 'skip', gives: /cut off/ },
  { gap: { ...cutOff, of: 'group' }, rule: 'earliest', gives: { base: 50, readFrom: 50, lost: 0 } },
]

describe('passGap', () => {
  for (const { gap, rule, gives } of cases) {
    test(`${gap.kind} of the ${gap.of}, ${rule}: ${gives instanceof RegExp ? 'stops' : `reads from ${gives.readFrom}`}`, () => {
      const passed = passGap(gap, rule, 't/1')
      if (gives instanceof RegExp) assert.match((passed as Error).message, gives)
      else assert.deepEqual(passed, gives)
    })
  }
})
