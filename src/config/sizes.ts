const unitBytes: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  tib: 2 ** 40,
}

/**
 * The bytes of `8MiB`, `512 MB`, `1.5GiB` or `4096`; undefined for anything else. A lone `M` or `G` is refused, because
 * it means a power of ten to some tools and a power of two to others.
 */
export function parseSize(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(text.trim())
  if (match === null) return undefined
  const unit = match[2]!.toLowerCase()
  if (!Object.hasOwn(unitBytes, unit)) return undefined
  const bytes = Math.round(Number(match[1]) * unitBytes[unit]!)
  return Number.isSafeInteger(bytes) ? bytes : undefined
}
