import type { Sample } from './figures.ts'

/** Measures each way once a round, beginning with another one each time, so that none always has the warm or the cold turn. */
export async function inTurns(
  rounds: number,
  ways: Readonly<Record<string, () => Promise<Sample>>>,
): Promise<Map<string, Sample[]>> {
  const names = Object.keys(ways)
  const samples = new Map<string, Sample[]>(names.map((name) => [name, []]))
  for (let round = 0; round < rounds; round++) {
    for (let turn = 0; turn < names.length; turn++) {
      const name = names[(turn + round) % names.length]!
      samples.get(name)!.push(await ways[name]!())
    }
  }
  return samples
}
