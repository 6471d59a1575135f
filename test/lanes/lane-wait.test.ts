import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Books } from '../../src/lanes/books.ts'
import { isStalled, laneWait } from '../../src/lanes/lane-wait.ts'
import type { LaneSurroundings, WaitReason } from '../../src/lanes/lane-wait.ts'
import { Lane } from '../../src/lanes/lane.ts'

const away = new Error('connection refused')
const quiet: LaneSurroundings = {
  gate: undefined,
  probing: false,
  busy: false,
  storing: false,
  lag: 0,
  kafka: undefined,
}
const gate = { error: away, attempts: 3, since: 100, until: 5000 }

const idle = () => {
  const lane = new Lane('readings', 7, 'readings', new Books())
  lane.start(1, 10)
  return lane
}
const buffered = () => {
  const lane = idle()
  lane.push({ buffer: new ArrayBuffer(10), records: 5, first: 12, next: 17 }, performance.now())
  return lane
}
const loaded = () => {
  const lane = buffered()
  lane.take(100, 100)
  return lane
}
const after = <T>(value: T, act: (value: T) => void): T => {
  act(value)
  return value
}

const cases: {
  name: string
  lane: () => Lane
  around?: Partial<LaneSurroundings>
  reason: WaitReason
  error?: Error
  until?: number
}[] = [
  { name: 'nothing came', lane: idle, reason: 'nothing to read' },
  {
    name: 'the broker is away, and the log has more',
    lane: idle,
    around: { lag: 3, kafka: away },
    reason: 'kafka',
    error: away,
  },
  { name: 'the broker is away, and nothing is missed', lane: idle, around: { kafka: away }, reason: 'nothing to read' },
  { name: 'a load is not due', lane: buffered, reason: 'batch' },
  { name: 'its sink has a load for each thread', lane: buffered, around: { busy: true }, reason: 'worker' },
  { name: 'its load is in a worker', lane: loaded, reason: 'sink' },
  {
    name: 'dead letters of its load are not acknowledged',
    lane: loaded,
    around: { storing: true },
    reason: 'dead letters',
  },
  { name: 'its sink is away', lane: buffered, around: { gate }, reason: 'retry', error: away, until: 5000 },
  { name: 'its sink is being tried', lane: buffered, around: { gate, probing: true }, reason: 'probe', error: away },
  { name: 'it was not claimed yet', lane: () => new Lane('readings', 7, 'readings', new Books()), reason: 'claim' },
  {
    name: 'its claim was refused',
    lane: () => after(new Lane('readings', 7, 'readings', new Books()), (lane) => lane.failed(away, 900)),
    reason: 'claim',
    error: away,
    until: 900,
  },
  {
    name: 'it stands still',
    lane: () => after(buffered(), (lane) => lane.stop(away)),
    reason: 'operator',
    error: away,
  },
  { name: 'it is drained', lane: () => after(idle(), (lane) => void lane.drain('revoke', 1, 1)), reason: 'revoke' },
  { name: 'it was closed', lane: () => after(idle(), (lane) => lane.close()), reason: 'revoke' },
]

describe('laneWait', () => {
  for (const { name, lane, around, reason, error, until } of cases) {
    test(`${name}: ${reason}`, () => {
      const wait = laneWait(lane(), { ...quiet, ...around })
      assert.deepEqual([wait.reason, wait.error, wait.until], [reason, error, until])
    })
  }

  test('an outage counts from its beginning, not from the last try', () => {
    assert.equal(laneWait(buffered(), { ...quiet, gate }).since, 100)
  })

  test('a lane tells the first record that is not durable, in a load or not', () => {
    assert.deepEqual([idle().oldestOffset, buffered().oldestOffset, loaded().oldestOffset], [undefined, 12, 12])
  })
})

describe('isStalled', () => {
  const lane = { progressedAt: 100 }
  const silent: { reason: WaitReason; lag: number | undefined; now: number; stalled: boolean }[] = [
    { reason: 'nothing to read', lag: 5, now: 62_101, stalled: true },
    { reason: 'batch', lag: 5, now: 62_101, stalled: true },
    { reason: 'nothing to read', lag: 5, now: 62_100, stalled: false },
    { reason: 'nothing to read', lag: 0, now: 99_000, stalled: false },
    { reason: 'nothing to read', lag: undefined, now: 99_000, stalled: false },
    { reason: 'retry', lag: 5, now: 99_000, stalled: false },
    { reason: 'kafka', lag: 5, now: 99_000, stalled: false },
    { reason: 'operator', lag: 5, now: 99_000, stalled: false },
  ]
  for (const { reason, lag, now, stalled } of silent) {
    test(`${reason}, lag ${lag}, after ${now} ms: ${stalled}`, () => {
      assert.equal(isStalled(lane, { reason }, lag, 2000, now), stalled)
    })
  }
})
