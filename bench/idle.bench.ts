// Asks: what does a daemon cost that has nothing to do? Its topic has very many partitions, none of which has a new record;
// a scraper looks at its metrics as often as one does by default.
//   IDLE_PARTITIONS=1000 IDLE_SECONDS=120 npm run bench -- idle
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { Daemon } from '../test/support/daemon.ts'
import { type KafkaBroker, startKafkaBroker, uniqueName } from '../test/support/kafka-broker.ts'
import { readingsConfig } from '../test/support/readings-config.ts'
import { machine } from './support/figures.ts'
import { onBroker } from './support/on-broker.ts'
import { smoke } from './support/size.ts'

const partitions = Number(process.env['IDLE_PARTITIONS'] ?? (smoke ? 100 : 1000))
const seconds = Number(process.env['IDLE_SECONDS'] ?? (smoke ? 5 : 60))
/** Connecting and the first look at each partition are over by then. */
const settleSeconds = smoke ? 2 : 15
/** Prometheus' own default is a minute; most set-ups say 15 s. */
const scrapeEverySeconds = 15
/** The kernel counts CPU time in these, on every platform that has /proc. */
const ticksASecond = 100

await onBroker(startKafkaBroker(), async (broker, folder) => {
  const topic = uniqueName('idle')
  await broker.createTopic(topic, partitions)
  const figures = []
  for (const reader of ['native', 'binding']) figures.push({ reader, ...(await idle(broker, topic, reader, folder)) })
  console.table(figures)
  const question = 'percent of a core that an idle daemon takes'
  console.log(JSON.stringify({ question, partitions, seconds, scrapeEverySeconds, ...machine(), figures }))
})
process.exit(0)

async function idle(
  broker: KafkaBroker,
  topic: string,
  reader: string,
  folder: string,
): Promise<{ quiet: number; scraped: number }> {
  const group = uniqueName('idle')
  const deadLetterTopic = `${group}.dead`
  await broker.createTopic(deadLetterTopic, 1)
  const config = readingsConfig(
    { bootstrap: broker.bootstrap, group, topic, deadLetterTopic, sink: { type: 'blackhole' } },
    { reader, commit: { intervalMs: 1000 }, memory: { maxBytes: '2GiB' } },
  )
  const daemon = await Daemon.start(join(folder, `${group}.json`), config)
  while ((await lanes(daemon)) < partitions) await pause(100)
  await pause(settleSeconds * 1000)
  const quiet = await percentOfACore(daemon, async () => pause(seconds * 1000))
  const scraped = await percentOfACore(daemon, async () => {
    const scrapes = Math.max(1, Math.floor(seconds / scrapeEverySeconds))
    for (let scrape = 0; scrape < scrapes; scrape++) {
      await daemon.metric('millrace_lag_records')
      await pause((seconds / scrapes) * 1000)
    }
  })
  if ((await daemon.stop()) !== 0) throw new Error(`the daemon did not end in order:\n${daemon.output}`)
  return { quiet, scraped }
}

async function lanes(daemon: Daemon): Promise<number> {
  const response = await fetch(new URL('/api/status', await daemon.adminUrl()))
  return ((await response.json()) as { lanes: unknown[] }).lanes.length
}

async function percentOfACore(daemon: Daemon, meanwhile: () => Promise<void>): Promise<number> {
  const [startedAt, before] = [performance.now(), cpuSeconds(daemon.pid)]
  await meanwhile()
  const share = (cpuSeconds(daemon.pid) - before) / ((performance.now() - startedAt) / 1000)
  return Number((share * 100).toFixed(2))
}

/** User and system time of all the process' threads. https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html */
function cpuSeconds(pid: number): number {
  // The second field, the command, may hold blanks.
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ')
  return (Number(fields[11]) + Number(fields[12])) / ticksASecond
}
