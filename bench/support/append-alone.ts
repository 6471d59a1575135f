import { DuckDBInstance } from '@duckdb/node-api'
import { simulatedReadings } from '../../src/commands/simulated-readings.ts'
import { appendRules } from '../../src/decode/columns.ts'
import type { Batch } from '../../src/decode/columns.ts'
import { createDecoder } from '../../src/decode/create-decoder.ts'
import { loadMessageType } from '../../src/decode/schema-source.ts'
import { packSlab, SlabView } from '../../src/kafka/slab.ts'
import { DuckDbTable } from '../../src/sinks/duckdb/duckdb-table.ts'
import { readingMessage, readingProto } from '../../test/support/readings.ts'

/**
 * DuckDB's appender by itself: one batch of readings, decoded before, is appended over and over, a transaction each, with the
 * settings of the sink. Arguments: the file, records. Prints one Sample as JSON.
 */
const [file = '', wanted = '0'] = process.argv.slice(2)
/** As many as a load has that memory.maxBytes' default allows. */
const batchRows = Math.min(150_000, Number(wanted))

const batch = await readingsBatch()
const settings = { threads: '1', memory_limit: '512MiB', checkpoint_threshold: '256MiB' }
const instance = await DuckDBInstance.create(file, settings)
const connection = await instance.connect()
const table = await DuckDbTable.open(connection, batch.table)
const cpuAtStart = process.cpuUsage()
const startedAt = performance.now()
let records = 0
while (records < Number(wanted)) {
  const to = Math.min(batch.rowCount, Number(wanted) - records)
  await connection.run('begin transaction')
  await table.append(connection, [{ batch, from: 0, to }])
  await connection.run('commit')
  records += to
}
const seconds = (performance.now() - startedAt) / 1000
const { user, system } = process.cpuUsage(cpuAtStart)
console.log(JSON.stringify({ records, seconds, cpuSeconds: (user + system) / 1e6 }))
connection.closeSync()
instance.closeSync()

async function readingsBatch(): Promise<Batch> {
  const decode = { format: 'protobuf', files: [readingProto], message: readingMessage } as const
  const decoder = await createDecoder(decode, { name: 'readings', ...appendRules }, ['partition', 'offset'])
  const place = { topic: 'readings', partition: 0, base: 0, next: batchRows, epoch: 1 }
  const decoded = decoder.decode([new SlabView(await readingsSlab())], place)
  return { ...place, ...decoded, next: batchRows, route: 'readings', table: decoder.table }
}

async function readingsSlab(): Promise<ArrayBuffer> {
  const type = await loadMessageType({ files: [readingProto], message: readingMessage })
  const readings = simulatedReadings(type, 7)
  const records = Array.from({ length: batchRows }, (_, offset) => {
    const { key, value } = readings.next().value
    return { offset, timestamp: -1, key: Buffer.from(key), value, headers: new Uint8Array(0) }
  })
  return packSlab(records)
}
