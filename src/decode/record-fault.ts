/**
 * Why a record can never become a row.
 * - TRUNCATED: its bytes end before a field does.
 * - MALFORMED: no protobuf encoding at all: field number 0, an endless varint, a length that overruns its message.
 * - WIRE_TYPE: a declared field has another wire type than its schema says: the producer's schema is not ours.
 * - BAD_UTF8: a string field, or a header that is stored, holds bytes that are no UTF-8.
 * - TOO_DEEP: messages or groups nest deeper than 100.
 * - OUT_OF_RANGE: a number, Timestamp or Duration that its type cannot hold; it would have to be bent to be stored.
 * - MISSING_REQUIRED: a proto2 `required` field is absent.
 * - NOT_JSON: a value that the protobuf JSON mapping refuses, such as NaN in google.protobuf.Value.
 * - TOO_LARGE: the record, the number of its headers, or the JSON text of a column is beyond its bound.
 * - FRAMING: its value does not begin as the route's `decode.framing` says.
 * - TOMBSTONE: its value is null, and the route asks to dead-letter those.
 */
export type RecordFaultCode =
  | 'TRUNCATED'
  | 'MALFORMED'
  | 'WIRE_TYPE'
  | 'BAD_UTF8'
  | 'TOO_DEEP'
  | 'OUT_OF_RANGE'
  | 'MISSING_REQUIRED'
  | 'NOT_JSON'
  | 'TOO_LARGE'
  | 'FRAMING'
  | 'TOMBSTONE'

/** A record that is at fault. Never leaves the decoder: it becomes a `BadRecord`, which is data. */
export class RecordFault extends Error {
  override readonly name = 'RecordFault'
  readonly code: RecordFaultCode
  /** Names of the fields down to the fault, outermost first. */
  readonly path: string[]
  /** Byte of the record's value, from 0; undefined when the fault is in a decoded value. */
  readonly position: number | undefined

  constructor(code: RecordFaultCode, message: string, path: string[] = [], position?: number) {
    // Its place is in the record, not in our code: a stack would cost more than all else about a bad record.
    const { stackTraceLimit } = Error
    Error.stackTraceLimit = 0
    super(message)
    Error.stackTraceLimit = stackTraceLimit
    this.code = code
    this.path = path
    this.position = position
  }

  /** The same of a message that begins so many bytes into the record's value. */
  movedBy(bytes: number): RecordFault {
    if (bytes === 0 || this.position === undefined) return this
    return new RecordFault(this.code, this.message, this.path, this.position + bytes)
  }

  /** The fault in one line: `location.latitude: 8 bytes expected, 3 are left (at byte 61)`. */
  get reason(): string {
    const place = this.path.length === 0 ? '' : `${this.path.join('.')}: `
    return `${place}${this.message}${this.position === undefined ? '' : ` (at byte ${this.position})`}`
  }
}

/** Runs `act`; a fault in it happened inside the field `name`. */
export function inField<Result>(name: string, act: () => Result): Result {
  try {
    return act()
  } catch (error) {
    if (error instanceof RecordFault) error.path.unshift(name)
    throw error
  }
}
