import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sinkCatalog } from '../../src/sinks/sink-catalog.ts'
import { contractBatch } from '../support/sink-batches.ts'

test('the blackhole takes every batch and has no position', async () => {
  const sink = await sinkCatalog['blackhole']!.create({}, { group: 'g' })
  await sink.open()
  const [claimed] = await sink.claim([{ route: 'r', topic: 't', partition: 0, topicId: undefined }])
  assert.equal(claimed?.position, null)
  const acks = await sink.write([contractBatch({ epoch: 1, base: 3, next: 9, offsets: [4, 8] })], AbortSignal.abort())
  assert.deepEqual(acks, [{ kind: 'durable', next: 9, rows: 2 }])
  await sink.close()
})

test('its epochs rise with every claim', async () => {
  const sink = await sinkCatalog['blackhole']!.create({}, { group: 'g' })
  const partition = { route: 'r', topic: 't', partition: 0, topicId: undefined }
  const claims = [
    ...(await sink.claim([partition, { ...partition, partition: 1 }])),
    ...(await sink.claim([partition])),
  ]
  assert.deepEqual(
    claims.map(({ partition, epoch }) => [partition, epoch]),
    [
      [0, 1],
      [1, 2],
      [0, 3],
    ],
  )
})
