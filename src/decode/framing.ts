import { RecordFault } from './record-fault.ts'
import { readUnsigned, readVarint, unsigned, words } from './wire-reader.ts'

/**
 * What a producer puts before the message in a record's value.
 * - confluent: a byte 0, a 4-byte schema id, and the indexes of the message in its schema, as Confluent's serializers do. They are
 *   passed over, not looked up: what the message is, the route says.
 * - lengthPrefixed: the message's length as a varint, as `writeDelimitedTo` does; nothing may follow the message.
 */
export type Framing = 'none' | 'confluent' | 'lengthPrefixed'

/** Where the message begins in the value `bytes[at .. end)`; -1 when the value is not framed so. */
export type MessageStart = (bytes: Uint8Array, at: number, end: number) => number

export const messageStarts: Readonly<Record<Framing, MessageStart>> = {
  none: (_bytes, at) => at,
  confluent: (bytes, at, end) => {
    if (end - at < schemaIdBytes || bytes[at] !== 0) return -1
    let next = readVarint(bytes, at + schemaIdBytes, end)
    // Counts and indexes are zigzag; a list of none stands for the first message.
    const count = words[0]! >>> 1
    if (next < 0 || words[1] !== 0 || (words[0]! & 1) !== 0 || count > indexesMax) return -1
    for (let index = 0; index < count && next >= 0; index++) next = readVarint(bytes, next, end)
    return next
  },
  lengthPrefixed: (bytes, at, end) => {
    const next = readUnsigned(bytes, at, end)
    return next >= 0 && unsigned[0] === end - next ? next : -1
  },
}

/** The magic byte and the id. */
const schemaIdBytes = 5
/** One index a level of nesting. */
const indexesMax = 100

const begins: Readonly<Record<Framing, string>> = {
  none: 'a message',
  confluent: 'Confluent framing (a byte 0, a 4-byte schema id, message indexes)',
  lengthPrefixed: 'the length of the message that follows, as a varint',
}

export function framingFault(framing: Framing): RecordFault {
  const cure = 'if its producer writes bare protobuf, set decode.framing: none'
  return new RecordFault('FRAMING', `the value does not begin with ${begins[framing]}; ${cure}`, [], 0)
}
