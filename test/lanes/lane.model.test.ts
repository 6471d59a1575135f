import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Books } from '../../src/lanes/books.ts'
import { Lane } from '../../src/lanes/lane.ts'
import type { LanePart, LaneSlab } from '../../src/lanes/lane.ts'

const runs = Number(process.env['MILLRACE_TEST_RUNS'] ?? 2_000)
const bytesPerRecord = 10
const noCounts = { rows: 0, deduplicated: 0, deadLettered: 0, skipped: 0 }

/** A lane as a list of offsets: no slabs, no bytes, and each record has one place at a time. */
interface Model {
  state: 'claiming' | 'flowing' | 'stopped' | 'closed'
  /** Where the log is read next. */
  readAt: number
  base: number | undefined
  watermark: number | undefined
  waiting: number[]
  inFlight: number[] | undefined
  /** Of the range in flight, or put back: dead letters that are stored. */
  deadLettered: number[]
  draining: boolean
  drained: boolean
  read: number
  written: number
  givenUp: number
}

interface Real {
  readonly lane: Lane
  readonly books: Books
  part: LanePart | undefined
  drained: boolean
}

class Act implements fc.Command<Model, Real> {
  readonly #name: string
  readonly #possible: (model: Readonly<Model>) => boolean
  readonly #act: (model: Model, real: Real) => void

  constructor(name: string, possible: (model: Readonly<Model>) => boolean, act: (model: Model, real: Real) => void) {
    this.#name = name
    this.#possible = possible
    this.#act = act
  }
  check(model: Readonly<Model>): boolean {
    return this.#possible(model)
  }
  run(model: Model, real: Real): void {
    this.#act(model, real)
    if (model.draining && !model.inFlight && (model.waiting.length === 0 || model.state !== 'flowing'))
      model.drained = true
    if (model.state === 'closed') model.drained = true
    compare(model, real)
  }
  toString(): string {
    return this.#name
  }
}

function compare(model: Model, { lane, books, part }: Real): void {
  assert.equal(lane.bufferedRecords, model.waiting.length)
  assert.equal(lane.bufferedBytes, model.waiting.length * bytesPerRecord)
  assert.equal(lane.inFlightRecords, model.inFlight?.length ?? 0)
  assert.equal(lane.inFlightBytes, (model.inFlight?.length ?? 0) * bytesPerRecord)
  assert.equal(lane.watermark, model.watermark)
  assert.equal(lane.closed, model.state === 'closed')
  assert.equal(lane.ready, model.state === 'flowing' && !model.inFlight && model.waiting.length > 0)
  if (model.state !== 'closed') assert.equal(lane.stopReason !== undefined, model.state === 'stopped')
  assert.equal(lane.oldestAt === undefined, model.waiting.length === 0)
  const { read, written, givenUp } = model
  assert.deepEqual({ ...books }, { ...new Books(), read, written, givenUp, inFlight: read - written - givenUp })
  assert(books.balanced)
  if (part && model.inFlight) assert.deepEqual([part.records, part.base], [model.inFlight.length, model.base])
}

const drop = (model: Model, records: readonly number[]) => void (model.givenUp += records.length)
const loseWaiting = (model: Model) => drop(model, model.waiting.splice(0))
const loadEnds = (real: Real, model: Model) => {
  const records = model.inFlight!
  model.inFlight = undefined
  real.part = undefined
  return records
}
const loading = ({ inFlight }: Readonly<Model>) => inFlight !== undefined

const slabOf = (offsets: readonly number[]): LaneSlab => ({
  buffer: new ArrayBuffer(offsets.length * bytesPerRecord),
  records: offsets.length,
  first: offsets[0]!,
  next: offsets.at(-1)! + 1,
})

const settleAs = (name: string, howMany: (records: number) => number, ahead = 0) =>
  new Act(name, loading, (model, real) => {
    const { base, next } = real.part!
    const records = loadEnds(real, model)
    const written = records.slice(0, howMany(records.length))
    const to = written.length === records.length ? next + ahead : (written.at(-1) ?? base - 1) + 1
    real.lane.settle(to, { ...noCounts, rows: written.length })
    model.written += written.length
    drop(model, records.slice(written.length))
    if (model.state === 'closed') return
    model.deadLettered = model.deadLettered.filter((offset) => offset >= to)
    model.watermark = Math.max(model.watermark ?? to, to)
    model.base = to
    if (ahead > 0 || written.length < records.length) stopOrClaim(model, real, ahead > 0)
  })

/** What follows in the same breath: a load that ended short stops the lane, one that was overtaken claims it anew. */
function stopOrClaim(model: Model, { lane }: Real, claims: boolean): void {
  if (claims && model.state === 'stopped') return
  loseWaiting(model)
  if (claims) lane.reclaim()
  else lane.stop(new Error('poison'))
  model.deadLettered = claims ? [] : model.deadLettered
  model.state = claims ? 'claiming' : 'stopped'
}

