import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseStatistics } from '../../src/kafka/statistics.ts'

test('the end of a partition is its last stable offset, and unknown ones are left unknown', () => {
  const partitions = {
    '-1': { ls_offset: 1, hi_offset: 1 },
    '0': { ls_offset: 90, hi_offset: 100 },
    '1': { ls_offset: -1001, hi_offset: 50 },
    '2': { ls_offset: -1001, hi_offset: -1001 },
  }
  assert.deepEqual(parseStatistics(JSON.stringify({ topics: { readings: { partitions } } })), [
    { topic: 'readings', partition: 0, end: 90 },
    { topic: 'readings', partition: 1, end: 50 },
    { topic: 'readings', partition: 2, end: undefined },
  ])
})
