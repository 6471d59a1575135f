import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseStatistics } from '../../src/kafka/statistics.ts'

const brokers = {
  '127.0.0.1:9092/1': { nodeid: 1, state: 'UP' },
  '127.0.0.1:9093/2': { nodeid: 2, state: 'TRY_CONNECT' },
}

test('the end of a partition is its last stable offset, and unknown ones are left unknown', () => {
  const partitions = {
    '-1': { leader: -1, ls_offset: 1, hi_offset: 1 },
    '0': { leader: 1, ls_offset: 90, hi_offset: 100 },
    '1': { leader: 1, ls_offset: -1001, hi_offset: 50 },
    '2': { leader: 1, ls_offset: -1001, hi_offset: -1001 },
  }
  assert.deepEqual(parseStatistics(JSON.stringify({ brokers, topics: { readings: { partitions } } })), [
    { topic: 'readings', partition: 0, end: 90, trouble: undefined },
    { topic: 'readings', partition: 1, end: 50, trouble: undefined },
    { topic: 'readings', partition: 2, end: undefined, trouble: undefined },
  ])
})

test('a partition whose leader is away, or that has none, is told apart from one with nothing to read', () => {
  const partitions = {
    '0': { leader: 2, ls_offset: 90, hi_offset: 90 },
    '1': { leader: -1, ls_offset: 90, hi_offset: 90 },
  }
  const found = parseStatistics(JSON.stringify({ brokers, topics: { readings: { partitions } } }))
  assert.deepEqual(
    found.map(({ trouble }) => trouble),
    ['its leader, broker 127.0.0.1:9093/2, is not connected (TRY_CONNECT)', 'it has no leader'],
  )
})
