import { mock } from 'node:test'
import { backoffMs } from './group-world.ts'
import type { GroupWorld, Question } from './group-world.ts'

// How time passes for a GroupWorld, and how its questions are answered.

export const takeOne = ({ questions }: GroupWorld, pick: number): Question | undefined =>
  questions.splice(pick % Math.max(1, questions.length), 1)[0]

export function takeAll({ questions }: GroupWorld, wanted: (question: Question) => boolean): Question[] {
  const taken = questions.filter(wanted)
  questions.splice(0, questions.length, ...questions.filter((each) => !taken.includes(each)))
  return taken
}

/** One round in which whatever is asked is answered, and a backoff passes. */
export async function answerAll(world: GroupWorld): Promise<void> {
  for (const each of world.places.keys()) world.deliver(each, 6)
  await turn()
  takeAll(world, () => true).forEach(({ answer }) => answer())
  await turn()
  pass(world, backoffMs + 1)
  await turn()
}

export function pass(world: GroupWorld, ms: number): void {
  world.clockMs += ms
  mock.timers.tick(ms)
  // Once a second in the daemon.
  world.assignment.settleDoubts()
}

/** Deadlines and backoffs pass when the test says so; the turns of the event loop stay real. */
export async function inMockedTime(work: () => Promise<void>): Promise<void> {
  mock.timers.enable({ apis: ['setTimeout'] })
  try {
    await work()
  } finally {
    mock.timers.reset()
  }
}

/** The dispatcher looks for loads once a turn of the event loop; what it starts may ask for another. */
export async function turn(): Promise<void> {
  for (let round = 0; round < 2; round++) await new Promise((resolve) => setImmediate(resolve))
}
