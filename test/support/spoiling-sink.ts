import type { Batch, Column } from '../../src/decode/columns.ts'
import type { Sink } from '../../src/sinks/sink.ts'

/** The sink, given a copy of each batch that is overwritten as soon as its write has ended: the core fills it anew then. */
export function spoiling(sink: Sink): Sink {
  return {
    open: () => sink.open(),
    evolve: (table) => sink.evolve(table),
    ...(sink.plan && { plan: sink.plan.bind(sink) }),
    claim: (partitions) => sink.claim(partitions),
    write: async (batches, signal) => {
      const lent = batches.map((batch) => structuredClone(batch))
      const acks = await sink.write(lent, signal)
      for (const batch of lent) spoil(batch)
      return acks
    },
    close: () => sink.close(),
  }
}

/** Overwrites what a batch holds. */
export function spoil({ offsets, columns, deletes }: Batch): void {
  offsets.fill(-1)
  deletes?.offsets.fill(-1)
  for (const column of [...columns, ...(deletes ? [deletes.keys] : [])]) spoilColumn(column)
}

function spoilColumn(column: Column): void {
  if (column.kind === 'list') spoilColumn(column.items)
  for (const array of arraysOf(column)) new Uint8Array(array.buffer, array.byteOffset, array.byteLength).fill(0x5a)
}

function arraysOf(column: Column): ArrayBufferView[] {
  const validity = column.validity === undefined ? [] : [column.validity]
  if (column.kind === 'fixed') return [column.values, ...validity]
  return [column.offsets, ...(column.kind === 'variable' ? [column.bytes] : []), ...validity]
}
