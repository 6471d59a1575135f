import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { LogGapError } from '../../src/errors.ts'
import { Books } from '../../src/lanes/books.ts'
import { findStarts } from '../../src/lanes/lane-starts.ts'
import type { Start, StartSources } from '../../src/lanes/lane-starts.ts'
import { Lane } from '../../src/lanes/lane.ts'

interface World {
  /** The offsets that the group has committed, by partition; there are as many partitions as entries. */
  readonly committed?: readonly (number | undefined)[]
  /** What the sink says to a claim of any partition. */
  readonly position?: number | null
  readonly formerPosition?: number
  readonly log?: { start: number; end: number }
  readonly startAt?: StartSources['startAt']
  readonly onGap?: StartSources['onGap']
  /** A lane that flowed before: where it stood, and the id that its topic had. */
  readonly stood?: number
  readonly topicIdBefore?: string
}

const laneOf = (topic: string, partition: number) => new Lane(topic, partition, `route of ${topic}`, new Books())

/** What was asked of the sinks and the group, beside where the lanes begin. */
async function ask(lanes: readonly Lane[], world: World) {
  const { committed = [undefined], position = null, formerPosition, log = { start: 0, end: 100 } } = world
  const asked = { claims: [] as unknown[], committed: [] as unknown[] }
  const sources: StartSources = {
    describeTopics: (names) =>
      Promise.resolve(names.map((name) => ({ name, id: `id of ${name}`, partitions: committed.length }))),
    claim: (route, partitions) => {
      asked.claims.push({ route, partitions })
      return Promise.resolve(
        partitions.map((each) => ({ ...each, epoch: 10 + each.partition, position, formerPosition })),
      )
    },
    member: {
      committed: (partitions) => {
        asked.committed.push(partitions)
        return Promise.resolve(partitions.map(({ partition }) => committed[partition]))
      },
      logRange: () => Promise.resolve(log),
    },
    startAt: world.startAt ?? 'earliest',
    onGap: world.onGap ?? 'stop',
  }
  const starts = await findStarts(lanes, sources, { get: () => world.topicIdBefore })
  return { starts: lanes.map((lane) => starts.get(lane)!), asked }
}

const cases: (World & { name: string; begins: Partial<Start> })[] = [
  {
    name: 'the position of the sink goes before what the group committed',
    position: 70,
    committed: [60],
    begins: { offset: 70, from: 'sink' },
  },
  { name: 'a sink that stands at 0 has a position', position: 0, committed: [60], begins: { offset: 0, from: 'sink' } },
  { name: 'without one the group says', committed: [60], begins: { offset: 60, from: 'group' } },
  {
    name: 'an offset of 0 that the group committed counts, whatever startAt says',
    committed: [0],
    startAt: 'latest',
    begins: { offset: 0, from: 'group' },
  },
  {
    name: 'a lane that flowed goes on where it stood, for the group may not have heard of it yet',
    stood: 80,
    committed: [60],
    begins: { offset: 80, from: 'group' },
  },
  { name: 'but the sink knows better where it stood', stood: 80, position: 70, begins: { offset: 70, from: 'sink' } },
  {
    name: 'nobody has read it: from the beginning of the log, wherever that lies',
    begins: { offset: undefined, from: 'config' },
  },
  {
    name: 'nobody has read it, and startAt is latest: from the end that the log has now',
    startAt: 'latest',
    begins: { offset: 100, from: 'config' },
  },
  {
    name: 'a partition added to a topic that is read begins at its first record, startAt latest or not',
    startAt: 'latest',
    committed: [undefined, 40],
    begins: { offset: undefined, from: 'config' },
  },
  {
    name: 'its topic still has the id that it had',
    stood: 80,
    topicIdBefore: 'id of t',
    begins: { offset: 80, from: 'group' },
  },
  {
    name: 'records are gone, and are skipped by the rule',
    position: 20,
    log: { start: 50, end: 80 },
    onGap: 'skip',
    begins: {
      offset: 20,
      from: 'sink',
      gap: {
        found: { kind: 'expired', position: 20, of: 'sink', log: { start: 50, end: 80 } },
        lost: 30,
        readFrom: 50,
      },
    },
  },
  {
    name: 'the topic was made anew, says the sink, and is read from its beginning by the rule',
    formerPosition: 90,
    committed: [60],
    onGap: 'earliest',
    begins: {
      offset: undefined,
      from: 'group',
      gap: {
        found: { kind: 'made anew', position: 90, of: 'sink', log: { start: 0, end: 100 } },
        lost: 0,
        readFrom: 0,
      },
    },
  },
  {
    name: 'the topic was made anew while the lane flowed, and the group has an offset of the former one',
    stood: 80,
    committed: [60],
    topicIdBefore: 'another id',
    onGap: 'earliest',
    begins: {
      offset: undefined,
      from: 'group',
      gap: {
        found: { kind: 'made anew', position: 80, of: 'group', log: { start: 0, end: 100 } },
        lost: 0,
        readFrom: 0,
      },
    },
  },
  {
    name: 'the topic was made anew, but the sink has a position in it by now',
    position: 30,
    stood: 80,
    topicIdBefore: 'another id',
    begins: { offset: 30, from: 'sink' },
  },
  {
    name: 'the log ends below what the group committed, and is read from its beginning by the rule',
    committed: [120],
    onGap: 'earliest',
    begins: {
      offset: 0,
      from: 'group',
      gap: {
        found: { kind: 'cut off', position: 120, of: 'group', log: { start: 0, end: 100 } },
        lost: 0,
        readFrom: 0,
      },
    },
  },
]