/** What goes on for as long as nothing happens to the lane. */
const ordinary = [
  fc.tuple(fc.nat(2), fc.integer({ min: 1, max: 5 })).map(
    ([hole, count]) =>
      new Act(
        `push ${count} after ${hole}`,
        ({ draining }) => !draining,
        (model, { lane }) => {
          const offsets = Array.from({ length: count }, (_, index) => model.readAt + hole + index)
          lane.push(slabOf(offsets), 7)
          if (model.state !== 'flowing') return
          model.readAt = offsets.at(-1)! + 1
          model.base ??= offsets[0]!
          model.waiting.push(...offsets)
          model.read += count
        },
      ),
  ),
  fc.tuple(fc.nat(80), fc.nat(8)).map(
    ([bytes, records]) =>
      new Act(
        `take ${bytes} bytes, ${records} records`,
        (model) => model.state === 'flowing' && !model.inFlight && model.waiting.length > 0,
        (model, real) => {
          const part = real.lane.take(bytes, records)
          real.part = part
          model.inFlight = model.waiting.splice(0, part.records)
          assert(part.slabs.length === 1 || (part.bytes <= bytes && part.records <= records), 'within the limits')
          assert.equal(part.next, model.inFlight.at(-1)! + 1)
          assert.equal(part.arrivedAt, 7)
          assert.deepEqual(part.deadLettered, model.deadLettered)
        },
      ),
  ),
  fc.constant(settleAs('all durable', (records) => records)),
  fc.boolean().map(
    (letter) =>
      new Act(`put back${letter ? ' with a dead letter' : ''}`, loading, (model, real) => {
        const { slabs, base } = real.part!
        const records = loadEnds(real, model)
        const letters = letter ? [records[0]!] : []
        real.lane.putBack(slabs, letters)
        if (model.state !== 'flowing') return drop(model, records)
        model.deadLettered = [...model.deadLettered, ...letters]
        model.waiting.unshift(...records)
        model.base = base
      }),
  ),
  fc.option(fc.nat(50), { nil: undefined }).map(
    (position) =>
      new Act(
        `start at ${position}`,
        ({ state }) => state === 'claiming',
        (model, { lane }) => {
          lane.start(3, position)
          assert.equal(lane.epoch, 3)
          Object.assign(model, { state: 'flowing', base: position, watermark: position, readAt: position ?? 0 })
        },
      ),
  ),
]

/** A closed lane stays closed, so such acts are rare among the others. */
const incisive = [
  fc.constant(settleAs('durable beyond', (records) => records, 3)),
  fc.nat(3).map((count) => settleAs(`${count} durable, then stopped`, (records) => Math.min(count, records - 1))),
  fc.constant(
    new Act('lost with its worker', loading, (model, real) => {
      drop(model, loadEnds(real, model))
      real.lane.abandon()
      real.lane.reclaim()
      if (model.state === 'closed' || model.state === 'stopped') return
      loseWaiting(model)
      Object.assign(model, { state: 'claiming', deadLettered: [] })
    }),
  ),
  fc.constant(
    new Act(
      'stop',
      () => true,
      (model, { lane }) => {
        lane.stop(new Error('no'))
        if (model.state === 'closed') return
        loseWaiting(model)
        model.state = 'stopped'
      },
    ),
  ),
  fc.constant(
    new Act(
      'close',
      () => true,
      (model, { lane }) => {
        lane.close()
        loseWaiting(model)
        model.state = 'closed'
      },
    ),
  ),
  fc.nat(9).map(
    (recordsMax) =>
      new Act(
        `drain to ${recordsMax}`,
        () => true,
        (model, real) => {
          void real.lane.drain('revoke', Infinity, recordsMax).then(() => (real.drained = true))
          // Whole slabs stay, from the head, and always one.
          const kept = model.waiting.splice(0, real.lane.bufferedRecords)
          assert(kept.length > 0 || model.waiting.length === 0)
          drop(model, model.waiting)
          model.waiting = kept
          model.draining = true
        },
      ),
  ),
  fc.nat(60).map(
    (position) =>
      new Act(
        `skip to ${position}`,
        (model) => position >= model.readAt,
        (model, { lane }) => {
          lane.skipTo(position)
          if (model.state !== 'flowing' || model.inFlight || model.waiting.length > 0) return
          if (position > (model.watermark ?? model.base ?? 0)) model.watermark = position
          model.readAt = position
        },
      ),
  ),
]

test('a lane does what a list of offsets does, whatever happens to it and in whatever order', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.commands([...ordinary, ...ordinary, ...ordinary, ...incisive], { maxCommands: 60, size: 'max' }),
      async (commands) => {
        const books = new Books()
        const model: Model = {
          state: 'claiming',
          readAt: 0,
          base: undefined,
          watermark: undefined,
          waiting: [],
          inFlight: undefined,
          deadLettered: [],
          draining: false,
          drained: false,
          read: 0,
          written: 0,
          givenUp: 0,
        }
        const real: Real = { lane: new Lane('t', 0, 'r', books), books, part: undefined, drained: false }
        fc.modelRun(() => ({ model, real }), commands)
        await Promise.resolve()
        if (model.draining) assert.equal(real.drained, model.drained, 'a drain ends when nothing is left to wait for')
      },
    ),
    { numRuns: runs, includeErrorInReport: true },
  )
})
