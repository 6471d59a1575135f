import { messageChain } from '../../src/errors.ts'
import { makeSink } from '../sinks/contract/store-under-test.ts'
import type { SinkMaker } from '../sinks/contract/store-under-test.ts'
import { contractBatch, contractTable } from './sink-batches.ts'

/** The process's only argument, as JSON: the sink to write to, and the rows of a batch. */
export interface WriterTask {
  readonly maker: SinkMaker
  readonly rows: number
}

/** What the process tells after each write: how far the sink acknowledged, or why it did not; then it ends. */
export type WriterSaid = { readonly next: number } | { readonly error: string; readonly next: number }

/** A process that writes batches to a sink, from where it stands, until it is killed or a write fails. */
const { maker, rows } = JSON.parse(process.argv[2]!) as WriterTask
const sink = await makeSink(maker, 'g')
await sink.open()
await sink.evolve(contractTable)
const [claimed] = await sink.claim([{ route: 'r', topic: 't', partition: 0, topicId: 'id-1' }])
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
