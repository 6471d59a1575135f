import type { Batch } from '../decode/columns.ts'
import type { Decoder } from '../decode/decoder.ts'
import { describeError, PoisonRecordError } from '../errors.ts'
import { failAtRecord, failPoint, failPointsArmed, recordIsMarked } from '../fail-points.ts'
import type { RecordPlace } from '../errors.ts'
import type { DeadLetter } from '../kafka/dead-letter-slab.ts'
import { SlabView } from '../kafka/slab.ts'
import type { Ack, PoisonRow, Sink } from '../sinks/sink.ts'
import type { LoadResult, LoadStep, PartOutcome, TaskPart, WorkerReply } from './messages.ts'
import { collectDeletes, deletesBefore } from './deletes.ts'
import { withoutRows } from './without-rows.ts'

/** What a load is written with; the same for every load of a route in a worker. */
export interface LoadTools {
  readonly decoder: Decoder
  readonly sink: Sink
  readonly origin: { readonly route: string; readonly sink: string }
  /** Tells the main thread what is done from now on. */
  step(step: LoadStep): void
  /**
   * Stores dead letters through the main thread; they are of so many `records`. Their bytes lie in the parts' slabs, and are
   * looked at until it resolves. Never rejects.
   */
  store(letters: readonly DeadLetter[], records: number): Promise<WorkerReply>
}

/** A write that takes longer is broken off and tried again: no store of ours needs that long for one load. */
const writeMaxMs = 120_000

/** A part on its way: what is left to write of it, and what became of the rest. */
interface Progress {
  readonly part: TaskPart
  readonly views: readonly SlabView[]
  /** Undefined once `outcome` is there. */
  batch: Batch
  skipped: number
  /** Dead letters of the part, in this try or an earlier one. */
  deadLetters: number
  /** Offsets that were stored as dead letters in this try. */
  readonly stored: number[]
  /** Set when a record can neither be written nor dead-lettered: the batch ends before it. */
  stop: PoisonRecordError | undefined
  outcome: PartOutcome | undefined
  /** Gives the memory of the batch back, see `Decoded.release`. */
  readonly release: () => void
}

/**
 * Decodes a load and makes it durable. A dead letter is stored before the write that moves the position past it. The
 * outcomes come in the order of the parts.
 */
export async function writeLoad(parts: readonly TaskPart[], tools: LoadTools): Promise<LoadResult> {
  tools.step('decoding')
  if (recordIsMarked) await meetRecords(parts)
  const startedAt = performance.now()
  const loads = parts.map((part) => decodePart(part, tools))
  const decodedAt = performance.now()
  await deadLetterAll(
    loads.map(({ progress, letters }) => ({ progress, letters })),
    tools,
  )
  const all = loads.map(({ progress }) => progress)
  for (;;) {
    const open = all.filter(({ outcome }) => outcome === undefined)
    if (open.length === 0) break
    tools.step('writing')
    if (failPointsArmed) await failPoint('worker-before-write')
    const acks = await tools.sink.write(
      open.map(({ batch }) => batch),
      AbortSignal.timeout(writeMaxMs),
    )
    const poisoned = open.flatMap((progress, index) => settle(progress, acks[index]!, tools))
    // Each round takes at least one row out of a batch, so it ends.
    await deadLetterAll(poisoned, tools)
  }
  // Not before: a row that is refused is looked for in the batch again, and what is left of it is written. Not at all when
  // something was thrown: then nobody knows who still reads.
  for (const { release } of all) release()
  return {
    outcomes: all.map(({ outcome }) => outcome!),
    decodeSeconds: (decodedAt - startedAt) / 1000,
    writeSeconds: (performance.now() - decodedAt) / 1000,
  }
}

async function meetRecords(parts: readonly TaskPart[]): Promise<void> {
  const read = parts.filter(({ quarantine }) => quarantine === undefined)
  for (const view of read.flatMap(({ slabs }) => slabs.map((slab) => new SlabView(slab)))) {
    for (let index = 0; index < view.count; index++) await failAtRecord(view.key(index))
  }
}

interface Letters {
  readonly progress: Progress
  readonly letters: readonly DeadLetter[]
}

function decodePart(part: TaskPart, { decoder, origin }: LoadTools): Letters {
  const views = part.slabs.map((slab) => new SlabView(slab))
  // Nobody is to decode it again: no row of it, and a letter without a look inside.
  const decoded = decoder.decode(part.quarantine ? [] : views, part)
  const tombstones = decoder.table.rules.deletes && !part.quarantine ? collectDeletes(views) : undefined
  const bad = part.quarantine
    ? [{ ...part.quarantine, slab: 0, record: 0 }]
    : [...decoded.bad, ...(tombstones?.keyless ?? []).map((place) => ({ ...keyless, ...place }))]
  const batch: Batch = {
    route: origin.route,
    topic: part.topic,
    partition: part.partition,
    base: part.base,
    next: part.next,
    epoch: part.epoch,
    table: decoder.table,
    rowCount: decoded.rowCount,
    offsets: decoded.offsets,
    columns: decoded.columns,
    ...(tombstones === undefined ? {} : { deletes: tombstones.deletes }),
  }
  const done = new Set(part.deadLettered)
  const letters = bad
    .map(({ slab, record, code, reason }) =>
      deadLetter(part, views[slab]!, record, origin, { stage: 'DECODE', code, reason }),
    )
    .filter(({ offset }) => !done.has(offset))
  const progress: Progress = {
    part,
    views,
    batch,
    skipped: tombstones === undefined ? decoded.skipped : 0,
    deadLetters: bad.length,
    stored: [],
    stop: undefined,
    outcome: undefined,
    release: decoded.release,
  }
  return { progress, letters }
}

