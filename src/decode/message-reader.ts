import protobuf from 'protobufjs'
import { mendMessages } from './mend-messages.ts'
import { RecordFault } from './record-fault.ts'
import { type RequiredCheck, requiredCheck } from './required-fields.ts'
import { WireCheck } from './wire-check.ts'
import type { WireShape, WireShapes } from './wire-shape.ts'

/** A decoded message of protobufjs: a field that is absent is not its own property, but its prototype's default. */
export type Message = Readonly<Record<string, unknown>>

/**
 * From bytes to a protobufjs message, checked first: protobufjs is lenient in ways that lose values (see `WireCheck`), and
 * its errors name neither the field nor the byte.
 */
export class MessageReader {
  readonly #type: protobuf.Type
  readonly #shape: WireShape
  readonly #check = new WireCheck()
  readonly #missing: RequiredCheck | undefined
  /** One for all records of a slab, so that no view is made for each. */
  #reader = new CheckedReader(new Uint8Array(0))

  constructor(type: protobuf.Type, shapes: WireShapes) {
    this.#type = type
    this.#shape = shapes.of(type)
    this.#missing = requiredCheck(type)
    mendMessages(type)
  }

  /**
   * Reads `bytes[start .. end)`, which is nested `depth` deep. Byte fields of the message are views of `bytes`. Throws a
   * RecordFault and nothing else.
   */
  read(bytes: Uint8Array, start: number, end: number, depth = 0): Message {
    const fault = this.check(bytes, start, end, depth)
    if (fault !== undefined) throw fault
    return this.readChecked(bytes, start, end)
  }

  /** What is wrong with the bytes, whatever they say. */
  check(bytes: Uint8Array, start: number, end: number, depth = 0): RecordFault | undefined {
    return this.#check.check(this.#shape, bytes, start, end, depth)
  }

  /** Reads bytes that `check` has found nothing wrong with. Throws a RecordFault and nothing else. */
  readChecked(bytes: Uint8Array, start: number, end: number): Message {
    if (this.#reader.buf !== bytes) this.#reader = new CheckedReader(bytes)
    const reader = this.#reader
    reader.pos = start
    reader.len = end
    const message = this.#decode(reader, end - start)
    const missing = this.#missing?.(message)
    if (missing !== undefined) throw missing
    return message
  }

  /** Never seen to fail where the check found nothing; but a record must not end the thread. */
  #decode(reader: CheckedReader, length: number): Message {
    try {
      return this.#type.decode(reader, length)
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error)
      throw new RecordFault('MALFORMED', `protobufjs cannot decode it: ${message}`)
    }
  }
}

/** Reads bytes that `WireCheck` has taken: text need not be found to be UTF-8 a second time. */
class CheckedReader extends protobuf.Reader {
  override stringVerify(): string {
    return this.string()
  }
}
