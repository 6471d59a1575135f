import { DuckDbSink } from '../../src/sinks/duckdb/duckdb-sink.ts'
import { contractBatch, contractTable } from './sink-batches.ts'

/** A process that writes small batches to a DuckDB file until it is killed, and tells after each. Argument: the file. */
const sink = new DuckDbSink(process.argv[2]!, true, 'g')
await sink.open()
await sink.evolve(contractTable)
const [claimed] = await sink.claim([{ route: 'r', topic: 't', partition: 0, topicId: undefined }])
for (let base = 0; ; base += 3) {
  await sink.write([contractBatch({ epoch: claimed!.epoch, base, next: base + 3 })], new AbortController().signal)
  process.send!(base)
}
