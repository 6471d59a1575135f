import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { SinkRefusedError } from '../../../src/errors.ts'
import { queryDuckDb } from '../../../src/sinks/duckdb/duckdb-query.ts'
import { catalogSink, createSink } from '../../support/catalog-sink.ts'
import { contractBatch, contractTable } from '../../support/sink-batches.ts'
import { startWriter } from '../../support/start-writer.ts'
import type { WriterSaid } from '../../support/sink-writer.ts'

const noSignal = new AbortController().signal

describe('DuckDbSnapshots', () => {
  let folder: string
  let files = 0
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'millrace-snapshots-'))
  })
  after(() => rmSync(folder, { recursive: true, force: true }))

  const paths = () => {
    const path = join(folder, `${++files}.duckdb`)
    return { path, snapshotPath: join(folder, `${files}.snapshot.duckdb`) }
  }

  /** Rows, places and position of a snapshot, as another process than the writer's finds them. */
  async function look(snapshotPath: string) {
    const [seen] = await queryDuckDb(
      snapshotPath,
      `select count(*)::int as rows, count(distinct from_offset)::int as places, coalesce(max(from_offset) + 1, 0)::int as next,
              coalesce((select next_offset from millrace_position), 0)::int as position
       from contract`,
    )
    return seen as { rows: number; places: number; next: number; position: number }
  }

  test('another process reads whole snapshots, each later than the last, while rows are written and the file is closed to it', async () => {
    const { path, snapshotPath } = paths()
    const writer = startWriter({
      maker: catalogSink('duckdb', { path, snapshotPath, snapshotEveryMs: 1 }),
      rows: 500,
    })
    let acknowledged = 0
    writer.on('message', (said: WriterSaid) => (acknowledged = said.next))
    const seen: number[] = []
    while (seen.length < 3) {
      await once(writer, 'message')
      // The first snapshots are older than the table.
      const found = existsSync(snapshotPath) ? await look(snapshotPath).catch(ignoreNoTable) : undefined
      if (found === undefined || found.next === (seen.at(-1) ?? 0)) continue
      const { rows, next } = found
      assert.deepEqual(found, { rows, places: rows, next: rows, position: rows })
      assert.ok(next > (seen.at(-1) ?? 0), `${next} after ${seen.join()}`)
      seen.push(next)
    }
    await assert.rejects(queryDuckDb(path, 'select 1'), /lock/i)
    const exit = once(writer, 'exit')
    writer.kill('SIGKILL')
    await exit
    // The last whole one outlives its writer, and is no ahead of what was acknowledged and what was under way.
    const last = await look(snapshotPath)
    assert.ok(last.rows > 0 && last.rows <= acknowledged + 2 * 500)
  })

  test('what was written last comes into a snapshot without another write, which nobody can write to', async () => {
    const { path, snapshotPath } = paths()
    const sink = await createSink({ type: 'duckdb', path, snapshotPath, snapshotEveryMs: 300 }, 'g')
    await sink.open()
    await sink.evolve(contractTable)
    const [claimed] = await sink.claim([{ route: 'r', topic: 't', partition: 0, topicId: undefined }])
    for (const base of [0, 10, 20]) {
      await sink.write([contractBatch({ epoch: claimed!.epoch, base, next: base + 10 })], noSignal)
    }
    const deadline = performance.now() + 30_000
    let rows = 0
    while (rows < 30 && performance.now() < deadline) {
      if (existsSync(snapshotPath)) rows = (await look(snapshotPath).catch(ignoreNoTable))?.rows ?? 0
    }
    assert.equal(rows, 30)
    assert.equal(statSync(snapshotPath).mode & 0o222, 0)
    await sink.close()
    assert.ok(!existsSync(`${snapshotPath}.new`) && !existsSync(`${snapshotPath}.new.wal`))
  })

  test('a snapshot that cannot be made is told, and keeps no row from being written', async () => {
    const { path, snapshotPath } = paths()
    // A folder in its place cannot be replaced by a file.
    mkdirSync(join(snapshotPath, 'within'), { recursive: true })
    let warn: (message: string) => void
    const warned = new Promise<string>((resolve) => (warn = resolve))
    const sink = await createSink({ type: 'duckdb', path, snapshotPath, snapshotEveryMs: 1 }, 'g', warn!)
    await sink.open()
    await sink.evolve(contractTable)
    const [claimed] = await sink.claim([{ route: 'r', topic: 't', partition: 0, topicId: undefined }])
    assert.match(await warned, /no new snapshot .*, the last one stays/)
    const acks = await sink.write([contractBatch({ epoch: claimed!.epoch, base: 0, next: 10 })], noSignal)
    assert.deepEqual(acks, [{ kind: 'durable', next: 10, rows: 10 }])
    await sink.close()
  })

  const refused: { name: string; snapshotPath: (path: string) => string; says: RegExp }[] = [
    { name: 'the database itself', snapshotPath: (path) => path, says: /is the database itself; name another file/ },
    {
      name: 'a folder that is not there',
      snapshotPath: (path) => `${path}.none/s`,
      says: /cannot be written; make it/,
    },
  ]
  for (const { name, snapshotPath, says } of refused) {
    test(`a snapshot at ${name} is refused at the start`, async () => {
      const { path } = paths()
      const sink = await createSink({ type: 'duckdb', path, snapshotPath: snapshotPath(path), snapshotEveryMs: 1 }, 'g')
      await assert.rejects(sink.open(), (error: unknown) => {
        assert.ok(error instanceof SinkRefusedError)
        assert.match(error.message, says)
        return true
      })
      await sink.close()
    })
  }
})

function ignoreNoTable(error: Error): undefined {
  if (!/Table with name contract does not exist|millrace_position does not exist/.test(error.message)) throw error
}