/** A tombstone that says nothing of what is to be deleted. */
const keyless = { code: 'NO_KEY', reason: 'has neither a value nor a key: nothing says what to delete' } as const

/** Turns an ack into an outcome, or into the poison rows to be dead-lettered before the rest is written. */
function settle(progress: Progress, ack: Ack, { origin }: LoadTools): Letters[] {
  const { batch, part } = progress
  if (ack.kind === 'poison') return [takeOut(progress, ack.rows, origin)]
  if (ack.kind === 'durable') {
    const counts = {
      rows: ack.rows,
      deduplicated: batch.rowCount + (batch.deletes?.offsets.length ?? 0) - ack.rows,
      deadLettered: progress.deadLetters,
      skipped: progress.skipped,
    }
    progress.outcome = progress.stop
      ? { kind: 'stopped', error: describeError(progress.stop), next: ack.next, counts }
      : { kind: 'durable', next: ack.next, counts }
  } else if (ack.kind === 'retry') {
    progress.outcome = {
      kind: 'retry',
      error: describeError(ack.error),
      slabs: part.slabs,
      deadLettered: progress.stored,
    }
  } else {
    progress.outcome = ack
  }
  return []
}

function takeOut(progress: Progress, rows: readonly PoisonRow[], origin: LoadTools['origin']): Letters {
  const { batch, part, views } = progress
  const done = new Set(part.deadLettered)
  const letters = rows
    .map(({ row, reason, code }) => {
      const why = { stage: 'SINK_WRITE', code: code ?? 'ROW_REFUSED', reason } as const
      const { view, index } = find(views, batch.offsets[row]!)
      return deadLetter(part, view, index, origin, why)
    })
    .filter(({ offset }) => !done.has(offset))
  progress.batch = withoutRows(
    batch,
    rows.map(({ row }) => row),
  )
  progress.deadLetters += rows.length
  return { progress, letters }
}

/** Stores all the letters in one request; what cannot be stored decides the part's outcome. */
async function deadLetterAll(all: readonly Letters[], tools: LoadTools): Promise<void> {
  const some = all.filter(({ letters }) => letters.length > 0)
  if (some.length === 0) return
  tools.step('dead-lettering')
  const views = all.flatMap(({ progress }) => progress.views)
  const records = views.reduce((sum, { count }) => sum + count, 0)
  const reply = await tools.store(
    some.flatMap(({ letters }) => letters),
    records,
  )
  for (const { progress, letters } of some) {
    if (reply.result === 'stored') {
      for (const { offset } of letters) progress.stored.push(offset)
    } else if (reply.result === 'failed') {
      const { part, stored } = progress
      progress.outcome = { kind: 'retry', error: reply.error, slabs: part.slabs, deadLettered: stored }
    } else if (reply.result === 'refused') {
      stopBefore(progress, letters, 'set deadLetters.topic to keep such records and go on')
    } else {
      const tooLarge = letters.filter((letter) => reply.places.some((place) => isAt(letter, place)))
      const refused = new Set(tooLarge)
      for (const letter of letters) if (!refused.has(letter)) progress.stored.push(letter.offset)
      if (tooLarge.length > 0) stopBefore(progress, tooLarge, reply.error.message)
    }
  }
}

const isAt = (letter: DeadLetter, { topic, partition, offset }: RecordPlace): boolean =>
  letter.offset === offset && letter.partition === partition && letter.topic === topic

/** Cuts the batch before the first record that has nowhere to go. */
function stopBefore(progress: Progress, letters: readonly DeadLetter[], cure: string): void {
  const first = letters.reduce((least, letter) => (letter.offset < least.offset ? letter : least))
  const { batch, views, part } = progress
  let rowCount = 0
  while (rowCount < batch.rowCount && batch.offsets[rowCount]! < first.offset) rowCount++
  let tombstones = 0
  for (const view of views) {
    for (let index = 0; index < view.count && view.offset(index) < first.offset; index++) {
      if (view.valueBytes(index) < 0) tombstones++
    }
  }
  progress.batch = {
    ...batch,
    next: Math.max(batch.base, first.offset),
    rowCount,
    ...(batch.deletes === undefined ? {} : { deletes: deletesBefore(batch.deletes, first.offset) }),
  }
  progress.skipped = Math.min(progress.skipped, tombstones)
  const kept = [...part.deadLettered, ...progress.stored]
  progress.deadLetters = kept.filter((offset) => offset < first.offset).length
  progress.stop = new PoisonRecordError(
    `${first.topic}/${first.partition} offset ${first.offset}: ${first.reason}; ${cure}`,
  )
}

function deadLetter(
  { topic, partition }: TaskPart,
  slab: SlabView,
  index: number,
  { route, sink }: LoadTools['origin'],
  { stage, code, reason }: Pick<DeadLetter, 'stage' | 'code' | 'reason'>,
): DeadLetter {
  return { route, sink, topic, partition, offset: slab.offset(index), slab, index, stage, code, reason }
}

function find(views: readonly SlabView[], offset: number): { view: SlabView; index: number } {
  for (const view of views) {
    if (view.count === 0 || view.offset(view.count - 1) < offset) continue
    let low = 0
    let high = view.count - 1
    while (low < high) {
      const middle = (low + high) >> 1
      if (view.offset(middle) < offset) low = middle + 1
      else high = middle
    }
    if (view.offset(low) === offset) return { view, index: low }
  }
  throw new Error(`offset ${offset} is in no slab of its part`)
}
