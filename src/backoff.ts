/**
 * How long to wait before try `attempt` (1 = the first repetition), in milliseconds: exponential with full jitter, so that
 * many waiters do not come back at once. https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
 * `random` is in [0, 1). At least a tenth of the ceiling, because a zero wait is no wait.
 */
export function backoffMs(attempt: number, firstMs: number, maxMs: number, random: number): number {
  const ceiling = Math.min(maxMs, firstMs * 2 ** Math.min(attempt - 1, 30))
  return ceiling * (0.1 + 0.9 * random)
}
