import { messageChain } from '../../src/errors.ts'
import { DuckDbSink } from '../../src/sinks/duckdb/duckdb-sink.ts'
import { contractBatch, contractTable } from './sink-batches.ts'

/** What the process tells after each write: how far the sink acknowledged, or why it did not; then it ends. */
export type WriterSaid = { readonly next: number } | { readonly error: string; readonly next: number }

/**
 * A process that writes batches to a DuckDB file, from where it stands, until it is killed or a write fails. Arguments: the
 * file, the rows of a batch.
 */
const sink = new DuckDbSink(process.argv[2]!, 'g')
const rows = Number(process.argv[3])
await sink.open()
await sink.evolve(contractTable)
const [claimed] = await sink.claim([{ route: 'r', topic: 't', partition: 0, topicId: undefined }])
let next = claimed!.position ?? 0
for (;;) {
  const batch = contractBatch({ epoch: claimed!.epoch, base: next, next: next + rows })
  const [ack] = await sink.write([batch], new AbortController().signal)
  if (ack?.kind !== 'durable') {
    const error = ack?.kind === 'retry' ? `${ack.error.name}: ${messageChain(ack.error)}` : `${ack?.kind}`
    process.send!({ error, next } satisfies WriterSaid, () => process.exit())
    break
  }
  next = ack.next
  process.send!({ next } satisfies WriterSaid)
}
