import { writeSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'

/**
 * Places at which a test may let the process fail, in the order of a record's way. Each lies between two steps that must not
 * be torn apart: what happens to a record when everything ends just there is what the crash matrix asks.
 */
export const failPlaces = [
  'after-poll',
  'before-dispatch',
  'worker-before-write',
  'after-write-before-sink-commit',
  'after-sink-commit-before-reply',
  'after-reply-before-watermark',
  'before-offset-commit',
  'after-offset-commit',
  'in-revoke',
  'in-drain',
  'in-dead-letter-write',
  'in-checkpoint',
] as const
export type FailPlace = (typeof failPlaces)[number]

/**
 * kill: SIGKILL to the own process. throw: an error without a name of ours. delay: waits, the thread goes on. stall: the
 * thread stands still. exit, hang, exhaust: the thread ends, stands still for ever, or fills its heap until V8 ends it.
 */
const actions = ['kill', 'throw', 'delay', 'stall', 'exit', 'hang', 'exhaust'] as const
type Action = (typeof actions)[number]

interface FailPoint {
  readonly action: Action
  readonly ms: number
  /** Fires at this hit of the thread, counted from 1, and at no other. */
  readonly hit: number
}

export interface FailPoints {
  readonly places: ReadonlyMap<FailPlace, FailPoint>
  /** What a worker does when it meets a record with this key, each time. */
  readonly marked: { readonly key: Buffer; readonly action: Action } | undefined
}

/** The variable that arms fail points, and the switch without which the daemon refuses to start with it. */
export const failPointsVariable = 'MILLRACE_FAIL_POINTS'
export const testSwitchVariable = 'MILLRACE_TEST'

/**
 * Reads `after-poll=kill@3;in-revoke=delay:2000;record=hang:KEY`: a place, an action (with milliseconds after a colon for
 * delay and stall), and the hit at which it fires, 1 by default; `record` names the key of a record instead. Throws an
 * Error that names the part it cannot read.
 */
export function parseFailPoints(text: string): FailPoints {
  const places = new Map<FailPlace, FailPoint>()
  let marked: FailPoints['marked']
  for (const part of text.split(';').filter(Boolean)) {
    const [, place, word, value, hit] = /^([a-z-]+)=([a-z]+)(?::([^@]+))?(?:@([1-9]\d*))?$/.exec(part) ?? []
    const action = actions.find((each) => each === word)
    const known = failPlaces.find((each) => each === place)
    if (action === undefined || (known === undefined && place !== 'record')) {
      throw new Error(`«${part}» is no fail point: write place=action, with one of ${failPlaces.join(', ')}, record`)
    }
    if (known) places.set(known, { action, ms: Number(value ?? 0), hit: Number(hit ?? 1) })
    else marked = { key: Buffer.from(value ?? ''), action }
  }
  return { places, marked }
}

const armed =
  process.env[testSwitchVariable] === '1' ? parseFailPoints(process.env[failPointsVariable] ?? '') : undefined
const hits = new Map<FailPlace, number>()

/** False in production, where a fail point then costs one look at this. Workers inherit the variables. */
export const failPointsArmed = armed !== undefined && (armed.places.size > 0 || armed.marked !== undefined)

/** True when some record is to make its worker fail: then each one is looked at. */
export const recordIsMarked = armed?.marked !== undefined

/** The thread is at this place: does what was armed for it. Call it only when {@link failPointsArmed}. */
export async function failPoint(place: FailPlace): Promise<void> {
  const hit = (hits.get(place) ?? 0) + 1
  hits.set(place, hit)
  const point = armed?.places.get(place)
  if (point?.hit === hit) await act(`${place} hit ${hit}`, point.action, point.ms)
}

/** The worker holds a record with this key. Call it only when {@link recordIsMarked}. */
export async function failAtRecord(key: Uint8Array | null): Promise<void> {
  const marked = armed?.marked
  if (key !== null && marked?.key.equals(key)) await act('record', marked.action, 0)
}

async function act(where: string, action: Action, ms: number): Promise<void> {
  // Written past the stream: nothing buffered would survive a kill.
  writeSync(2, `fail point ${where}: ${action}\n`)
  switch (action) {
    case 'kill':
      process.kill(process.pid, 'SIGKILL')
      // The signal may take a moment, in which nothing more may be done.
      return standStill(Infinity)
    case 'throw':
      throw new Error(`fail point ${where}`)
    case 'delay':
      await pause(ms)
      return
    case 'stall':
      return standStill(ms)
    case 'exit':
      return process.exit(70)
    case 'hang':
      return standStill(Infinity)
    case 'exhaust':
      return exhaust()
  }
}

function exhaust(): never {
  const hoard: unknown[] = []
  for (;;) hoard.push(new Array(1000).fill(hoard.length))
}

function standStill(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
}
