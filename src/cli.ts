#!/usr/bin/env node
import { readFileSync } from 'node:fs'
import { Command, InvalidArgumentError } from 'commander'
import { ConfigError, messageChain, MillraceError } from './errors.ts'
import { packageRoot } from './package-root.ts'
import { endNow, exitCodeOf, exitCodes, untilSignal } from './shutdown.ts'

// First of all, because loading a command takes a while. The others end by the signal itself, as programs do.
if (['run', 'demo'].includes(process.argv[2] ?? '')) void untilSignal()

const packageFile = readFileSync(new URL('package.json', packageRoot), 'utf8')
const { version } = JSON.parse(packageFile) as { version: string }

/** For an output that is no terminal. */
const lineWidth = 160

const program = new Command('millrace')
  .description('Carries protobuf telemetry from Kafka into databases: fast, every record exactly once.')
  .version(version)
  .showSuggestionAfterError()
  .exitOverride()

// The commands are loaded when they are called: `--help` needs no native code.
program
  .command('run')
  .description('run the daemon until SIGTERM or SIGINT')
  .requiredOption('--config <file>', 'YAML or JSON, see docs/CONFIG.md')
  .action(({ config }: { config: string }) => finish(async () => (await import('./commands/run.ts')).run(config)))

program
  .command('check')
  .description('look at config, schemas, Kafka, topics and sinks, and report every problem')
  .requiredOption('--config <file>', 'YAML or JSON, see docs/CONFIG.md')
  .action(({ config }: { config: string }) =>
    finish(async () => (await import('./commands/check.ts')).check(config, (line) => console.log(line))),
  )

program
  .command('lanes')
  .description('ask a running daemon what each of its partitions waits for; one line a partition')
  .option('--config <file>', "the daemon's configuration, for its admin port")
  .option('--url <url>', 'or where that port is, such as http://127.0.0.1:9464')
  .action((options: { config?: string; url?: string }) =>
    finish(async () => {
      const { lanes } = await import('./commands/lanes.ts')
      return lanes({ config: options.config, url: options.url }, (line) => console.log(line))
    }),
  )

program
  .command('plan')
  .description('read the newest records without group or commit, and show the rows and the table they would become')
  .requiredOption('--config <file>', 'YAML or JSON, see docs/CONFIG.md')
  .option('--records <number>', 'so many of each route', parsePositive, 10)
  .option('--topic <name>', 'only this topic')
  .action(({ config, records, topic }: { config: string; records: number; topic?: string }) =>
    finish(async () => {
      const options = { records, topic, width: process.stdout.columns ?? lineWidth }
      return (await import('./commands/plan.ts')).plan(config, options, (line) => console.log(line))
    }),
  )

program
  .command('verify')
  .description('prove that each record of the log is a row or a dead letter, once; says which are not')
  .requiredOption('--config <file>', "the daemon's configuration")
  .option('--topic <topic>', 'only this topic')
  .option('--from <offset>', 'only offsets from here on, in each partition', parseOffset)
  .option('--to <offset>', 'only offsets below', parseOffset)
  .action(({ config, ...options }: { config: string; topic?: string; from?: number; to?: number }) =>
    finish(async () => (await import('./commands/verify.ts')).verify(config, options, (line) => console.log(line))),
  )

program
  .command('demo')
  .description('simulated devices into an embedded broker, ingested into a DuckDB file; ends with the books')
  .option('--for <duration>', 'stop by itself after this long, such as 30s or 2m', parseDuration)
  .option('--rate <records>', 'records a second', parsePositive, 50_000)
  .option('--file <path>', 'the DuckDB file to fill; an existing one is refused', 'demo.duckdb')
  .action((options: { for?: number; rate: number; file: string }) =>
    finish(async () => (await import('./commands/demo.ts')).demo({ ...options, forMs: options.for })),
  )

try {
  await program.parseAsync()
} catch (error) {
  // Commander has printed its own sentence; help and version are no failures.
  endNow((error as { exitCode?: number }).exitCode === 0 ? exitCodes.ok : exitCodes.usage)
}

async function finish(command: () => Promise<number>): Promise<void> {
  let code: number
  try {
    code = await command()
  } catch (error) {
    code = exitCodeOf(error)
    report(error)
  }
  endNow(code)
}

function report(error: unknown): void {
  if (error instanceof ConfigError) {
    for (const { path, message } of error.problems) console.error(`millrace: ${path ? `${path}: ` : ''}${message}`)
  } else if (error instanceof MillraceError) {
    console.error(`millrace: ${messageChain(error)} [${error.code}]`)
  } else {
    console.error(error)
  }
}

function parseDuration(text: string): number {
  const [, amount, unit] = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(text) ?? []
  if (amount === undefined || unit === undefined)
    throw new InvalidArgumentError('a duration is a number and ms, s, m or h.')
  return Number(amount) * { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }[unit as 'ms' | 's' | 'm' | 'h']
}

function parseOffset(text: string): number {
  const value = Number(text)
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value))
    throw new InvalidArgumentError('an offset is a whole number.')
  return value
}

function parsePositive(text: string): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value <= 0) throw new InvalidArgumentError('a whole number above 0 is needed.')
  return value
}
