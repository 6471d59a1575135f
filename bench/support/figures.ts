import { cpus } from 'node:os'
import { spawnSync } from 'node:child_process'

/** One way of doing the work, measured once. */
export interface Sample {
  readonly records: number
  readonly seconds: number
  /** User and system time of the process that did it. */
  readonly cpuSeconds: number
}

export interface Figure {
  readonly name: string
  /** Records a second: the median of the runs, the least and the most. */
  readonly median: number
  readonly least: number
  readonly most: number
  /** Microseconds of CPU a record, the median. */
  readonly cpuMicroseconds: number
}

export function figure(name: string, samples: readonly Sample[]): Figure {
  const rates = samples.map(({ records, seconds }) => records / seconds)
  return {
    name,
    median: Math.round(median(rates)),
    least: Math.round(Math.min(...rates)),
    most: Math.round(Math.max(...rates)),
    cpuMicroseconds: round(median(samples.map(({ records, cpuSeconds }) => (cpuSeconds / records) * 1e6)), 2),
  }
}

/** Prints a table to read and one JSON line to keep; ratios are against the first figure, from the same run. */
export function print(question: string, figures: readonly Figure[], setting: object): void {
  console.log(question)
  console.table(
    figures.map(({ name, median, least, most, cpuMicroseconds }) => ({
      way: name,
      'records/s': median,
      spread: `${least} - ${most}`,
      'CPU us/record': cpuMicroseconds,
      ratio: round(median / (figures[0]?.median ?? median), 2),
    })),
  )
  console.log(JSON.stringify({ question, ...setting, ...machine(), figures }))
}

/** What a kept result must name: machines differ, and ratios hold only within one run. */
export function machine(): object {
  const commit = spawnSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).stdout.trim()
  return { node: process.version, cpu: cpus()[0]?.model, cores: cpus().length, commit, date: new Date().toISOString() }
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

const round = (value: number, digits: number): number => Number(value.toFixed(digits))
