import { distance } from 'fastest-levenshtein'

/**
 * The known name that was probably meant, or undefined when none is near: at most a third of the letters differ. Case,
 * dashes and underscores do not count, because `max_bytes` for `maxBytes` is the commonest slip of all.
 */
export function nearestName(name: string, known: Iterable<string>): string | undefined {
  const wanted = folded(name)
  let nearest: string | undefined
  let nearestDistance = Infinity
  for (const candidate of known) {
    const there = folded(candidate)
    const apart = distance(wanted, there)
    if (apart < nearestDistance && apart <= Math.ceil(Math.max(wanted.length, there.length) / 3)) {
      nearest = candidate
      nearestDistance = apart
    }
  }
  return nearest
}

const folded = (name: string): string => name.toLowerCase().replace(/[-_]/g, '')
