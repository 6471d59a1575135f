import assert from 'node:assert/strict'
import { once, EventEmitter } from 'node:events'
import { describe, mock, test } from 'node:test'
import { WorkerDiedError, WorkerError } from '../../src/errors.ts'
import { Books } from '../../src/lanes/books.ts'
import { Dispatcher } from '../../src/lanes/dispatcher.ts'
import type { LoadRunner } from '../../src/lanes/dispatcher.ts'
import { LaneSet } from '../../src/lanes/lane-set.ts'
import { Lane } from '../../src/lanes/lane.ts'
import type { LanePart, LaneSlab } from '../../src/lanes/lane.ts'
import type { LoadLimits } from '../../src/lanes/scheduler.ts'
import type { LoadResult, PartOutcome, TaskPart } from '../../src/workers/messages.ts'

const limits = { maxBytes: 1000, maxRecords: 100, lingerMs: 0 }
const refused = {
  name: 'SinkUnavailableError',
  code: 'SINK_UNAVAILABLE',
  retryable: true,
  message: 'away',
  stack: undefined,
}

/** A pool whose loads the test answers by hand, in the order they came. */
class HandRunner extends EventEmitter implements LoadRunner {
  readonly loadsMax: number
  readonly threadsShared: boolean
  readonly limits: LoadLimits
  readonly loads: {
    parts: readonly TaskPart[]
    end: (outcomes: PartOutcome[]) => void
    die: (error: Error) => void
  }[] = []

  constructor({ loadsMax = 1, threadsShared = false, ...others }: Partial<LoadRunner & LoadLimits> = {}) {
    super()
    this.loadsMax = loadsMax
    this.threadsShared = threadsShared
    this.limits = { ...limits, ...others }
  }

  load(_route: string, parts: readonly TaskPart[]): Promise<LoadResult> {
    return new Promise((resolve, reject) => {
      const end = (outcomes: PartOutcome[]) => resolve({ outcomes, decodeSeconds: 0, writeSeconds: 0 })
      this.loads.push({ parts, end, die: reject })
      this.emit('load')
    })
  }

  async next(): Promise<(typeof this.loads)[number]> {
    if (this.loads.length === 0) await once(this, 'load')
    return this.loads.shift()!
  }
}

const slab = (first: number, next: number): LaneSlab => {
  return { buffer: new ArrayBuffer((next - first) * 10), records: next - first, first, next }
}

/** Lanes of one topic, each of them of the route `r` unless `routeOf` says otherwise; all routes have one runner. */
function setUp(
  partitions: number,
  options: Partial<LoadRunner & LoadLimits> & { routeOf?: (partition: number) => string; waitMs?: number } = {},
) {
  const books = new Books()
  const lanes = new LaneSet()
  const runner = new HandRunner(options)
  const told = new EventEmitter()
  const dispatcher = new Dispatcher({
    lanes,
    runnerOf: () => runner,
    waitMs: () => options.waitMs ?? 1,
    reviveError: ({ error }) => new WorkerError(error),
    split: ({ first, next }, records) => [slab(first, first + records), slab(first + records, next)],
    events: {
      departed: (...args) => told.emit('departed', ...args),
      durable: (...args) => told.emit('durable', ...args),
      retry: (...args) => told.emit('retry', ...args),
      lost: (...args) => told.emit('lost', ...args),
      stopped: (...args) => told.emit('stopped', ...args),
      finished: (...args) => told.emit('finished', ...args),
    },
  })
  const all = Array.from({ length: partitions }, (_, partition) => {
    const lane = new Lane('t', partition, options.routeOf?.(partition) ?? 'r', books)
    lanes.add(lane)
    lane.start(1, 0)
    return lane
  })
  const push = (lane: Lane, first: number, next: number) => {
    lane.push(slab(first, next), performance.now())
    dispatcher.wake()
  }
  return { books, lanes, runner, told, dispatcher, all, push }
}

