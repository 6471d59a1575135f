import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { PartitionOffset } from '../../src/kafka/consumer.ts'
import { OffsetCommitter } from '../../src/kafka/offset-committer.ts'

/** A broker whose answers the test gives by hand. */
function setUp(answerMaxMs?: number) {
  const requests: { offsets: readonly PartitionOffset[]; answer: () => void; refuse: (error: Error) => void }[] = []
  const results: (string | undefined)[] = []
  const state = { watermarks: [] as PartitionOffset[] }
  const committer = new OffsetCommitter(
    (offsets) => new Promise<void>((answer, refuse) => requests.push({ offsets, answer, refuse })),
    () => state.watermarks,
    (error) => results.push(error?.message),
    answerMaxMs,
  )
  return { requests, results, state, committer }
}

const at = (partition: number, offset: number): PartitionOffset => ({ topic: 't', partition, offset })

describe('OffsetCommitter', () => {
  test('sends only what has moved since the broker last acknowledged', async () => {
    const { requests, state, committer } = setUp()
    state.watermarks = [at(0, 10), at(1, 5)]
    const first = committer.commit()
    await Promise.resolve()
    assert.deepEqual(requests[0]?.offsets, state.watermarks)
    requests[0]?.answer()
    assert.equal(await first, true)
    state.watermarks = [at(0, 10), at(1, 6)]
    const second = committer.commit()
    await Promise.resolve()
    assert.deepEqual(requests[1]?.offsets, [at(1, 6)])
    requests[1]?.answer()
    await second
    assert.equal(committer.committed(at(1, 0)), 6)
    assert.equal(await committer.commit(), true, 'nothing moved, nothing sent')
    assert.equal(requests.length, 2)
  })

  test('an unacknowledged commit counts as nothing: its watermarks go again', async () => {
    const { requests, results, state, committer } = setUp()
    state.watermarks = [at(0, 10)]
    const first = committer.commit()
    await Promise.resolve()
    requests[0]?.refuse(new Error('rebalance in progress'))
    assert.equal(await first, false)
    assert.equal(committer.committed(at(0, 0)), undefined)
    const second = committer.commit()
    await Promise.resolve()
    assert.deepEqual(requests[1]?.offsets, [at(0, 10)])
    requests[1]?.answer()
    assert.equal(await second, true)
    assert.deepEqual(results, ['rebalance in progress', undefined])
  })

  test('one request at a time: a second commit waits and takes the newest watermarks', async () => {
    const { requests, state, committer } = setUp()
    state.watermarks = [at(0, 10)]
    const first = committer.commit()
    await Promise.resolve()
    state.watermarks = [at(0, 20)]
    const second = committer.commit()
    assert.equal(requests.length, 1)
    requests[0]?.answer()
    await first
    await Promise.resolve()
    assert.deepEqual(requests[1]?.offsets, [at(0, 20)])
    requests[1]?.answer()
    assert.equal(await second, true)
  })

  test('a partition that was given up starts from nothing', async () => {
    const { requests, state, committer } = setUp()
    state.watermarks = [at(0, 10)]
    const first = committer.commit()
    await Promise.resolve()
    requests[0]?.answer()
    await first
    committer.forget(at(0, 0))
    assert.equal(committer.committed(at(0, 0)), undefined)
  })
  test('of several that waited for one request, the first sends and the others wait for that', async () => {
    const { requests, state, committer } = setUp()
    state.watermarks = [at(0, 10)]
    const first = committer.commit()
    await Promise.resolve()
    state.watermarks = [at(0, 20)]
    const waiting = [committer.commit(), committer.commit()]
    requests[0]?.answer()
    await first
    await new Promise(setImmediate)
    assert.deepEqual(
      requests.map(({ offsets }) => offsets),
      [[at(0, 10)], [at(0, 20)]],
    )
    requests[1]?.answer()
    assert.deepEqual(await Promise.all(waiting), [true, true])
    assert.equal(requests.length, 2, 'what the other committed is not sent again')
  })

  test('an answer for a partition that was given up meanwhile counts for the others only', async () => {
    const { requests, state, committer } = setUp()
    state.watermarks = [at(0, 10), at(1, 5)]
    const first = committer.commit()
    await Promise.resolve()
    committer.forget(at(0, 0))
    requests[0]?.answer()
    await first
    assert.deepEqual([committer.committed(at(0, 0)), committer.committed(at(1, 0))], [undefined, 5])
  })

  test('an answer that never comes holds back no later commit', async () => {
    const { requests, results, state, committer } = setUp(20)
    state.watermarks = [at(0, 10)]
    assert.equal(await committer.commit(), false)
    assert.deepEqual(results, ['the broker did not answer an offset commit within 0.02 s'])
    const second = committer.commit()
    await Promise.resolve()
    requests[1]?.answer()
    assert.equal(await second, true)
    assert.equal(committer.committed(at(0, 0)), 10)
  })
  test('commits at its interval until it is stopped', async (context) => {
    context.mock.timers.enable({ apis: ['setInterval'] })
    const { requests, state, committer } = setUp()
    state.watermarks = [at(0, 10)]
    committer.start(1000)
    context.mock.timers.tick(1000)
    await Promise.resolve()
    assert.equal(requests.length, 1)
    requests[0]?.answer()
    await new Promise(setImmediate)
    committer.stop()
    state.watermarks = [at(0, 20)]
    context.mock.timers.tick(5000)
    await Promise.resolve()
    assert.equal(requests.length, 1)
  })
})
