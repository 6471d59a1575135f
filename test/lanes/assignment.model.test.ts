import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Failure } from './group-world.ts'
import { answerAll, inMockedTime, pass, takeAll, takeOne, turn } from './group-time.ts'
import { describeLane, drainMs, GroupWorld, lanesBytesMax, loadQuestions, partitionCount } from './group-world.ts'

// The whole rebalance machinery, with its own classes, in a world that answers late, in any order, or with an error. What must
// hold at any moment is asserted by the world; what must hold in the end, when it has calmed down, is asserted here.

const runs = Number(process.env['MILLRACE_TEST_RUNS'] ?? 500)

type Step =
  | { readonly kind: 'assign' | 'revoke' | 'lost'; readonly partitions: readonly number[] }
  | { readonly kind: 'produce'; readonly partition: number; readonly hole: number; readonly records: number }
  | { readonly kind: 'deliver' | 'elsewhere'; readonly partition: number; readonly records: number }
  | { readonly kind: 'fence' | 'loseLog' | 'haltReading'; readonly partition: number }
  | { readonly kind: 'answer'; readonly pick: number }
  | { readonly kind: 'fail'; readonly pick: number; readonly how: Failure }
  | { readonly kind: 'pass'; readonly ms: number }
  | {
      readonly kind:
        'commit' | 'lostSilently' | 'poll' | 'answerAll' | 'answerAllButLoads' | 'write' | 'poison' | 'close'
    }

const how = fc.constantFrom<Failure>('away', 'dies', 'poison')
const partition = fc.nat(partitionCount - 1)
const partitions = fc.uniqueArray(partition, { minLength: 1, maxLength: partitionCount })
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom('assign', 'revoke'), partitions }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('lost'), partitions }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('produce'),
      partition,
      hole: fc.nat(2),
      records: fc.integer({ min: 1, max: 9 }),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant('deliver'), partition, records: fc.integer({ min: 1, max: 6 }) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('elsewhere'), partition, records: fc.nat(4) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('fence', 'loseLog', 'haltReading'), partition }) },
  { weight: 12, arbitrary: fc.record({ kind: fc.constant('answer'), pick: fc.nat(9) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('fail'), pick: fc.nat(9), how }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('pass'), ms: fc.constantFrom(1, 100, 5_000, drainMs) }) },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constantFrom('commit', 'lostSilently', 'poll', 'answerAllButLoads') }),
  },
)

const times = (count: number, step: Step): Step[] => Array.from({ length: count }, () => step)
const settled = times(4, { kind: 'answerAllButLoads' })

/** A partition with a load on its way. */
const busy = (partition: number): Step[] => [
  { kind: 'assign', partitions: [partition] },
  ...settled,
  { kind: 'produce', partition, hole: 1, records: 9 },
  { kind: 'deliver', partition, records: 6 },
]

/** What chance alone seldom brings about: what a partition waits for when the group takes it away, and gives it back. */
const handOver = fc
  .record({ partition, how: fc.nat(8), write: fc.constantFrom<'write' | 'poison'>('write', 'poison') })
  .map(({ partition, how, write }): Step[] => {
    const revoke: Step = { kind: 'revoke', partitions: [partition] }
    const lost: Step = { kind: 'lost', partitions: [partition] }
    const deadline: Step = { kind: 'pass', ms: drainMs }
    const ways: Step[][] = [
      [...busy(partition), revoke, deadline, ...settled, ...busy(partition)],
      [...busy(partition), revoke, { kind: write }, deadline, ...settled, ...busy(partition), { kind: 'answerAll' }],
      [...busy(partition), lost, { kind: write }, ...busy(partition), { kind: 'answerAll' }],
      [
        ...busy(partition),
        revoke,
        { kind: 'lostSilently' },
        { kind: 'poll' },
        { kind: 'answerAll' },
        ...busy(partition),
      ],
      [...busy(partition), revoke, { kind: 'lostSilently' }, ...times(2, { kind: 'answerAll' }), ...busy(partition)],
      [...busy(partition), ...times(2, { kind: 'answerAll' }), { kind: 'commit' }, lost, { kind: 'answer', pick: 0 }],
      [...busy(partition), { kind: 'loseLog', partition }, { kind: 'fail', pick: 0, how: 'dies' }, revoke],
      [...busy(partition), { kind: 'close' }, revoke, { kind: write }, { kind: 'answerAll' }],
      [{ kind: 'assign', partitions: [partition] }, { kind: 'answer', pick: 0 }, { kind: 'close' }, ...settled],
      // Its former lane still asks where the log begins when it has a new one.
      [
        { kind: 'assign', partitions: [partition] },
        ...times(2, { kind: 'pass', ms: 5_000 }),
        ...times(3, { kind: 'answerAllButLoads' }),
        revoke,
        { kind: 'assign', partitions: [partition] },
        ...times(4, { kind: 'answer', pick: 1 }),
        { kind: 'answer', pick: 0 },
      ],
    ]
    return ways[how]!
  })
const steps = fc
  .array(fc.oneof({ weight: 8, arbitrary: step.map((each) => [each]) }, { weight: 1, arbitrary: handOver }), {
    maxLength: 40,
    size: 'max',
  })
  .map((parts) => parts.flat())