describe('where a lane begins', () => {
  for (const { name, begins, ...world } of cases) {
    test(name, async () => {
      const lane = laneOf('t', 0)
      if (world.stood !== undefined) lane.start(1, world.stood)
      const { starts } = await ask([lane], world)
      assert.deepEqual(starts, [{ epoch: 10, topicId: 'id of t', gap: undefined, ...begins }])
    })
  }

  const standstills: (World & { name: string; says: RegExp })[] = [
    { name: 'records are gone', position: 20, log: { start: 50, end: 80 }, says: /^t\/0: records \[20, 50\) are gone/ },
    {
      name: 'the topic was made anew',
      formerPosition: 90,
      says: /^t\/0: the topic was deleted and made anew: position 90 \(of the sink\)/,
    },
    {
      name: 'the topic was made anew since the lane began',
      stood: 80,
      topicIdBefore: 'another id',
      says: /made anew: position 80 \(of the group\)/,
    },
    { name: 'the log ends below', committed: [120], says: /^t\/0: the log was cut off: position 120 \(of the group\)/ },
  ]
  for (const { name, says, ...world } of standstills) {
    test(`${name}, and the rule is to stop: the lane stands still and says why`, async () => {
      const lane = laneOf('t', 0)
      if (world.stood !== undefined) lane.start(1, world.stood)
      const { starts } = await ask([lane], world)
      const { gap } = starts[0]! as { gap: { error: Error } }
      assert(gap.error instanceof LogGapError)
      assert.match(gap.error.message, says)
    })
  }

  test('each route claims its own partitions at once, and the group is asked only for those without a position', async () => {
    const lanes = [laneOf('t', 0), laneOf('u', 1), laneOf('t', 2)]
    const { starts, asked } = await ask(lanes, { committed: [5, 6, 7] })
    assert.deepEqual(
      starts.map((start) => [(start as Start).epoch, (start as Start).offset]),
      [
        [10, 5],
        [11, 6],
        [12, 7],
      ],
    )
    const wanted = (topic: string, partition: number) => ({
      route: `route of ${topic}`,
      topic,
      partition,
      topicId: `id of ${topic}`,
    })
    assert.deepEqual(asked.claims, [
      { route: 'route of t', partitions: [wanted('t', 0), wanted('t', 2)] },
      { route: 'route of u', partitions: [wanted('u', 1)] },
    ])
    assert.deepEqual((await ask(lanes, { position: 1, committed: [5, 6, 7] })).asked.committed, [[], []])
  })
})
