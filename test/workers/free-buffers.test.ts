import assert from 'node:assert/strict'
import test from 'node:test'
import { freeBuffers } from '../../src/workers/free-buffers.ts'

const megabyte = 2 ** 20

test('buffers are freed at once, without the garbage collector', () => {
  const held = () => process.memoryUsage().arrayBuffers / megabyte
  const before = held()
  const buffers = [new ArrayBuffer(64 * megabyte), new ArrayBuffer(32 * megabyte)]
  assert.ok(held() - before > 90, `${held() - before} MiB are held`)
  freeBuffers(buffers)
  assert.ok(held() - before < 6, `${held() - before} MiB are held`)
  assert.deepEqual(
    buffers.map(({ byteLength }) => byteLength),
    [0, 0],
  )
})
