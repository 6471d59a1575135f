import { crc32 } from 'node:zlib'

/** What is in a record of a chaos run; all but key and sequence can be computed from these two. */
export interface Entry {
  readonly key: string
  readonly sequence: number
  readonly checksum: number
}

/** What must become of a record, as its Kafka key tells by its first letter. */
export type Fate = 'sink' | 'dead' | 'skip'

export function fateOf(kafkaKey: string): Fate {
  return kafkaKey.startsWith('poison') ? 'dead' : kafkaKey.startsWith('tombstone') ? 'skip' : 'sink'
}

export const checksumOf = (key: string, sequence: number): number => crc32(`${key}|${sequence}`)
/** The checker computes it once more, in SQL. */
export const noteOf = (key: string, sequence: number): string => `${key}:${sequence}:${'x'.repeat(sequence % 40)}`

/** How a target wants its records. */
export type Encoding = 'protobuf' | 'json' | 'json-with-schema'

export function encode(encoding: Encoding, key: string, sequence: number): Buffer {
  if (encoding === 'protobuf') return encodeProtobuf(key, sequence)
  const fields = {
    key,
    sequence,
    checksum: checksumOf(key, sequence),
    note: noteOf(key, sequence),
    half: sequence / 2,
  }
  return Buffer.from(JSON.stringify(encoding === 'json' ? fields : { schema: connectSchema, payload: fields }))
}

/** Undefined when the bytes are no entry. */
export function decode(encoding: Encoding, value: Buffer): Entry | undefined {
  if (encoding === 'protobuf') return decodeProtobuf(value)
  try {
    const parsed = JSON.parse(value.toString()) as { payload?: Entry } & Entry
    return parsed.payload ?? parsed
  } catch {
    return undefined
  }
}

// By hand, because the daemon's own decoder is what is under test.
function encodeProtobuf(key: string, sequence: number): Buffer {
  const note = noteOf(key, sequence)
  const bytes = Buffer.allocUnsafe(40 + key.length + note.length)
  let at = text(bytes, 0, 0x0a, key)
  at = varint(bytes, bytes.writeUInt8(0x10, at), sequence)
  at = bytes.writeUInt32LE(checksumOf(key, sequence), bytes.writeUInt8(0x1d, at))
  at = text(bytes, at, 0x22, note)
  at = bytes.writeDoubleLE(sequence / 2, bytes.writeUInt8(0x29, at))
  return bytes.subarray(0, at)
}

function text(bytes: Buffer, at: number, tag: number, value: string): number {
  const start = varint(bytes, bytes.writeUInt8(tag, at), value.length)
  return start + bytes.write(value, start, 'latin1')
}

function varint(bytes: Buffer, at: number, value: number): number {
  let rest = value
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) at = bytes.writeUInt8((rest % 0x80) | 0x80, at)
  return bytes.writeUInt8(rest, at)
}

function decodeProtobuf(bytes: Buffer): Entry | undefined {
  if (bytes.length < 12 || bytes[0] !== 0x0a) return undefined
  const keyEnd = 2 + bytes[1]!
  if (bytes[keyEnd] !== 0x10) return undefined
  let at = keyEnd + 1
  let sequence = 0
  for (let scale = 1; ; scale *= 0x80) {
    const byte = bytes[at++]!
    sequence += (byte & 0x7f) * scale
    if (byte < 0x80) break
  }
  return { key: bytes.toString('latin1', 2, keyEnd), sequence, checksum: bytes.readUInt32LE(at + 1) }
}

/** Kafka Connect's JSON converter with schemas: without one, its JDBC sinks know no columns. */
const connectSchema = {
  type: 'struct',
  name: 'chaos.v1.Entry',
  optional: false,
  fields: [
    { field: 'key', type: 'string', optional: false },
    { field: 'sequence', type: 'int64', optional: false },
    { field: 'checksum', type: 'int64', optional: false },
    { field: 'note', type: 'string', optional: false },
    { field: 'half', type: 'double', optional: false },
  ],
}
