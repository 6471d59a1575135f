import type { ChaosResult } from './chaos-run.ts'
import { faults } from './checker.ts'

/** A moment that a run is worth little without, how often it came, and where it cannot come. */
interface Moment {
  readonly moment: string
  readonly count: number | undefined
  readonly impossible?: string | undefined
}

/** Whether the target kept its word. */
export const passed = ({ verdict, stuck, told }: ChaosResult): boolean =>
  faults(verdict) === 0 && stuck.length === 0 && told.brokenAssertions === 0

/** What is kept of a run, as JSON. */
export function summarize(result: ChaosResult, setting: object): object {
  const { verdict, told, faults: happened, notRun, stuck } = result
  const recovered = happened.flatMap(({ recoveredMs }) => recoveredMs ?? []).sort((a, b) => a - b)
  const at = (share: number) => Math.round(recovered[Math.ceil(share * recovered.length) - 1] ?? 0)
  const byKind = new Map<string, number>()
  for (const { kind } of happened) byKind.set(kind, (byKind.get(kind) ?? 0) + 1)
  return {
    ...setting,
    target: result.target,
    passed: passed(result),
    verdict,
    stuck,
    faults: happened.length,
    kinds: byKind.size,
    faultsByKind: Object.fromEntries(byKind),
    faultsBroken: happened.filter(({ error }) => error !== undefined).map(({ kind, error }) => `${kind}: ${error}`),
    notRun,
    recoveryMs: { p50: at(0.5), p95: at(0.95), max: at(1), of: recovered.length },
    sometimes: Object.fromEntries(
      moments(result).map(({ moment, count, impossible }) => [moment, impossible ?? count]),
    ),
    never: moments(result).flatMap(({ moment, count, impossible }) => (count === 0 && !impossible ? [moment] : [])),
    unaskedEnds: told.unaskedEnds,
    brokenAssertions: told.brokenAssertions,
    peakResidentMegabytes: Math.round(result.peakResidentBytes / 1024 / 1024),
    recordsPerSecondWithoutFaults: result.recordsPerSecondWithout,
    recordsPerSecondWithFaults: result.recordsPerSecondWith,
    transactions: result.transactions,
  }
}

/** The same, to be read. */
export function printTable(result: ChaosResult, say: (line: string) => void): void {
  const { verdict, told, faults: happened } = result
  const { examples, ...counts } = verdict
  for (const [name, count] of Object.entries(counts)) say(`${name.padEnd(24)}${count}`)
  for (const example of examples) say(`  ${example}`)
  say(`${'faults'.padEnd(24)}${happened.length}`)
  for (const { moment, count, impossible } of moments(result)) {
    say(
      `${moment.padEnd(24)}${impossible ?? (count === 0 ? 'NEVER HAPPENED in this run' : (count ?? 'cannot be told'))}`,
    )
  }
  for (const name of result.stuck) say(`stuck: ${name}`)
  for (const [how, times] of Object.entries(told.unaskedEnds)) say(`ended unasked (${how}), ${times} times`)
  for (const words of told.lastWords) say(words)
  say(passed(result) ? '0 lost, 0 doubled, 0 committed ahead' : 'FAILED')
}

function moments({ sometimes, told, notRun }: ChaosResult): Moment[] {
  const oneOpener = notRun['member-joins-and-leaves']?.includes('opener')
    ? 'cannot happen: one opener holds the file'
    : undefined
  const fired = (place: string) => told.ownFaultsFired[place] ?? 0
  const own = Object.values(told.ownFaultsFired).reduce((sum, count) => sum + count, 0)
  return [
    {
      moment: 'killed during a flush',
      count: sometimes.killedDuringFlush + fired('after-write-before-sink-commit'),
    },
    { moment: 'fence fired', count: told.fencesFired, impossible: oneOpener },
    { moment: 'reply of a commit lost', count: sometimes.replyLost + fired('after-sink-commit-before-reply') },
    { moment: 'replay absorbed', count: told.replaysAbsorbed },
    { moment: 'load retried', count: told.retries },
    { moment: 'revoke during a write', count: told.revokesDuringWrite },
    { moment: 'own fault fired', count: own },
    { moment: 'partition added', count: sometimes.partitionsAdded },
  ]
}
