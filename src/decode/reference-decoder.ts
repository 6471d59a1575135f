import type { SlabView } from '../kafka/slab.ts'
import type { TableRules, TableSchema } from './columns.ts'
import { ColumnMemory } from './column-memory.ts'
import type { BadRecord, Decoded, Decoder, Origin } from './decoder.ts'
import type { Framing } from './framing.ts'
import { type RecordLimits, recordLimitsDefault } from './record-limits.ts'
import { ReferenceRows } from './reference-rows.ts'
import { type TablePlan, tableSchema } from './table-plan.ts'

/** What becomes of a record without a value: Kafka's way of saying that its key is deleted. */
export type TombstoneRule = 'skip' | 'deadLetter'

export interface DecoderOptions {
  readonly tableName: string
  readonly tableRules?: TableRules | undefined
  readonly tombstones?: TombstoneRule
  readonly limits?: RecordLimits
  /** Default `none`. */
  readonly framing?: Framing
  /** What the columns are made of; default: one of the decoder's own. */
  readonly memory?: ColumnMemory | undefined
}

/** What is not said is what a route has by default. */
export function withDefaults(options: DecoderOptions) {
  const { tombstones = 'skip', limits = recordLimitsDefault, framing = 'none', memory = new ColumnMemory() } = options
  return { ...options, tombstones, limits, framing, memory } as const
}

/**
 * The plain decoder: protobufjs makes an object of each record, whose fields are appended to the columns. It is what any
 * faster decoder is measured against, in rows and in values.
 */
export function createReferenceDecoder(plan: TablePlan, options: DecoderOptions): Decoder {
  return new ReferenceDecoder(plan, options)
}

class ReferenceDecoder implements Decoder {
  readonly table: TableSchema
  readonly #tombstones: TombstoneRule
  readonly #memory: ColumnMemory
  readonly #rows: ReferenceRows

  constructor(plan: TablePlan, options: DecoderOptions) {
    const { tableName, tableRules, tombstones, limits, framing, memory } = withDefaults(options)
    this.table = tableSchema(plan, tableName, tableRules)
    this.#tombstones = tombstones
    this.#memory = memory
    this.#rows = new ReferenceRows(plan, limits, framing, memory)
  }

  decode(slabs: readonly SlabView[], origin: Origin): Decoded {
    const recordCount = slabs.reduce((sum, { count }) => sum + count, 0)
    this.#rows.begin(recordCount)
    const offsets = new Float64Array(this.#memory.take(recordCount * 8))
    const bad: BadRecord[] = []
    let rowCount = 0
    let tombstones = 0
    let next = -1
    for (const [slabIndex, slab] of slabs.entries()) {
      for (let record = 0; record < slab.count; record++) {
        const offset = slab.offset(record)
        next = offset + 1
        if (slab.valueBytes(record) < 0 && this.#tombstones === 'skip') {
          tombstones++
          continue
        }
        const fault = this.#rows.append(slab, record, origin)
        if (fault === undefined) offsets[rowCount++] = offset
        else {
          this.#rows.rollback(rowCount)
          const reason = this.#rows.describe(fault, slab.value(record))
          bad.push({ slab: slabIndex, record, offset, code: fault.code, reason })
        }
      }
    }
    return {
      recordCount,
      rowCount,
      offsets: offsets.subarray(0, rowCount),
      columns: this.#rows.finish(),
      bad,
      skipped: tombstones,
      skippedByReason: { tombstone: tombstones },
      next,
      release: this.#memory.handOver(),
    }
  }
}
