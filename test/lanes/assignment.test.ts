import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { GapRule } from '../../src/lanes/log-gap.ts'
import { inMockedTime, pass, takeAll, turn } from './group-time.ts'
import { backoffMs, drainMs, GroupWorld, lanesBytesMax } from './group-world.ts'
import type { Question } from './group-world.ts'

// What the model leaves open: what an operator is told, what a shutdown answers, and what becomes of a partition whose log
// is not what it was. Nothing is answered and no time passes but where a line says so.

function scenario(name: string, work: (world: GroupWorld) => Promise<void>, onGap: GapRule = 'stop'): void {
  test(name, () =>
    inMockedTime(async () => {
      const world = new GroupWorld(onGap)
      await work(world)
      assert.deepEqual(world.failures, [])
    }),
  )
}

/** Answers what is asked, and what is asked then, but leaves the clock alone and delivers nothing. */
async function answer(world: GroupWorld, ...what: Question['what'][]): Promise<void> {
  for (let round = 0; round < 6; round++) {
    await turn()
    takeAll(world, (question) => what.length === 0 || what.includes(question.what)).forEach(({ answer }) => answer())
  }
  await turn()
}

async function refuse(world: GroupWorld, what: Question['what']): Promise<void> {
  await turn()
  takeAll(world, (question) => question.what === what).forEach(({ fail }) => fail('away'))
  await turn()
}

/** Partitions that the world has assigned, claimed and granted. */
async function assigned(world: GroupWorld, ...partitions: number[]): Promise<void> {
  world.rebalance('assign', partitions)
  await answer(world)
}

/** Records of a partition are in a load whose end nobody has told. */
async function loading(world: GroupWorld, partition: number, records = 5): Promise<void> {
  world.produce(partition, 0, records)
  world.deliver(partition, records)
  await turn()
}

/** A second passes: doubted lanes that have nothing left to write are begun anew. */
async function settleDoubts(world: GroupWorld): Promise<void> {
  pass(world, 0)
  await turn()
  // The wait of none before the first claim.
  pass(world, 0)
  await answer(world)
}

const written = async (world: GroupWorld, partition: number, records = 5) => {
  await loading(world, partition, records)
  await answer(world)
}

/** A partition that another has claimed, as a load of ours has just found. */
async function fenced(world: GroupWorld, partition: number): Promise<void> {
  await assigned(world, partition)
  await written(world, partition)
  world.fence(partition)
  await loading(world, partition)
  await answer(world, 'load', 'written')
}

const laneOf = (world: GroupWorld, partition: number) => world.lanes.get('t', partition)!
const grantOf = (world: GroupWorld, partition: number) => world.places[partition]!.opening?.grantBytes
const asks = (world: GroupWorld) => world.questions.map(({ what }) => what)
const told = (world: GroupWorld, what: string) => world.told.filter(([each]) => each === what)