const durable = (part: TaskPart): PartOutcome => ({
  kind: 'durable',
  next: part.next,
  counts: { rows: part.next - part.base, deduplicated: 0, deadLettered: 0, skipped: 0 },
})

const retried = ({ slabs }: TaskPart): PartOutcome => ({ kind: 'retry', error: refused, slabs, deadLettered: [] })
const killed = () => new WorkerDiedError('WORKER_KILLED', 'decoding', 'ended')
/** A turn in which what is due has departed. */
const turn = () => new Promise<void>((resolve) => setImmediate(resolve))

describe('Dispatcher', () => {
  test('a runner that is held gets no load, is quiet when its last one ends, and goes on when it is released', async () => {
    const { runner, dispatcher, all, push } = setUp(1)
    const [lane] = all as [Lane]
    push(lane, 0, 5)
    const load = await runner.next()
    assert.equal(await dispatcher.hold(runner, 1), false)
    const quiet = dispatcher.hold(runner, 60_000)
    push(lane, 5, 9)
    load.end(load.parts.map(durable))
    assert.equal(await quiet, true)
    await turn()
    assert.equal(runner.loads.length, 0)
    dispatcher.release(runner)
    assert.equal((await runner.next()).parts[0]!.base, 5)
  })

  test('a load takes all ready lanes of a route, and their watermarks follow its end', async () => {
    const { runner, all, push, books } = setUp(3)
    for (const lane of all) push(lane, 0, 5)
    const load = await runner.next()
    assert.equal(load.parts.length, 3)
    assert.deepEqual(
      all.map(({ watermark }) => watermark),
      [0, 0, 0],
      'nothing is durable before its ack',
    )
    load.end(load.parts.map(durable))
    push(all[0]!, 5, 6)
    await runner.next()
    assert.deepEqual(
      all.map(({ watermark }) => watermark),
      [5, 5, 5],
    )
    assert.equal(books.written, 15)
  })

  test('a sink gets no more loads at once than its pool takes, and full lanes take turns', async () => {
    const { runner, all, push } = setUp(2)
    for (const lane of all) for (let at = 0; at < 300; at += 100) push(lane, at, at + 100)
    const served: number[] = []
    for (let round = 0; round < 6; round++) {
      const load = await runner.next()
      assert.equal(runner.loads.length, 0)
      served.push(load.parts[0]!.partition)
      load.end(load.parts.map(durable))
    }
    assert.deepEqual(served, [0, 1, 0, 1, 0, 1])
  })

  test('what the sink did not take comes again, the same range, until it does', async () => {
    const { runner, all, push, told, books } = setUp(1)
    push(all[0]!, 0, 5)
    const first = await runner.next()
    const { slabs } = first.parts[0]!
    first.end([{ kind: 'retry', error: refused, slabs, deadLettered: [3] }])
    const [, error] = (await once(told, 'retry')) as [Lane, WorkerError]
    assert.equal(error.code, 'SINK_UNAVAILABLE')
    const second = await runner.next()
    assert.deepEqual([second.parts[0]!.base, second.parts[0]!.next, second.parts[0]!.deadLettered], [0, 5, [3]])
    second.end(second.parts.map(durable))
    await once(told, 'finished')
    assert.deepEqual([all[0]!.watermark, books.written, books.balanced], [5, 5, true])
  })

  test('a dead worker loses its load: the lane is to be claimed anew', async () => {
    const { runner, all, push, told, books } = setUp(1)
    push(all[0]!, 0, 5)
    const load = await runner.next()
    load.die(new Error('worker exited with code: 1'))
    const [lane, , why] = (await once(told, 'lost')) as [Lane, unknown, string]
    assert.deepEqual([lane, why, lane.watermark, lane.inFlightRecords], [all[0], 'worker', 0, 0])
    assert.deepEqual([books.givenUp, books.balanced], [5, true])
  })

  test('a fenced lane is lost and keeps no other from being durable', async () => {
    const { runner, all, push, told } = setUp(2)
    for (const lane of all) push(lane, 0, 5)
    const load = await runner.next()
    load.end([{ kind: 'fenced' }, durable(load.parts[1]!)])
    const [lane, , why] = (await once(told, 'lost')) as [Lane, unknown, string]
    assert.deepEqual([lane.partition, why], [0, 'fenced'])
    assert.deepEqual(
      all.map(({ watermark }) => watermark),
      [0, 5],
    )
  })

  test('a stopped lane has its good records durable and goes no further', async () => {
    const { runner, all, push, told, books } = setUp(1)
    push(all[0]!, 0, 5)
    push(all[0]!, 5, 9)
    const load = await runner.next()
    const counts = { rows: 3, deduplicated: 0, deadLettered: 0, skipped: 0 }
    load.end([{ kind: 'stopped', error: { ...refused, code: 'POISON_RECORD' }, next: 3, counts }])
    await once(told, 'stopped')
    assert.deepEqual([all[0]!.watermark, all[0]!.waiting], [3, 'operator'])
    assert.deepEqual([books.written, books.givenUp, books.balanced], [3, 6, true])
  })

  test('a late end of a closed lane is counted but moves and tells nothing of it', async () => {
    const { runner, all, lanes, push, told, books } = setUp(1)
    push(all[0]!, 0, 5)
    const load = await runner.next()
    all[0]!.close()
    lanes.delete(all[0]!)
    load.end([{ kind: 'fenced' }])
    await once(told, 'finished')
    assert.deepEqual([all[0]!.watermark, books.givenUp, books.balanced], [0, 5, true])
  })

  test('a worker that dies has its load looked through: each lane alone, then smaller parts, then one record in quarantine', async () => {
    const { runner, all, told, push, books } = setUp(2)
    const pill = 37
    told.on('lost', (lane: Lane) => {
      lane.reclaim()
      lane.start(1, lane.watermark)
      push(lane, lane.watermark!, 40)
    })
    for (const lane of all) push(lane, 0, 40)
    const deaths: number[] = []
    const loads: TaskPart[][] = []
    const written = () => all.every((lane) => lane.watermark === 40)
    while (!written()) {
      const load = await runner.next()
      loads.push([...load.parts])
      const holds = load.parts.find(({ partition, base, next }) => partition === 1 && base <= pill && pill < next)
      if (holds && !holds.quarantine) {
        deaths.push(holds.next - holds.base)
        load.die(killed())
      } else {
        load.end(load.parts.map(durable))
      }
      await once(told, holds && !holds.quarantine ? 'lost' : 'finished')
      await turn()
    }
    assert.deepEqual(deaths, [40, 40, 3, 1, 1, 1])
    const quarantined = loads.flat().filter(({ quarantine }) => quarantine)
    assert.deepEqual(
      quarantined.map(({ partition, base, next, quarantine }) => [partition, base, next, quarantine?.code]),
      [[1, pill, pill + 1, 'WORKER_KILLED']],
    )
    const afterFirst = loads.slice(1, -1)
    assert.ok(
      afterFirst.every((parts) => parts.length === 1),
      'a suspect lane is loaded apart from others',
    )
    assert.equal(all[1]!.suspect, false)
    assert.ok(books.balanced)
  })

  test('a store that does not answer casts no suspicion on records', async () => {
    const { runner, all, told, push } = setUp(1)
    push(all[0]!, 0, 5)
    const load = await runner.next()
    load.die(new WorkerDiedError('WORKER_HUNG', 'writing', 'stood still'))
    await once(told, 'lost')
    assert.equal(all[0]!.suspect, false)
  })

  for (const [by, most] of [
    ['bytes', { maxRecords: 1_000 }],
    ['records', { maxBytes: 10_000 }],
  ] as const) {
    test(`a load of several lanes keeps within its limit of ${by}: the last one gives what still fits`, async () => {
      const { runner, all, lanes, dispatcher, told } = setUp(2, most)
      for (const lane of all) for (let at = 0; at < 60; at += 20) lane.push(slab(at, at + 20), 0)
      dispatcher.wake()
      const [route, reason, parts] = (await once(told, 'departed')) as [string, string, LanePart[]]
      assert.deepEqual([route, reason, parts.map(({ records }) => records)], ['r', by, [60, 40]])
      assert.equal(lanes.bufferedBytes, 1200)
      assert.deepEqual(
        (await runner.next()).parts.map(({ next }) => next),
        [60, 40],
      )
    })
  }

  test('what is not due leaves when it has waited long enough, unless the dispatcher is stopped', async () => {
    mock.timers.enable({ apis: ['setTimeout'] })
    try {
      const { all, dispatcher, lanes, push } = setUp(1, { lingerMs: 60_000 })
      let looked = 0
      lanes[Symbol.iterator] = () => (looked++, all.values())
      push(all[0]!, 0, 5)
      await turn()
      mock.timers.tick(59_000)
      assert.equal(looked, 1)
      mock.timers.tick(1_000)
      assert.equal(looked, 2)
      dispatcher.stop()
      mock.timers.tick(120_000)
      assert.equal(looked, 2)
    } finally {
      mock.timers.reset()
    }
  })

  test('a hold is quiet at once when nothing is in flight, else when the last of several loads has ended', async () => {
    const { runner, dispatcher, all, push } = setUp(2, { loadsMax: 2 })
    assert.equal(await dispatcher.hold(runner, 60_000), true)
    assert.equal(dispatcher.busy('r'), true)
    dispatcher.release(runner)
    assert.equal(dispatcher.busy('r'), false)
    push(all[0]!, 0, 5)
    const first = await runner.next()
    push(all[1]!, 0, 5)
    const second = await runner.next()
    assert.equal(dispatcher.loadsInFlight(runner), 2)
    let quiet = false
    const held = dispatcher.hold(runner, 60_000).then(() => (quiet = true))
    first.end(first.parts.map(durable))
    await turn()
    assert.equal(quiet, false)
    second.end(second.parts.map(durable))
    await held
  })

  test('a route whose sink is away gets one load as a probe when its time has come, and then the others', async () => {
    const { runner, dispatcher, all, push, told } = setUp(2, { loadsMax: 2 })
    assert.deepEqual([dispatcher.gateState('r'), dispatcher.probing('r')], [undefined, false])
    push(all[0]!, 0, 5)
    const first = await runner.next()
    first.end(first.parts.map(retried))
    await once(told, 'finished')
    const { error, attempts, until } = dispatcher.gateState('r')!
    assert.deepEqual([(error as WorkerError).code, attempts], ['SINK_UNAVAILABLE', 1])
    assert.deepEqual([all[0]!.lastFailure!.error.message, all[0]!.lastFailure!.until], ['away', until])
    const probe = await runner.next()
    push(all[1]!, 0, 5)
    await turn()
    assert.deepEqual([dispatcher.probing('r'), runner.loads.length], [true, 0])
    probe.end(probe.parts.map(durable))
    assert.equal((await runner.next()).parts[0]!.partition, 1)
    assert.deepEqual([dispatcher.gateState('r'), dispatcher.probing('r')], [undefined, false])
  })

  test('a load from before an outage that fails after it is tried again, and the route stays open', async () => {
    const { runner, dispatcher, all, push, told } = setUp(2, { loadsMax: 2 })
    push(all[0]!, 0, 5)
    const early = await runner.next()
    push(all[1]!, 0, 5)
    const failing = await runner.next()
    failing.end(failing.parts.map(retried))
    const probe = await runner.next()
    probe.end(probe.parts.map(durable))
    await once(told, 'finished')
    early.end(early.parts.map(retried))
    await once(told, 'retry')
    assert.deepEqual([dispatcher.gateState('r'), all[0]!.lastFailure?.until], [undefined, undefined])
    assert.equal((await runner.next()).parts[0]!.base, 0)
  })

  test('a lane whose sink was further on is read again from there', async () => {
    const { runner, all, push, told, books } = setUp(2)
    for (const lane of all) push(lane, 0, 5)
    const load = await runner.next()
    push(all[0]!, 5, 9)
    const lost: unknown[] = []
    told.on('lost', ({ partition }: Lane, _part, why, error) => lost.push([partition, why, error]))
    load.end([{ ...durable(load.parts[0]!), next: 7 } as PartOutcome, durable(load.parts[1]!)])
    await once(told, 'finished')
    assert.deepEqual(lost, [[0, 'resync', undefined]])
    assert.deepEqual([all[0]!.watermark, all[0]!.lastFailure, books.written], [7, undefined, 10])
  })

  test('a worker that dies is remembered as what went wrong, and loses no lane that stands still or is closed', async () => {
    const { runner, all, push, told, dispatcher } = setUp(3)
    for (const lane of all) push(lane, 0, 5)
    const load = await runner.next()
    const lost: number[] = []
    told.on('lost', ({ partition }: Lane) => lost.push(partition))
    all[0]!.stop(new Error('no'))
    all[1]!.close()
    const failure = killed()
    load.die(failure)
    await once(told, 'lost')
    assert.deepEqual([lost, all[2]!.lastFailure?.error], [[2], failure])
    assert.equal(dispatcher.gateState('r')?.error, failure)
  })

  test('a death that the search for a bad record expects holds the route up no longer than the search does', async () => {
    const { runner, all, push, told, dispatcher } = setUp(2)
    told.on('lost', (lane: Lane) => {
      lane.reclaim()
      lane.start(1, lane.watermark)
    })
    for (const lane of all) push(lane, 0, 5)
    const both = await runner.next()
    both.die(killed())
    await once(told, 'lost')
    assert.notEqual(dispatcher.gateState('r'), undefined, 'of two lanes: which one is not known')
    push(all[0]!, 0, 5)
    const probe = await runner.next()
    probe.die(killed())
    await once(told, 'lost')
    assert.equal(dispatcher.gateState('r')!.attempts, 2, 'a probe that dies has not found the sink well')
    push(all[1]!, 0, 5)
    const good = await runner.next()
    good.end(good.parts.map(durable))
    await once(told, 'finished')
    push(all[0]!, 0, 5)
    const expected = await runner.next()
    expected.die(killed())
    await once(told, 'lost')
    assert.equal(dispatcher.gateState('r'), undefined)
    push(all[1]!, 5, 9)
    const unexpected = await runner.next()
    unexpected.die(killed())
    await once(told, 'lost')
    assert.notEqual(dispatcher.gateState('r'), undefined, 'of a lane that nothing was said against')
  })

  for (const threadsShared of [true, false]) {
    test(`while a lane is suspect its loads ${threadsShared ? 'go one by one where threads are shared' : 'keep no other back where each has a thread'}`, async () => {
      const routeOf = (partition: number) => (partition === 0 ? 'suspect' : 'other')
      const { runner, all, push, told } = setUp(2, { loadsMax: 2, threadsShared, routeOf })
      const [suspect, other] = all as [Lane, Lane]
      push(suspect, 0, 5)
      const load = await runner.next()
      push(other, 0, 5)
      const side = await runner.next()
      side.end(side.parts.map(durable))
      load.die(killed())
      await once(told, 'lost')
      assert.equal(suspect.suspect, true)
      suspect.reclaim()
      suspect.start(1, 0)
      push(suspect, 0, 5)
      const alone = await runner.next()
      push(other, 5, 9)
      await turn()
      assert.equal(runner.loads.length, threadsShared ? 0 : 1)
      alone.end(alone.parts.map(durable))
      assert.equal((await runner.next()).parts[0]!.base, 5)
    })
  }
})
