import type { SlabView } from '../kafka/slab.ts'
import type {
  AnyColumnBuilder,
  NumberColumnBuilder,
  VariableColumnBuilder,
  WideColumnBuilder,
} from './column-builder.ts'
import type { Origin } from './decoder.ts'
import { RecordFault } from './record-fault.ts'
import type { Metadata, TablePlan } from './table-plan.ts'
import { timestampSecondsMax, timestampSecondsMin } from './well-known.ts'

/** Appends one metadata value of a record to its column. */
export type AppendMetadata = (slab: SlabView, record: number, origin: Origin) => void

/** One for each metadata column of the plan; they are its last columns. */
export function metadataAppenders(plan: TablePlan, builders: readonly AnyColumnBuilder[]): AppendMetadata[] {
  const first = plan.columns.length - plan.metadata.length
  return plan.metadata.map((metadata, index) => appenders[metadata](builders[first + index]!))
}

const appenders: Readonly<Record<Metadata, (builder: AnyColumnBuilder) => AppendMetadata>> = {
  topic: (builder) => {
    const column = builder as VariableColumnBuilder
    return (_slab, _record, { topic }) => column.appendString(topic)
  },
  partition: (builder) => {
    const column = builder as NumberColumnBuilder
    return (_slab, _record, { partition }) => column.append(partition)
  },
  offset: (builder) => {
    const column = builder as WideColumnBuilder
    return (slab, record) => column.appendNumber(slab.offset(record))
  },
  timestamp: (builder) => {
    const column = builder as WideColumnBuilder
    return (slab, record) => appendTimestamp(column, slab.timestamp(record))
  },
  key: (builder) => {
    const column = builder as VariableColumnBuilder
    return (slab, record) => {
      const start = slab.keyStart(record)
      const length = slab.keyBytes(record)
      if (length < 0) column.appendNull()
      else column.appendBytes(slab.bytes, start, start + length)
    }
  },
}

/** A producer may set any number; what is outside the range of our timestamps is bad, as in a field of the message. */
function appendTimestamp(column: WideColumnBuilder, milliseconds: number): void {
  if (milliseconds === -1) return column.appendNull()
  if (milliseconds < timestampSecondsMin * 1000 || milliseconds >= (timestampSecondsMax + 1) * 1000) {
    const message = `${milliseconds} ms since 1970, the time of the Kafka record, is outside the years 1 to 9999`
    throw new RecordFault('OUT_OF_RANGE', message, ['_timestamp'])
  }
  column.appendMicroseconds(Math.floor(milliseconds / 1000), (((milliseconds % 1000) + 1000) % 1000) * 1000)
}
