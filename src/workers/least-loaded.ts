/** A worker of a pool, as far as the choice needs it. */
interface Candidate {
  /** Its tasks; Infinity where it has one that can be aborted. */
  readonly currentUsage: number
}

/**
 * The worker with the fewest tasks, or null when all have as many as they may. Piscina's own choice gives a task that can be
 * aborted a worker of its own, and so does not overlap loads at all: each of ours can be, because the watch over its progress
 * must end a worker that hangs.
 */
export function leastLoaded<W extends Candidate>(workers: readonly W[], tasksMax: number): W | null {
  let chosen: W | null = null
  for (const worker of workers) {
    if (tasksOf(worker) < tasksMax && (chosen === null || tasksOf(worker) < tasksOf(chosen))) chosen = worker
  }
  return chosen
}

const tasksOf = ({ currentUsage }: Candidate): number => (currentUsage === Infinity ? 1 : currentUsage)