describe('Assignment', () => {
  scenario(
    'a partition is claimed once, read from where it stood, written, and committed when it is taken away',
    async (world) => {
      assert.equal(world.assignment.answered, 0)
      await assigned(world, 0, 2)
      assert.equal(world.assignment.answered, 1)
      assert.deepEqual(world.told, [
        ['started', 0, undefined],
        ['started', 2, undefined],
      ])
      assert.deepEqual([laneOf(world, 0).epoch, laneOf(world, 2).epoch], [1, 1])
      await written(world, 0)
      world.rebalance('revoke', [0, 2])
      await answer(world)
      assert.equal(world.assignment.answered, 2)
      assert.equal(world.places[0]!.committed, 5)
      assert.deepEqual(told(world, 'revoked'), [['revoked', [0, 2], 'drained']])
    },
  )

  scenario(
    'the memory is shared out among the lanes that flow, anew whenever one comes, stops or goes',
    async (world) => {
      const grants = () => [0, 1, 2].map((partition) => grantOf(world, partition))
      await assigned(world, 0)
      assert.deepEqual(grants(), [lanesBytesMax, undefined, undefined])
      await assigned(world, 1, 2)
      assert.deepEqual(grants(), Array(3).fill(lanesBytesMax / 3))
      world.rebalance('revoke', [1])
      await answer(world)
      assert.deepEqual(grants(), [lanesBytesMax / 2, undefined, lanesBytesMax / 2])
    },
  )

  scenario('what is durable of a lane that was closed gives its successor no room', async (world) => {
    await assigned(world, 0)
    await loading(world, 0)
    const former = laneOf(world, 0)
    world.rebalance('revoke', [0], true)
    await answer(world, 'commit')
    await assigned(world, 0)
    world.assignment.release(former, 50)
    assert.equal(grantOf(world, 0), lanesBytesMax)
    world.assignment.release(laneOf(world, 0), 50)
    assert.equal(grantOf(world, 0), lanesBytesMax + 50)
  })

  scenario(
    'a claim that takes too long holds the group up no longer: the lane reads when it has its answer',
    async (world) => {
      await loading(world, 0)
      world.rebalance('assign', [0])
      await answer(world, 'topics', 'committed')
      pass(world, 4_999)
      await turn()
      assert.equal(world.unanswered.length, 1)
      pass(world, 1)
      await turn()
      assert.equal(world.unanswered.length, 0)
      assert.deepEqual([laneOf(world, 0).waiting, grantOf(world, 0)], ['claim', 0])
      pass(world, 0)
      await answer(world)
      assert.deepEqual([laneOf(world, 0).waiting, grantOf(world, 0)], ['nothing to read', lanesBytesMax])
    },
  )

  scenario('a claim that is refused is told, and tried again after a backoff that grows', async (world) => {
    world.rebalance('assign', [0])
    await answer(world, 'topics')
    await refuse(world, 'claim')
    assert.deepEqual(world.told, [['waiting', 0, 'claim failed', 0]])
    for (let attempt = 1; attempt <= 3; attempt++) {
      pass(world, 0)
      await answer(world, 'topics')
      const before = performance.now()
      await refuse(world, 'claim')
      const { error, until } = laneOf(world, 0).lastFailure!
      assert.equal(error.message, 'claim failed')
      assert(until! >= before + backoffMs && until! <= performance.now() + backoffMs)
      pass(world, backoffMs - 1)
      await turn()
      assert.deepEqual(asks(world), [], 'nobody is asked before the backoff has passed')
      pass(world, 1)
    }
    assert.deepEqual(told(world, 'waiting').slice(1), Array(3).fill(['waiting', 0, 'claim failed', backoffMs]))
    assert.deepEqual(world.attempts, [1, 2, 3])
  })

  scenario('a claim whose answer comes when the partition is being taken away begins nothing', async (world) => {
    await fenced(world, 0)
    assert.equal(laneOf(world, 0).waiting, 'claim')
    pass(world, 0)
    await answer(world, 'topics')
    assert.deepEqual(asks(world), ['claim'])
    world.rebalance('revoke', [0])
    await answer(world)
    assert.deepEqual([told(world, 'started').length, world.unanswered.length], [1, 0])
  })

  scenario('a partition that is taken away before it is claimed anew is not claimed', async (world) => {
    await fenced(world, 0)
    pass(world, 0)
    await turn()
    assert.deepEqual(asks(world), ['topics'])
    world.rebalance('revoke', [0])
    await answer(world, 'topics', 'commit')
    assert.deepEqual(asks(world), [])
    assert.deepEqual(told(world, 'revoked').length, 1)
  })

  describe('taking away', () => {
    scenario(
      'a load that does not end is waited for until the deadline, and its end changes nothing then',
      async (world) => {
        await assigned(world, 0)
        await loading(world, 0)
        world.rebalance('revoke', [0])
        await turn()
        pass(world, drainMs - 1)
        await turn()
        assert.equal(world.unanswered.length, 1)
        pass(world, 1)
        await answer(world, 'commit')
        assert.deepEqual(told(world, 'revoked'), [['revoked', [0], 'deadline']])
        await answer(world)
        assert.equal(world.places[0]!.committed, undefined)
      },
    )

    scenario('of what is lost nothing is committed, not even what is durable', async (world) => {
      await assigned(world, 0)
      await written(world, 0)
      world.rebalance('revoke', [0], true)
      await answer(world)
      assert.deepEqual(told(world, 'revoked'), [['revoked', [0], 'lost']])
      assert.equal(world.places[0]!.committed, undefined)
    })

    scenario(
      'what is lost is given up at once: no load is waited for, and what is buffered is not written',
      async (world) => {
        await assigned(world, 0)
        await loading(world, 0)
        await loading(world, 0)
        world.rebalance('revoke', [0], true)
        await turn()
        assert.deepEqual([world.unanswered.length, world.lanes.size], [0, 0])
        await answer(world)
        assert.equal(world.books.written, 5)
      },
    )

    scenario('what the group gave away while a load was waited for is lost too', async (world) => {
      await assigned(world, 0)
      await loading(world, 0)
      world.rebalance('revoke', [0])
      await turn()
      world.lost = true
      await answer(world)
      assert.deepEqual(told(world, 'revoked'), [['revoked', [0], 'lost']])
      assert.equal(world.places[0]!.committed, undefined)
    })

    scenario('a load is waited for no more once the group gave its partition away', async (world) => {
      await assigned(world, 0)
      await loading(world, 0)
      world.rebalance('revoke', [0])
      await turn()
      world.assignment.heedLoss()
      await turn()
      assert.equal(world.unanswered.length, 1, 'ours still')
      world.lost = true
      world.assignment.heedLoss()
      await turn()
      assert.equal(world.unanswered.length, 0)
      assert.deepEqual(told(world, 'revoked'), [['revoked', [0], 'lost']])
    })

    scenario('a commit that the broker does not answer holds the group up for 5 s', async (world) => {
      await assigned(world, 0)
      await written(world, 0)
      world.rebalance('revoke', [0])
      await turn()
      pass(world, 4_999)
      await turn()
      assert.equal(world.unanswered.length, 1)
      pass(world, 1)
      await turn()
      assert.equal(world.unanswered.length, 0)
    })
  })

  describe('shutdown', () => {
    /** What the shutdown answered; undefined while it has not. */
    const closing = (world: GroupWorld) => {
      const end: { clean?: boolean } = {}
      world.close()
      void world.closing!.then((clean) => (end.clean = clean))
      return end
    }

    scenario('is clean when all that is buffered was written and committed', async (world) => {
      await assigned(world, 0, 1)
      await loading(world, 0)
      const end = closing(world)
      await turn()
      assert.equal(end.clean, undefined)
      await answer(world)
      assert.deepEqual([end.clean, world.places[0]!.committed, world.lanes.size], [true, 5, 0])
    })

    scenario('is not when a load has not ended by the deadline', async (world) => {
      await assigned(world, 0)
      await loading(world, 0)
      const end = closing(world)
      pass(world, drainMs)
      await answer(world, 'commit')
      assert.equal(end.clean, false)
    })

    scenario('is not when the broker refuses the commit', async (world) => {
      await assigned(world, 0)
      await written(world, 0)
      const end = closing(world)
      await refuse(world, 'commit')
      await answer(world)
      assert.equal(end.clean, false)
    })

    scenario('is not when the broker does not answer the commit', async (world) => {
      await assigned(world, 0)
      await written(world, 0)
      const end = closing(world)
      await turn()
      pass(world, 5_000)
      await turn()
      assert.equal(end.clean, false)
    })

    scenario('is not, and commits nothing, when the group has given the partitions away', async (world) => {
      await assigned(world, 0)
      await written(world, 0)
      world.lost = true
      const end = closing(world)
      await answer(world)
      assert.deepEqual([end.clean, world.places[0]!.committed], [false, undefined])
    })

    scenario('ends after the rebalance that it fell into, which is answered with no partition', async (world) => {
      world.rebalance('assign', [0])
      await answer(world, 'topics')
      const end = closing(world)
      await turn()
      assert.deepEqual([end.clean, world.unanswered.length], [undefined, 1])
      pass(world, 5_000)
      await turn()
      assert.deepEqual(
        [end.clean, world.unanswered.length, world.lanes.size, world.places[0]!.assigned],
        [true, 0, 0, false],
      )
    })
  })

  describe('a log that is not what it was', () => {
    /** Written up to 5, and then retention takes what lies below 20. */
    const expired = async (world: GroupWorld) => {
      await assigned(world, 0, 1)
      await written(world, 0)
      world.produce(0, 0, 25)
      world.expire(0, 20)
    }
    const refused = async (world: GroupWorld) => {
      await expired(world)
      world.haltReading(0)
      await settleDoubts(world)
    }

    scenario(
      'a fetch was refused: the lane stands still, tells the gap, and leaves its memory to the others',
      async (world) => {
        await refused(world)
        assert.deepEqual(world.told.slice(2), [
          ['gap', 0, 'expired', 0],
          ['stopped', 0],
        ])
        assert.match(laneOf(world, 0).stopReason!.message, /^t\/0: records \[5, 20\) are gone/)
        assert.deepEqual([grantOf(world, 0), grantOf(world, 1)], [undefined, lanesBytesMax])
      },
    )

    scenario(
      'a fetch was refused, and the rule is to skip: the partition is taken again from the first record there is',
      async (world) => {
        await refused(world)
        assert.deepEqual(world.told.slice(2), [
          ['gap', 0, 'expired', 15],
          ['started', 0, 5],
        ])
        assert.deepEqual([laneOf(world, 0).watermark, grantOf(world, 0)], [20, lanesBytesMax / 2])
        world.deliver(0, 10)
        await answer(world)
        assert.deepEqual(world.places[0]!.rows, [0, 1, 2, 3, 4, ...world.places[0]!.log])
        // Once taken again it can be rewound like any other.
        world.assignment.doubt(laneOf(world, 0), false)
        await settleDoubts(world)
        assert.deepEqual(told(world, 'started').at(-1), ['started', 0, 30])
      },
      'skip',
    )

    scenario('a gap is found when a partition is assigned: it stands still and the others begin', async (world) => {
      await expired(world)
      world.rebalance('revoke', [0, 1])
      await answer(world)
      const before = world.told.length
      await assigned(world, 0, 1)
      assert.deepEqual(world.told.slice(before), [
        ['gap', 0, 'expired', 0],
        ['stopped', 0],
        ['started', 1, undefined],
      ])
      assert.deepEqual([laneOf(world, 0).waiting, grantOf(world, 1)], ['operator', lanesBytesMax])
    })

    scenario('what a doubted lane holds is written first, and its doubt outlives the load', async (world) => {
      await assigned(world, 0)
      await loading(world, 0)
      world.produce(0, 0, 5)
      world.deliver(0, 5)
      world.assignment.doubt(laneOf(world, 0), false)
      for (const what of ['load', 'written'] as const) {
        pass(world, 0)
        await turn()
        assert.equal(laneOf(world, 0).waiting, 'load')
        takeAll(world, (question) => question.what === what).forEach(({ answer }) => answer())
        world.assignment.settleDoubts()
      }
      assert.equal(told(world, 'started').length, 1)
      await answer(world)
      pass(world, 0)
      await turn()
      assert.equal(laneOf(world, 0).waiting, 'claim')
      pass(world, 0)
      await answer(world)
      assert.deepEqual(told(world, 'started'), [
        ['started', 0, undefined],
        ['started', 0, 10],
      ])
      assert.deepEqual(world.places[0]!.rows, world.places[0]!.log)
    })

    scenario('a doubted lane that is being taken away, or stands still, is not begun anew', async (world) => {
      await assigned(world, 0, 1)
      await written(world, 0)
      for (const partition of [0, 1]) world.assignment.doubt(laneOf(world, partition), false)
      laneOf(world, 1).stop(new Error('no'))
      world.rebalance('revoke', [0])
      await turn()
      world.assignment.settleDoubts()
      assert.deepEqual([laneOf(world, 0).waiting, laneOf(world, 1).waiting], ['nothing to read', 'operator'])
      pass(world, 0)
      await answer(world)
      assert.equal(told(world, 'started').length, 2)
    })

    scenario('a topic that was made anew is found by its id, and its lanes stand still', async (world) => {
      const compare = async () => {
        const compared = world.assignment.compareTopics()
        await answer(world, 'topics')
        await compared
        await settleDoubts(world)
      }
      await assigned(world, 0)
      await written(world, 0)
      await compare()
      world.topicId = undefined
      await compare()
      assert.equal(world.told.length, 1, 'the same id, or none, is no other')
      world.topicId = 'another'
      await compare()
      assert.deepEqual(world.told.slice(1), [
        ['gap', 0, 'made anew', 0],
        ['stopped', 0],
      ])
      const { length } = world.told
      await compare()
      assert.equal(world.told.length, length, 'what stands still is not looked at')
    })
  })
})
