// npm run chaos -- --seed 1 --minutes 10 --sink duckdb|postgres [--kinds a,b] [--records N] [--target millrace] [--out FILE]
// Known records through a target under faults, and a verdict by a checker that shares no code with it. docs/RELIABILITY.md.
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { parseArgs } from 'node:util'
import { machine } from '../../bench/support/figures.ts'
import { runChaos } from './chaos-run.ts'
import { faultKinds } from './fault-kinds.ts'
import { MillraceTarget } from './millrace-target.ts'
import { passed, printTable, summarize } from './report.ts'
import { connectRival, pythonRival, RivalTarget } from './rival-target.ts'
import type { Setting, Target } from './target.ts'

const targets: Readonly<Record<string, (setting: Setting) => Target>> = {
  millrace: (setting) => new MillraceTarget(setting),
  connect: (setting) => new RivalTarget(connectRival, setting),
  python: (setting) => new RivalTarget(pythonRival, setting),
}

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    minutes: { type: 'string', default: '1' },
    sink: { type: 'string', default: 'duckdb' },
    kinds: { type: 'string' },
    records: { type: 'string' },
    members: { type: 'string' },
    target: { type: 'string', default: 'millrace' },
    out: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
})

const createTarget = targets[values.target]
const seed = Number(values.seed)
const minutes = Number(values.minutes)
const records = Number(values.records ?? Math.round(minutes * 500_000))
const { sink } = values
const members = Number(values.members ?? (sink === 'postgres' ? 2 : 1))
const numbersAreGood = Number.isSafeInteger(seed) && minutes > 0 && records > 0 && members > 0
if (values.help || (sink !== 'duckdb' && sink !== 'postgres') || createTarget === undefined || !numbersAreGood) {
  console.log(`npm run chaos -- --seed NUMBER --minutes NUMBER --sink duckdb|postgres --kinds KIND,KIND... --records NUMBER
  --members NUMBER --target ${Object.keys(targets).join('|')} --out FILE
kinds: ${faultKinds.map(({ name }) => name).join(', ')}`)
  process.exit(values.help ? 0 : 64)
}

const say = (line: string) => console.log(line)
const kinds = values.kinds?.split(',')
const result = await runChaos({ seed, minutes, sink, kinds, records, members, createTarget, say })
printTable(result, say)
const summary = summarize(result, { seed, minutes, sink, members, ...machine() })
if (values.out === undefined) {
  console.log(JSON.stringify(summary))
} else {
  mkdirSync(dirname(values.out), { recursive: true })
  writeFileSync(values.out, `${JSON.stringify(summary, null, 2)}\n`)
}
if (!passed(result)) console.log(result.output)
// Native clients of the harness that a fault has left hanging must not keep it.
process.exit(passed(result) ? 0 : 1)
