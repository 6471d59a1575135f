import { setTimeout as pause } from 'node:timers/promises'
import type { Arena } from './arena.ts'
import type { FaultKind } from './fault-kinds.ts'

/** One fault that happened. */
export interface Happened {
  readonly kind: string
  /** From the beginning of the run, in milliseconds. */
  readonly fromMs: number
  readonly toMs: number
  /** From its end to the next committed progress; undefined when the next fault did not wait for it. */
  readonly recoveredMs: number | undefined
  /** What kept it from happening whole. */
  readonly error: string | undefined
}

const recoveredWithinMs = 45_000

/** One fault after the other until the time is up; now and then without waiting for the last one's end to be felt. */
export async function inflict(
  arena: Arena,
  kinds: readonly FaultKind[],
  untilMs: number,
  onFault: (fault: Happened) => void,
): Promise<void> {
  const { random } = arena
  let round: FaultKind[] = []
  while (performance.now() < untilMs) {
    if (round.length === 0) round = random.shuffled(kinds)
    const kind = round.pop()!
    const fromMs = performance.now()
    let error: string | undefined
    await kind.act(arena).catch((cause: Error) => (error = cause.message.split('\n', 1)[0]!))
    const toMs = performance.now()
    // The seed decides, not the clock: else the same seed would give another schedule.
    const mercy = random.next() < 0.6
    const recoveredMs = mercy ? await recovery(arena) : undefined
    onFault({ kind: kind.name, fromMs, toMs, recoveredMs, error })
    await pause(random.between(100, mercy ? 1500 : 300))
  }
}

/** Milliseconds until the group commits something beyond where it stands now. */
async function recovery({ sampler }: Arena): Promise<number> {
  const startedAt = performance.now()
  let before: number | undefined
  while (performance.now() - startedAt < recoveredWithinMs) {
    const now = await sampler.progress()
    before ??= now
    if (now !== undefined && now > before!) break
    await pause(100)
  }
  return performance.now() - startedAt
}
