import type { SlabView } from '../kafka/slab.ts'
import { RecordFault } from './record-fault.ts'

/**
 * How large a record may be, looked at before it is read: a record that is far larger than its topic's others is a mistake
 * or an attack, and must not make a thread busy or its columns huge. How deep messages nest is bounded in `WireCheck`.
 */
export interface RecordLimits {
  /** Of key, value and headers together. */
  readonly recordBytesMax: number
  readonly headersMax: number
}

export const recordLimitsDefault: RecordLimits = { recordBytesMax: 16 * 2 ** 20, headersMax: 1000 }

/** What is wrong with a record beyond a limit. */
export function limitFault(
  slab: SlabView,
  record: number,
  { recordBytesMax, headersMax }: RecordLimits,
): RecordFault | undefined {
  const bytes = slab.recordBytes(record)
  if (bytes > recordBytesMax) {
    return new RecordFault('TOO_LARGE', `the record has ${bytes} bytes; decode.maxRecordBytes allows ${recordBytesMax}`)
  }
  const headers = slab.findHeaders(record, [], noPlaces)
  if (headers <= headersMax) return undefined
  return new RecordFault('TOO_LARGE', `the record has ${headers} headers; decode.maxHeaders allows ${headersMax}`)
}

const noPlaces = new Int32Array(0)
