import { isUtf8 } from 'node:buffer'
import { inField, RecordFault, type RecordFaultCode } from './record-fault.ts'
import type { WireField, WireShape } from './wire-shape.ts'

/** Messages and groups may nest this deep below the root, as in protobuf's own libraries. */
export const depthMax = 100

/**
 * Reads a record's bytes once without keeping anything, and throws a RecordFault at the first that cannot be taken as it
 * is, with the field and the byte. It is stricter than protobufjs, which follows the standard in being lenient where
 * leniency changes a value without a word. The rules, which every decoder follows:
 *
 * - A declared field must have its declared wire type (a repeated scalar may be packed or not). The standard would treat
 *   it as an unknown field, and the column would be empty although the producer wrote a value.
 * - int32 and enum: the varint, as a signed 64-bit number, must be within 32 bits; so a negative one takes ten bytes.
 *   uint32 and sint32: within unsigned 32 bits. The standard would cut off the upper half. bool: anything but 0 is true.
 * - A varint has at most 10 bytes and 64 bits, a tag or a length at most 5 bytes; more bytes than needed are no fault.
 * - Strings, map keys among them, are valid UTF-8 in proto2 too.
 * - Fields that are not declared are skipped, but must be well-formed; field numbers are not 0, groups end as they began.
 * - Messages and groups nest at most 100 deep; a map's entry is no level.
 * - A value of no bytes is a message of which all fields are absent.
 *
 * Later values of a field replace earlier ones and messages merge, as the standard says; that is no fault.
 */
export class WireCheck {
  #bytes: Uint8Array = new Uint8Array(0)
  #start = 0
  #end = 0
  #at = 0

  /** Checks `bytes[start .. end)`, which is nested `depth` deep. */
  check(shape: WireShape, bytes: Uint8Array, start: number, end: number, depth = 0): void {
    this.#bytes = bytes
    this.#start = start
    this.#end = end
    this.#at = start
    this.#message(shape, end, depth, 0)
  }

  /** Reads fields until `end`, or until the group `group` ends when that is not 0. */
  #message(shape: WireShape, end: number, depth: number, group: number): void {
    const bytes = this.#bytes
    while (this.#at < end) {
      const tagAt = this.#at
      const first = bytes[tagAt]!
      const tag = first < 0x80 ? (this.#at++, first) : this.#varint32(end, '')
      const id = tag >>> 3
      const wireType = tag & 7
      if (wireType === 4 && group !== 0 && id === group) return
      const field = shape.field(id)
      if (field === undefined) this.#skip(id, wireType, end, depth, tagAt)
      else if (wireType === field.wireType) this.#value(field, id, end, depth)
      else if (wireType === 2 && field.packable) this.#packed(field, end)
      else this.#refuseWireType(field, id, wireType, tagAt)
    }
    if (group !== 0) throw this.#fault('TRUNCATED', `group ${group} has no end`)
  }