test('whatever the group, the sink and the reader do, and in whatever order they answer, each record is written once', async () => {
  await inMockedTime(async () => {
    await fc.assert(
      fc.asyncProperty(steps, async (steps) => {
        const world = new GroupWorld()
        for (const each of steps) {
          take(world, each)
          await turn()
          assert.deepEqual(world.failures, [])
          assert(world.books.balanced)
        }
        if (world.closing) await comeToAnEnd(world)
        else await calmDown(world)
        for (const [lane, then] of world.closedLanes) assert.equal(describeLane(lane), then, 'a closed lane is inert')
      }),
      { numRuns: runs, includeErrorInReport: true },
    )
  })
})

/** What the group believes to be ours once it has been answered: it revokes nothing else and assigns nothing twice. */
function ownedAfterAnswers({ places, unanswered }: GroupWorld): Set<number> {
  const owned = new Set([...places.keys()].filter((each) => places[each]!.assigned))
  for (const { kind, partitions } of unanswered) {
    for (const each of partitions) owned[kind === 'assign' ? 'add' : 'delete'](each)
  }
  return owned
}

const asked = (world: GroupWorld, what: string) => world.questions.some((question) => question.what === what)

function take(world: GroupWorld, step: Step): void {
  const owned = ownedAfterAnswers(world)
  switch (step.kind) {
    case 'assign': {
      const free = step.partitions.filter((each) => !owned.has(each))
      if (free.length > 0) world.rebalance('assign', free)
      return
    }
    case 'revoke':
    case 'lost': {
      const given = step.partitions.filter((each) => owned.has(each))
      // What is not answered yet cannot be lost: librdkafka waits for the answer first.
      const settled = world.unanswered.length === 0
      if (given.length > 0) world.rebalance('revoke', given, step.kind === 'lost' && settled)
      return
    }
    case 'lostSilently':
      // While a revoke waits for its answer the group may give up on us.
      if (world.unanswered[0]?.kind === 'revoke' && world.unanswered.length === 1 && !asked(world, 'commit')) {
        world.lost = true
      }
      return
    case 'poll':
      return world.assignment.heedLoss()
    case 'produce':
      return world.produce(step.partition, step.hole, step.records)
    case 'deliver':
      return world.deliver(step.partition, step.records)
    case 'elsewhere':
      return world.writeElsewhere(step.partition, step.records)
    case 'fence':
    case 'loseLog':
    case 'haltReading':
      return world[step.kind](step.partition)
    case 'answer':
      return takeOne(world, step.pick)?.answer()
    case 'fail':
      return takeOne(world, step.pick)?.fail(step.how)
    case 'pass':
      return pass(world, step.ms)
    case 'commit':
      if (!world.lost) void world.committer.commit()
      return
    case 'close':
      return world.close()
    case 'answerAll':
      return takeAll(world, () => true).forEach(({ answer }) => answer())
    case 'answerAllButLoads':
      return takeAll(world, ({ what }) => !loadQuestions.includes(what)).forEach(({ answer }) => answer())
    case 'write':
      return takeAll(world, ({ what }) => what === 'load').forEach(({ answer }) => answer())
    case 'poison':
      return takeAll(world, ({ what }) => what === 'load').forEach(({ fail }) => fail('poison'))
  }
}

/** Everything is answered from now on: all that is ours is written, committed, and granted its share again. */
async function calmDown(world: GroupWorld): Promise<void> {
  const done = () =>
    world.unanswered.length === 0 &&
    world.questions.length === 0 &&
    [...world.lanes].every(({ waiting, partition }) => {
      const { log, position } = world.places[partition]!
      return waiting === 'operator' || (waiting === 'nothing to read' && (position ?? 0) > (log.at(-1) ?? -1))
    })
  for (let round = 0; !done(); round++) {
    assert(round < 500, 'it comes to rest')
    await answerAll(world)
  }
  const committing = world.committer.commit()
  await answerAll(world)
  assert(await committing)
  assertExact(world)
  assert.equal(world.books.inFlight, 0)
  const grants: number[] = []
  for (const { partition, watermark, stopReason } of world.lanes) {
    if (stopReason) continue
    const { opening, position, committed } = world.places[partition]!
    assert.equal(watermark ?? 0, position ?? 0)
    // Another member may have committed where an empty log begins.
    assert.equal(committed ?? 0, watermark ?? 0)
    // Of as many lanes as share the memory: those that were stopped may keep a share.
    grants.push(opening!.grantBytes)
    assert(opening!.grantBytes >= Math.floor(lanesBytesMax / world.lanes.size), 'no grant is lost')
  }
  assert(new Set(grants).size <= 1, 'each has the same')
  assert(grants.reduce((sum, bytes) => sum + bytes, 0) <= lanesBytesMax, 'none is given twice')
}

/** After a shutdown every rebalance is answered, nothing is left, and what was promised to be written is. */
async function comeToAnEnd(world: GroupWorld): Promise<void> {
  let clean: boolean | undefined
  void world.closing!.then((answer) => (clean = answer))
  for (let round = 0; clean === undefined; round++) {
    assert(round < 500, 'it comes to an end')
    await answerAll(world)
  }
  assert.equal(world.unanswered.length, 0, 'an unanswered rebalance would hang the exit')
  assert.equal(world.lanes.size, 0)
  assertExact(world)
}

/** No row twice, none out of order, none missing below the position. */
function assertExact({ places }: GroupWorld): void {
  for (const { log, rows, position } of places) {
    assert.deepEqual(
      rows,
      log.filter((offset) => offset < (position ?? 0)),
    )
  }
}
