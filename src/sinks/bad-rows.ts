import { messageChain } from '../errors.ts'
import type { PoisonRow } from './sink.ts'

/** The error that rows [from, to) meet when they are tried by themselves; rejects when that says nothing of the rows. */
export type RowsProbe = (from: number, to: number) => Promise<Error | undefined>

/** So many are looked for at once, two probes or so each. The rest shows when what is left of the batch is written. */
export const badRowsMax = 1000

/**
 * For a store that names a key or a value, but not its row: halves are tried. Finds at least one row of [from, to) if those rows meet an
 * error at all and go on meeting it, and stops early, with what it has, when `signal` is aborted.
 */
export async function findBadRows(
  from: number,
  to: number,
  probe: RowsProbe,
  signal: AbortSignal,
): Promise<PoisonRow[]> {
  const found: PoisonRow[] = []
  await search(from, to)
  return found

  async function search(first: number, end: number): Promise<void> {
    if (first === end || found.length >= badRowsMax || signal.aborted) return
    const error = await probe(first, end)
    if (error === undefined) return
    if (end - first === 1) {
      found.push({ row: first, reason: messageChain(error), code: 'ROW_REFUSED' })
      return
    }
    const middle = (first + end) >> 1
    const before = found.length
    await search(first, middle)
    await search(middle, end)
    if (found.length === before && !signal.aborted) await searchRepeat(first, middle, end, error)
  }

  /**
   * Rows [first, middle) fit, and so do [middle, end), but not together: a row of the second half repeats a key of the
   * first. The later one goes: the last of the shortest run from `first` that does not fit.
   */
  async function searchRepeat(first: number, middle: number, end: number, error: Error): Promise<void> {
    let fits = middle
    let fails = end
    let reason = error
    while (fails - fits > 1) {
      if (signal.aborted) return
      const tried = (fits + fails) >> 1
      const met = await probe(first, tried)
      if (met === undefined) fits = tried
      else [fails, reason] = [tried, met]
    }
    found.push({ row: fails - 1, reason: messageChain(reason), code: 'ROW_REFUSED' })
  }
}