  #value(field: WireField, id: number, end: number, depth: number): void {
    switch (field.kind) {
      case 'bool':
      case 'varint64':
        return this.#varint(end, field.name)
      case 'int32':
      case 'uint32':
        return this.#word(field, end)
      case 'fixed32':
        return this.#advance(4, end, field.name)
      case 'fixed64':
        return this.#advance(8, end, field.name)
      case 'bytes':
        return this.#advance(this.#length(end, field.name), end, field.name)
      case 'string':
        return this.#string(field, end)
      case 'map':
        return this.#nested(field, end, depth, 0)
      case 'message':
        return this.#nested(field, end, depth + 1, 0)
      case 'group':
        return this.#nested(field, end, depth + 1, id)
    }
  }

  #nested(field: WireField, end: number, depth: number, group: number): void {
    if (depth > depthMax) throw this.#fault('TOO_DEEP', `messages nest deeper than ${depthMax}`, [field.name])
    inField(field.name, () => {
      const inner = group === 0 ? this.#lengthWithin(end, '') : end
      this.#message(field.shape!, inner, depth, group)
    })
  }

  #packed(field: WireField, end: number): void {
    const inner = this.#lengthWithin(end, field.name)
    while (this.#at < inner) this.#value(field, 0, inner, 0)
  }

  #string(field: WireField, end: number): void {
    const length = this.#length(end, field.name)
    const start = this.#at
    this.#advance(length, end, field.name)
    const bytes = this.#bytes
    for (let at = start; at < start + length; at++) {
      if (bytes[at]! < 0x80) continue
      if (isUtf8(bytes.subarray(at, start + length))) return
      throw this.#fault('BAD_UTF8', `a string of ${length} bytes is not valid UTF-8`, [field.name], start)
    }
  }

  /** A varint that must fit 32 bits. Up to four bytes always do. */
  #word(field: WireField, end: number): void {
    const start = this.#at
    if (this.#bytes[start]! < 0x80 && start < end) {
      this.#at++
      return
    }
    this.#varint(end, field.name)
    if (this.#at - start <= 4) return
    // Five bytes with the sign bit clear, as of nanoseconds: no BigInt is needed to see that they fit.
    if (this.#at - start === 5 && this.#bytes[this.#at - 1]! < 0x08) return
    const value = varintValue(this.#bytes, start, this.#at)
    const fits = field.kind === 'uint32' ? value <= 0xffff_ffffn : BigInt.asIntN(32, value) === BigInt.asIntN(64, value)
    if (fits) return
    const shown = field.kind === 'uint32' ? value : BigInt.asIntN(64, value)
    throw this.#fault('OUT_OF_RANGE', `${shown} does not fit 32 bits`, [field.name], start)
  }

  #skip(id: number, wireType: number, end: number, depth: number, tagAt: number): void {
    const name = `field number ${id}`
    if (id === 0) throw this.#fault('MALFORMED', 'field number 0', [], tagAt)
    if (wireType === 0) this.#varint(end, name)
    else if (wireType === 1) this.#advance(8, end, name)
    else if (wireType === 2) this.#advance(this.#length(end, name), end, name)
    else if (wireType === 5) this.#advance(4, end, name)
    else if (wireType === 3) this.#skipGroup(id, end, depth + 1)
    else
      throw this.#fault(
        'MALFORMED',
        wireType === 4 ? `the end of a group ${id} that never began` : `wire type ${wireType}`,
        [],
        tagAt,
      )
  }

  #skipGroup(group: number, end: number, depth: number): void {
    if (depth > depthMax) throw this.#fault('TOO_DEEP', `groups nest deeper than ${depthMax}`)
    while (this.#at < end) {
      const tagAt = this.#at
      const tag = this.#varint32(end, '')
      if ((tag & 7) === 4 && tag >>> 3 === group) return
      this.#skip(tag >>> 3, tag & 7, end, depth, tagAt)
    }
    throw this.#fault('TRUNCATED', `group ${group} has no end`)
  }

  #length(end: number, name: string): number {
    const first = this.#bytes[this.#at]!
    return this.#at < end && first < 0x80 ? (this.#at++, first) : this.#varint32(end, name)
  }

  /** Where the value ends of which the length comes next. */
  #lengthWithin(end: number, name: string): number {
    const length = this.#length(end, name)
    if (length > end - this.#at) throw this.#overrun(length, end, name)
    return this.#at + length
  }

  #advance(length: number, end: number, name: string): void {
    if (length > end - this.#at) throw this.#overrun(length, end, name)
    this.#at += length
  }

  #varint(end: number, name: string): void {
    const bytes = this.#bytes
    const start = this.#at
    for (let at = start; at < end; at++) {
      if (bytes[at]! >= 0x80) {
        if (at - start >= 9) throw this.#fault('MALFORMED', 'a varint longer than 10 bytes', pathOf(name), start)
        continue
      }
      if (at - start === 9 && bytes[at]! > 1) {
        throw this.#fault('MALFORMED', 'a varint of more than 64 bits', pathOf(name), start)
      }
      this.#at = at + 1
      return
    }
    throw this.#cut(end, 'a varint', name, start)
  }

  /** A tag or a length. */
  #varint32(end: number, name: string): number {
    const bytes = this.#bytes
    const start = this.#at
    let value = 0
    for (let index = 0; index < 5; index++) {
      const at = start + index
      if (at >= end) throw this.#cut(end, 'a varint', name, start)
      const byte = bytes[at]!
      value += (byte & 0x7f) * 2 ** (index * 7)
      if (byte >= 0x80) continue
      if (value > 0xffff_ffff) break
      this.#at = at + 1
      return value
    }
    throw this.#fault('MALFORMED', 'a tag or length of more than 32 bits', pathOf(name), start)
  }

  #refuseWireType(field: WireField, id: number, wireType: number, tagAt: number): never {
    if (wireType === 4 || wireType > 5) throw this.#fault('MALFORMED', `wire type ${wireType}`, [field.name], tagAt)
    const got = wireTypeNames[wireType]!
    const declared = wireTypeNames[field.wireType]!
    throw this.#fault(
      'WIRE_TYPE',
      `field number ${id} comes as ${got}, the schema says ${declared}: the producer uses another schema`,
      [field.name],
      tagAt,
    )
  }

  #overrun(length: number, end: number, name: string): RecordFault {
    const left = end - this.#at
    if (end === this.#end) return this.#fault('TRUNCATED', `${length} bytes expected, ${left} are left`, pathOf(name))
    return this.#fault('MALFORMED', `${length} bytes expected, the message has ${left} left`, pathOf(name))
  }

  #cut(end: number, what: string, name: string, start: number): RecordFault {
    const code = end === this.#end ? 'TRUNCATED' : 'MALFORMED'
    return this.#fault(code, `${what} is cut off`, pathOf(name), start)
  }

  #fault(code: RecordFaultCode, message: string, path: string[] = [], at = this.#at): RecordFault {
    return new RecordFault(code, message, path, at - this.#start)
  }
}

const wireTypeNames = ['a varint', '8 bytes', 'a length and bytes', 'a group', 'the end of a group', '4 bytes'] as const

function pathOf(name: string): string[] {
  return name === '' ? [] : [name]
}

function varintValue(bytes: Uint8Array, start: number, end: number): bigint {
  let value = 0n
  for (let at = end - 1; at >= start; at--) value = (value << 7n) | BigInt(bytes[at]! & 0x7f)
  return value
}
