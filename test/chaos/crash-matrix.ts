import assert from 'node:assert/strict'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type { FailPlace } from '../../src/fail-points.ts'
import { uniqueName } from '../support/kafka-broker.ts'
import type { SharedKafkaBroker } from '../support/kafka-broker.ts'
import { createTopics, drained, endOffsets, judge, plainPartitions } from './chaos-run.ts'
import { faults } from './checker.ts'
import { Generator } from './generator.ts'
import { GuestMember } from './guest-member.ts'
import { MillraceTarget } from './millrace-target.ts'
import { Sampler } from './sampler.ts'
import type { Store } from './store.ts'
import type { Target } from './target.ts'
import { nameTopics, sourceTopics } from './topics.ts'
import type { Topics } from './topics.ts'

/** Where a cell's failure is, how it shows, and at which hit of the place. */
export interface Cell {
  readonly place: FailPlace
  readonly action: 'kill' | 'throw' | 'delay:1500'
  readonly hit: number
}

const records = 3000
const loadRecordsMax = 200
const firedWithinMs = 60_000
const drainedWithinMs = 90_000

/** One log for all cells: rows, poison, tombstones, transactions with aborts. */
export interface MatrixLog {
  readonly broker: SharedKafkaBroker
  readonly topics: Topics
  readonly generator: Generator
}

export async function writeMatrixLog(broker: SharedKafkaBroker): Promise<MatrixLog> {
  const topics = nameTopics()
  await createTopics(broker, topics)
  const { bootstrap } = broker
  const generator = await Generator.start({
    bootstrap,
    topics,
    encoding: 'protobuf',
    seed: 3,
    partitions: plainPartitions,
  })
  await generator.burst(records)
  generator.run(500)
  await pause(1000)
  await generator.stop()
  return { broker, topics, generator }
}

/** The hit at which a place fails: in the middle of things. */
const hits: Partial<Record<FailPlace, number>> = {
  'after-poll': 25,
  'worker-before-write': 3,
  'after-write-before-sink-commit': 3,
  'after-sink-commit-before-reply': 3,
  'after-reply-before-watermark': 3,
  'before-dispatch': 3,
  'before-offset-commit': 2,
  'after-offset-commit': 2,
}

export const cellOf = (place: FailPlace, action: Cell['action']): Cell => ({ place, action, hit: hits[place] ?? 1 })

/**
 * A daemon that fails at the cell's place, is started again if that ended it, and reads the log to its end. Throws unless the
 * failure happened and every record then has its one fate.
 */
export async function runCell(
  { broker, topics: shared, generator }: MatrixLog,
  cell: Cell,
  store: Store,
  folder: string,
) {
  const name = `${cell.place}-${cell.action.replace(':', '-')}`
  const own = join(folder, name)
  mkdirSync(own, { recursive: true })
  const topics = { ...shared, dead: uniqueName('dead') }
  await broker.createTopic(topics.dead, 1)
  const group = uniqueName('matrix')
  const { bootstrap } = broker
  const target = new MillraceTarget({ folder: own, bootstrap, group, topics, sink: store.place, loadRecordsMax })
  const sampler = await Sampler.start(bootstrap, group, store, topics, () => plainPartitions)
  try {
    await target.start(0, cell)
    await provoke(cell.place, target, sampler, () => GuestMember.join(bootstrap, group, sourceTopics(topics)))
    assert.deepEqual(target.told().ownFaultsFired, { [cell.place]: 1 }, `${name} never happened:\n${target.output()}`)
    const stuck = await drained(sampler, () => endOffsets(broker, topics), drainedWithinMs)
    assert.deepEqual(stuck, [], target.output())
    const output = target.output()
    await target.stop(0)
    const verdict = await judge({ store, broker, topics, target, generator, sampler }, own)
    assert.equal(faults(verdict), 0, `${JSON.stringify(verdict, null, 1)}\n${output}`)
    assert.ok(verdict.rows > records / 2 && verdict.deadLetters > 0)
  } finally {
    for (const member of target.running()) await target.kill(member)
    await sampler.stop()
  }
}

/** Brings about what leads to the place, and waits until the daemon has failed there. */
async function provoke(place: FailPlace, target: Target, sampler: Sampler, join: () => Promise<GuestMember>) {
  const deadline = performance.now() + firedWithinMs
  const until = async (claim: () => Promise<boolean> | boolean) => {
    while (!(await claim()) && performance.now() < deadline) await pause(20)
  }
  const fired = () => until(() => target.told().ownFaultsFired[place] !== undefined)
  if (place !== 'in-revoke' && place !== 'in-drain' && place !== 'in-checkpoint') return fired()
  await until(async () => ((await sampler.progress()) ?? 0) > 0)
  if (place === 'in-revoke') {
    const guest = await join()
    await fired()
    await guest.leave()
  } else {
    await target.stop(0)
    await target.start(0)
  }
}
