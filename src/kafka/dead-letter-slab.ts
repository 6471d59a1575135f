import { decodeHeaders, encodeHeaders, packCopies, packSlab } from './slab.ts'
import type { Header, SlabView } from './slab.ts'

/** A record that can never be written, and why. Its bytes are where it was read. */
export interface DeadLetter {
  readonly route: string
  readonly sink: string
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly slab: SlabView
  /** Of the record in the slab. */
  readonly index: number
  readonly stage: 'DECODE' | 'SINK_WRITE'
  /** Ours for a decode fault, the store's own (a SQLSTATE) for a refused row. */
  readonly code: string
  readonly reason: string
}

/**
 * Packs dead letters into slabs as they go to their topic: key and value byte for byte, the record's own headers first, then
 * the reason in the words of Kafka Connect (KIP-298), Spring Kafka and ours, so that the tools people have can read them.
 * Spring's numbers are big-endian, as its DeadLetterPublishingRecoverer writes them.
 */
export class DeadLetterPacker {
  readonly #group: string
  /** Headers that many letters share, encoded: making them is most of what a letter would cost. */
  readonly #encoded = new Map<string, Uint8Array>()

  constructor(group: string) {
    this.#group = group
  }

  pack(letters: readonly DeadLetter[]): ArrayBuffer {
    return packCopies(
      letters.map((letter) => {
        const { slab, index, route, sink, topic, partition, stage, code, reason } = letter
        const origin = this.#keep(`${route}\n${sink}\n${topic}\n${partition}`, originHeaders, letter)
        const fault = this.#keep(`${stage}\n${code}\n${reason}`, faultHeaders, letter)
        return { slab, index, moreHeaders: [origin, fault, placeHeaders(slab.offset(index), slab.timestamp(index))] }
      }),
    )
  }

  #keep(key: string, headers: (letter: DeadLetter, group: string) => Header[], letter: DeadLetter): Uint8Array {
    let encoded = this.#encoded.get(key)
    if (encoded === undefined) {
      // Reasons name bytes and lengths, so there is no end of them.
      if (this.#encoded.size >= encodedMax) this.#encoded.clear()
      encoded = encodeHeaders(headers(letter, this.#group))
      this.#encoded.set(key, encoded)
    }
    return encoded
  }
}

/** A dead letter with its record's bytes and headers beside it. */
export interface UnpackedLetter extends DeadLetter {
  /** Milliseconds since 1970; -1 when the record has none. */
  readonly timestamp: number
  readonly key: Uint8Array | null
  readonly value: Uint8Array | null
  /** The record's own. */
  readonly headers: readonly Header[]
}

/** One letter of a slab that a {@link DeadLetterPacker} made. */
export function unpackDeadLetter(slab: SlabView, index: number): UnpackedLetter {
  const { own, added } = splitHeaders(slab.headers(index))
  const text = (name: string) => Buffer.from(added.find((header) => header.name === name)!.value!).toString()
  return {
    route: text('millrace.route'),
    sink: text('millrace.sink'),
    topic: text('__connect.errors.topic'),
    partition: Number(text('__connect.errors.partition')),
    offset: slab.offset(index),
    slab,
    index,
    stage: text('millrace.stage') as DeadLetter['stage'],
    code: text('millrace.code'),
    reason: text('millrace.reason'),
    timestamp: slab.timestamp(index),
    key: slab.key(index),
    value: slab.value(index),
    headers: own,
  }
}

/** The letter without what makes it large, as a slab: neither key, value nor headers of the record, but these. */
export function packReference(slab: SlabView, index: number, headers: readonly Header[]): ArrayBuffer {
  const { added } = splitHeaders(slab.headers(index))
  const place = { offset: slab.offset(index), timestamp: slab.timestamp(index), key: null, value: null }
  return packSlab([{ ...place, headers: encodeHeaders([...headers, ...added]) }])
}

function splitHeaders(encoded: Uint8Array): { readonly own: Header[]; readonly added: Header[] } {
  const all = decodeHeaders(encoded)
  return { own: all.slice(0, -addedCount), added: all.slice(-addedCount) }
}

/** What a {@link DeadLetterPacker} adds. */
const addedCount = 21
/** So many encodings are kept: some 2 MB. */
const encodedMax = 2_000

/** Those that all letters of a partition share. */
function originHeaders({ route, sink, topic, partition }: DeadLetter, group: string): Header[] {
  return [
    header('__connect.errors.topic', topic),
    header('__connect.errors.partition', String(partition)),
    header('__connect.errors.connector.name', sink),
    header('__connect.errors.task.id', '0'),
    header('__connect.errors.class.name', 'millrace'),
    header('kafka_dlt-original-topic', topic),
    header('kafka_dlt-original-partition', int32(partition)),
    header('kafka_dlt-original-consumer-group', group),
    header('millrace.route', route),
    header('millrace.sink', sink),
  ]
}

/** Those that all letters with the same fault share. */
function faultHeaders({ stage, code, reason }: DeadLetter): Header[] {
  return [
    header('__connect.errors.stage', stage),
    header('__connect.errors.exception.class.name', code),
    header('__connect.errors.exception.message', reason),
    header('kafka_dlt-exception-fqcn', code),
    header('kafka_dlt-exception-message', reason),
    header('millrace.stage', stage),
    header('millrace.code', code),
    header('millrace.reason', reason),
  ]
}

/** Those of each letter's own, encoded. */
function placeHeaders(offset: number, timestamp: number): Uint8Array {
  const text = String(offset)
  const headers = Buffer.allocUnsafe(placeTemplate.length + text.length)
  headers.set(placeTemplate)
  headers.writeBigInt64BE(BigInt(timestamp), timestampAt)
  headers.writeBigInt64BE(BigInt(offset), offsetAt)
  headers.writeInt32LE(text.length, placeTemplate.length - 4)
  headers.write(text, placeTemplate.length, 'latin1')
  return headers
}

const springTimestamp = header('kafka_dlt-original-timestamp', Buffer.alloc(8))
const springOffset = header('kafka_dlt-original-offset', Buffer.alloc(8))
/** With zeros for the numbers, and without the text of the last. */
const placeTemplate = encodeHeaders([springTimestamp, springOffset, header('__connect.errors.offset', '')])
const timestampAt = encodeHeaders([springTimestamp]).length - 8
const offsetAt = encodeHeaders([springTimestamp, springOffset]).length - 8

function header(name: string, value: string | Buffer): Header {
  return { name, value: typeof value === 'string' ? Buffer.from(value) : value }
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}
