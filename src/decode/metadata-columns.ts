import { isUtf8 } from 'node:buffer'
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
  return plan.metadata.map((metadata, index) => {
    const builder = builders[first + index]!
    if (typeof metadata === 'string') return appenders[metadata](builder)
    return headerAppender(plan.columns[first + index]!.name, metadata.header, builder as VariableColumnBuilder)
  })
}

const appenders: Readonly<Record<Extract<Metadata, string>, (builder: AnyColumnBuilder) => AppendMetadata>> = {
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

function headerAppender(column: string, header: string, builder: VariableColumnBuilder): AppendMetadata {
  const names = [Buffer.from(header)]
  const place = new Int32Array(2)
  return (slab, record) => {
    slab.findHeaders(record, names, place)
    const [start = 0, length = 0] = place
    if (length < 0) return builder.appendNull()
    const text = slab.bytes.subarray(start, start + length)
    if (!isUtf8(text)) {
      throw new RecordFault('BAD_UTF8', `the value of the Kafka header, ${length} bytes, is not valid UTF-8`, [column])
    }
    builder.appendBytes(text, 0, length)
  }
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
