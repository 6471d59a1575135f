import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { appendRules } from '../../src/decode/columns.ts'
import { SchemaFiles } from '../../src/decode/schema-files.ts'
import { loadMessageType } from '../../src/decode/schema-source.ts'
import { unpackDeadLetter } from '../../src/kafka/dead-letter-slab.ts'
import type { DeadLetterStore } from '../../src/kafka/dead-letters.ts'
import { packSlab, SlabView } from '../../src/kafka/slab.ts'
import { FloodGuard } from '../../src/workers/flood-guard.ts'
import type { TaskPart, WorkerSetup } from '../../src/workers/messages.ts'
import { WorkerPool } from '../../src/workers/worker-pool.ts'
import { startPostgres } from '../support/postgres-server.ts'
import type { PostgresServer } from '../support/postgres-server.ts'
import { readingMessage, readingProto } from '../support/readings.ts'

const route = 'readings'
/** A Reading with nothing but defaults, and no Reading. */
const good = new Uint8Array(0)
const broken = new Uint8Array([0x0a, 0xff])

let server: PostgresServer
before(async () => {
  server = await startPostgres()
})
after(() => server.stop())

test('a thread decodes its second load while the store works on the first', async () => {
  let secondDecoded: (letters: ArrayBuffer) => void = () => undefined
  const decoded = new Promise<ArrayBuffer>((resolve) => (secondDecoded = resolve))
  const pool = await poolOf(1, (letters) => Promise.resolve(secondDecoded(letters)))
  try {
    const claimed = await pool.claim([0, 1].map((partition) => ({ route, topic: 't', partition, topicId: undefined })))
    // Whoever writes partition 0 waits for this transaction.
    await server.query('begin; select from millrace_position where partition = 0 for update')
    const first = pool.load(route, [partOf(claimed[0]!, good)])
    let firstEnded = false
    void first.then(() => (firstEnded = true))
    const second = pool.load(route, [partOf(claimed[1]!, broken)])
    assert.equal(unpackDeadLetter(new SlabView(await decoded), 0).partition, 1)
    assert.equal(firstEnded, false)
    await server.query('commit')
    const outcomes = (await Promise.all([first, second])).flatMap((result) => result.outcomes)
    assert.deepEqual(
      outcomes.map((outcome) => outcome.kind),
      ['durable', 'durable'],
    )
  } finally {
    await pool.close(10_000)
  }
})

test('every thread opens its sink before there is a load', async () => {
  const pool = await poolOf(3, () => Promise.resolve())
  try {
    const deadline = performance.now() + 30_000
    for (let open = 0; open < 3;) {
      assert.ok(performance.now() < deadline, `${open} of 3 threads have a connection`)
      const [row] = await server.query<{ open: number }>(
        `select count(*)::int as open from pg_stat_activity where application_name like 'millrace%'`,
      )
      open = row!.open
    }
  } finally {
    await pool.close(10_000)
  }
})

async function poolOf(threads: number, store: DeadLetterStore['store']): Promise<WorkerPool> {
  const files = new SchemaFiles()
  const decode = { format: 'protobuf' as const, files: [readingProto], message: readingMessage }
  await loadMessageType(decode, files)
  const table = { name: 'readings', ...appendRules }
  const setup = {
    group: 'g',
    sink: { name: 'sink', type: 'postgres', options: { url: server.url, sslmode: 'disable' } },
    routes: [{ name: route, table, metadata: [], columns: undefined, decode, schema: files.snapshot }],
  }
  const size = { threads, loadsAThread: 2, limits: { maxBytes: 2 ** 20, maxRecords: 1000, lingerMs: 0 } }
  const pool = new WorkerPool(
    setup as unknown as WorkerSetup,
    size,
    { store: { store }, guard: new FloodGuard(1) },
    fail,
    fail,
  )
  await pool.prepare()
  return pool
}

function partOf(
  { partition, epoch }: { readonly partition: number; readonly epoch: number },
  value: Uint8Array,
): TaskPart {
  const slab = packSlab([{ offset: 0, timestamp: -1, key: null, value, headers: new Uint8Array(0) }])
  return { topic: 't', partition, epoch, base: 0, next: 1, slabs: [slab], deadLettered: [] }
}

function fail(told: Error | string): void {
  throw new Error(`the pool told of ${String(told)}`)
}
