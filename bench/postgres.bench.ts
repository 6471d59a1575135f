// Asks: how near do Millrace's appends and upserts come to what one psql \copy of the same rows takes, how far are they from
// Python with a staging table, and how old is a row when it is visible? One topic, one server, one run.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { readingMessage, readingProto } from '../test/support/readings.ts'
import { startPostgres } from '../test/support/postgres-server.ts'
import { copyFileSample } from './support/copy-file.ts'
import { figure, print } from './support/figures.ts'
import type { Sample } from './support/figures.ts'
import { measureLatency } from './support/latency.ts'
import { PythonRival } from './support/python-rival.ts'
import { onReadings } from './support/readings-stage.ts'
import { size, smoke } from './support/size.ts'
import { inTurns } from './support/turns.ts'
import { daemonSample } from './support/ways.ts'

// Enough that the start counts for little: code that is not compiled yet, connections. \copy has none of that.
const wanted = size({ records: 2_000_000, rounds: 3 })
/** Of the rival, which goes on at the same rate and takes long for it. */
const rivalRowsMax = 500_000

// The Python side is installed at full size only.
const python = smoke ? undefined : PythonRival.install()
const server = await startPostgres({ settings: { max_wal_size: '4GB' } })
await onReadings(wanted, async (stage) => {
  const { broker, topic, good, folder } = stage
  const sink = { type: 'postgres', url: server.url, sslmode: 'disable' }

  const route = (table: object) => ({
    topics: [topic],
    decode: { files: [readingProto], message: readingMessage },
    sink: 'sink',
    metadata: ['partition', 'offset'],
    table,
  })
  const daemon = async (table: { name: string }) => {
    await empty(table.name)
    const over = { routes: [route(table)] }
    return daemonSample({ ...stage, sink, over })
  }
  const append = () => daemon({ name: 'readings' })
  // Each device's each sensor: every load updates nearly all of them.
  const upserts = { name: 'latest', mode: 'upsert', keys: ['device_id', 'sensor'] }

  // The rows as they are in the table, in the form that \copy reads fastest.
  await append()
  const file = join(folder, 'readings.bin')
  await copyOut(file)
  const floor = async (): Promise<Sample> => {
    await server.query('drop table if exists floor; create table floor (like readings)')
    return hasPsql() ? psqlSample(file) : copyFileSample(server.url, 'floor', file, good)
  }
  const samples = await inTurns(wanted.rounds, {
    [hasPsql() ? 'psql \\copy of a binary file' : 'COPY of a binary file through pg, without psql']: floor,
    'millrace, append': append,
    'millrace, upsert': () => daemon(upserts),
    ...(python === undefined
      ? {}
      : {
          'python, confluent-kafka and psycopg COPY, staged': async () => {
            await empty('rival')
            await server.query(
              'create table rival (like readings); alter table rival add primary key (_partition, _offset)',
            )
            return python.sample('postgres-copy.py', broker.bootstrap, topic, server.url, Math.min(good, rivalRowsMax))
          },
        }),
  })
  const figures = [...samples].map(([name, each]) => figure(name, each))
  print('records/s from Kafka into PostgreSQL, broker and server on the same machine', figures, wanted)
  const over = { routes: [route({ name: 'timely' })], batch: { lingerMs: 50 } }
  const latency = await measureLatency({
    server,
    broker,
    sink,
    over,
    folder,
    seconds: smoke ? 2 : 15,
    perSecond: 20_000,
  })
  console.log(
    JSON.stringify({ question: 'ms from producing to a visible row at 20,000 records/s, lingerMs 50', ...latency }),
  )
}).finally(() => server.stop())
process.exit(0)

async function empty(table: string): Promise<void> {
  await server.query(`drop table if exists ${table}`)
  await server.query('checkpoint')
}

function psql(command: string): void {
  const { status, stderr } = spawnSync('psql', [server.url, '-q', '-v', 'ON_ERROR_STOP=1', '-c', command], {
    encoding: 'utf8',
  })
  if (status !== 0) throw new Error(`psql failed: ${stderr}`)
}

function hasPsql(): boolean {
  return spawnSync('psql', ['--version']).status === 0
}

async function psqlSample(source: string): Promise<Sample> {
  const startedAt = performance.now()
  psql(`\\copy floor from '${source}' binary`)
  const seconds = (performance.now() - startedAt) / 1000
  const [row] = await server.query('select count(*)::int as n from floor')
  return { records: row!['n'] as number, seconds, cpuSeconds: 0 }
}

/** Written by the server, whose user may not write into our folder: so through a file of its own. */
async function copyOut(target: string): Promise<void> {
  const own = join(server.dataFolder, 'readings.bin')
  await server.query(`copy readings to '${own}' (format binary)`)
  const { status } = spawnSync('cp', [own, target])
  if (status !== 0 || !existsSync(target)) throw new Error(`cannot copy ${own}`)
}
