// Asks: how many records a second does one core decode to columns, compiled, by the reference decoder, and by protobufjs and
// @bufbuild/protobuf as one would use them? Same bytes, same columns, one run; the ways take turns. With the garbage that a
// record leaves.
import { PerformanceObserver } from 'node:perf_hooks'
import { setImmediate as turn } from 'node:timers/promises'
import { getHeapStatistics } from 'node:v8'
import { type DecodeLoad, decodeLoads } from './support/decode-loads.ts'
import { decodeWays, type DecodeWay } from './support/decode-ways.ts'
import { figure, median, print } from './support/figures.ts'
import type { Sample } from './support/figures.ts'
import { size, smoke } from './support/size.ts'

const { records: recordCount, rounds } = size({ records: 20_000, rounds: 7 }, 1_000)
/** So often a way decodes its load in one sample. */
const repeats = smoke ? 1 : 15

let collectingMs = 0
new PerformanceObserver((list) => {
  for (const { duration } of list.getEntries()) collectingMs += duration
}).observe({ entryTypes: ['gc'] })

const wanted = process.argv.slice(2)
for (const [name, load] of Object.entries(await decodeLoads(recordCount))) {
  if (wanted.length === 0 || wanted.some((each) => name.includes(each))) await compare(name, load)
}

async function compare(name: string, { type, plan, slabs, bytesPerRecord }: DecodeLoad): Promise<void> {
  const ways = Object.entries(decodeWays(type, plan))
  const records = slabs.reduce((sum, { count }) => sum + count, 0)
  for (const [, decode] of ways) for (let warm = 0; warm < repeats; warm++) decode(slabs)
  const samples = new Map<string, Measured[]>(ways.map(([way]) => [way, []]))
  for (let round = 0; round < rounds; round++) {
    for (let index = 0; index < ways.length; index++) {
      const [way, decode] = ways[(index + round) % ways.length]!
      samples.get(way)!.push(await measure(() => decode(slabs), records))
    }
  }
  const figures = [...samples].map(([way, each]) => figure(way, each))
  const garbage = [...samples].map(([way, each], index) => ({
    way,
    'heap bytes/record': heapBytes(ways[index]![1], slabs),
    'GC % of time': Number(median(each.map(({ collectingShare }) => collectingShare * 100)).toFixed(1)),
  }))
  print(`${name}: records/s decoded by one core`, figures, { records, rounds, repeats, bytesPerRecord, garbage })
  console.table(garbage)
}

interface Measured extends Sample {
  readonly collectingShare: number
}

async function measure(decode: () => number, records: number): Promise<Measured> {
  await turn()
  collectingMs = 0
  const cpuAtStart = process.cpuUsage()
  const startedAt = performance.now()
  for (let repeat = 0; repeat < repeats; repeat++) {
    const rows = decode()
    if (rows !== records) throw new Error(`${rows} rows of ${records} records`)
  }
  const seconds = (performance.now() - startedAt) / 1000
  const { user, system } = process.cpuUsage(cpuAtStart)
  // The observer is called in a later turn.
  await turn()
  await turn()
  const collectingShare = collectingMs / 1000 / seconds
  return { records: records * repeats, seconds, cpuSeconds: (user + system) / 1e6, collectingShare }
}

/** What a record leaves on the heap, the columns' arrays not counted: the median of single slabs, as few are collected within. */
function heapBytes(decode: DecodeWay, slabs: DecodeLoad['slabs']): number {
  const growth = slabs.map((slab) => {
    const before = getHeapStatistics().used_heap_size
    decode([slab])
    return (getHeapStatistics().used_heap_size - before) / slab.count
  })
  const kept = growth.filter((bytes) => bytes >= 0)
  return Math.round(median(kept.length === 0 ? [0] : kept))
}
