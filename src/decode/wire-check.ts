import { isUtf8 } from 'node:buffer'
import { RecordFault, type RecordFaultCode } from './record-fault.ts'
import type { WireField, WireShape } from './wire-shape.ts'

/** Messages and groups may nest this deep below the root, as in protobuf's own libraries. */
export const depthMax = 100

/**
 * Reads a record's bytes once without keeping anything, and finds the first that cannot be taken as it is, with the field
 * and the byte. It is stricter than protobufjs, which follows the standard in being lenient where
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
  /** Returned, never thrown: unwinding the stack would be most of what a bad record costs. */
  #found: RecordFault | undefined

  /** What is wrong with `bytes[start .. end)`, which is nested `depth` deep; undefined when nothing is. */
  check(shape: WireShape, bytes: Uint8Array, start: number, end: number, depth = 0): RecordFault | undefined {
    this.#bytes = bytes
    this.#start = start
    this.#end = end
    this.#at = start
    this.#found = undefined
    this.#message(shape, end, depth, 0)
    return this.#found
  }

  // Each of these reads on from `#at`. It returns false, or a length or place below 0, when it has found a fault.

  /** Reads fields until `end`, or until the group `group` ends when that is not 0. */
  #message(shape: WireShape, end: number, depth: number, group: number): boolean {
    const bytes = this.#bytes
    while (this.#at < end) {
      const tagAt = this.#at
      const first = bytes[tagAt]!
      const tag = first < 0x80 ? (this.#at++, first) : this.#varint32(end, '')
      if (tag < 0) return false
      const id = tag >>> 3
      const wireType = tag & 7
      if (wireType === 4 && group !== 0 && id === group) return true
      const field = shape.get(id)
      if (field === undefined) {
        if (!this.#skip(id, wireType, end, depth, tagAt)) return false
      } else if (wireType === field.wireType) {
        if (!this.#value(field, id, end, depth)) return false
      } else if (wireType === 2 && field.packable) {
        if (!this.#packed(field, end)) return false
      } else return this.#refuseWireType(field, id, wireType, tagAt)
    }
    return group === 0 || this.#refuse('TRUNCATED', `group ${group} has no end`)
  }

  #value(field: WireField, id: number, end: number, depth: number): boolean {
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

  #nested(field: WireField, end: number, depth: number, group: number): boolean {
    if (depth > depthMax) return this.#refuse('TOO_DEEP', `messages nest deeper than ${depthMax}`, [field.name])
    const inner = group === 0 ? this.#lengthWithin(end, '') : end
    if (inner >= 0 && this.#message(field.shape!, inner, depth, group)) return true
    this.#found!.path.unshift(field.name)
    return false
  }

  #packed(field: WireField, end: number): boolean {
    const inner = this.#lengthWithin(end, field.name)
    while (this.#at < inner) if (!this.#value(field, 0, inner, 0)) return false
    return inner >= 0
  }

  #string(field: WireField, end: number): boolean {
    const length = this.#length(end, field.name)
    const start = this.#at
    if (!this.#advance(length, end, field.name)) return false
    const bytes = this.#bytes
    for (let at = start; at < start + length; at++) {
      if (bytes[at]! < 0x80) continue
      if (isUtf8(bytes.subarray(at, start + length))) return true
      return this.#refuse('BAD_UTF8', `a string of ${length} bytes is not valid UTF-8`, [field.name], start)
    }
    return true
  }

  /** A varint that must fit 32 bits. Up to four bytes always do. */
  #word(field: WireField, end: number): boolean {
    const start = this.#at
    if (this.#bytes[start]! < 0x80 && start < end) {
      this.#at++
      return true
    }
    if (!this.#varint(end, field.name)) return false
    if (this.#at - start <= 4) return true
    // Five bytes with the sign bit clear, as of nanoseconds: no BigInt is needed to see that they fit.
    if (this.#at - start === 5 && this.#bytes[this.#at - 1]! < 0x08) return true
    const value = varintValue(this.#bytes, start, this.#at)
    const fits = field.kind === 'uint32' ? value <= 0xffff_ffffn : BigInt.asIntN(32, value) === BigInt.asIntN(64, value)
    if (fits) return true
    const shown = field.kind === 'uint32' ? value : BigInt.asIntN(64, value)
    return this.#refuse('OUT_OF_RANGE', `${shown} does not fit 32 bits`, [field.name], start)
  }

  #skip(id: number, wireType: number, end: number, depth: number, tagAt: number): boolean {
    switch (id === 0 ? -1 : wireType) {
      case -1:
        return this.#refuse('MALFORMED', 'field number 0', [], tagAt)
      case 0:
        return this.#varint(end, id)
      case 1:
        return this.#advance(8, end, id)
      case 2:
        return this.#advance(this.#length(end, id), end, id)
      case 3:
        return this.#skipGroup(id, end, depth + 1)
      case 4:
        return this.#refuse('MALFORMED', `the end of a group ${id} that never began`, [], tagAt)
      case 5:
        return this.#advance(4, end, id)
      default:
        return this.#refuse('MALFORMED', `wire type ${wireType}`, [], tagAt)
    }
  }

  #skipGroup(group: number, end: number, depth: number): boolean {
    if (depth > depthMax) return this.#refuse('TOO_DEEP', `groups nest deeper than ${depthMax}`)
    while (this.#at < end) {
      const tagAt = this.#at
      const tag = this.#varint32(end, '')
      if (tag < 0) return false
      if ((tag & 7) === 4 && tag >>> 3 === group) return true
      if (!this.#skip(tag >>> 3, tag & 7, end, depth, tagAt)) return false
    }
    return this.#refuse('TRUNCATED', `group ${group} has no end`)
  }

  #length(end: number, name: FieldName): number {
    const first = this.#bytes[this.#at]!
    return this.#at < end && first < 0x80 ? (this.#at++, first) : this.#varint32(end, name)
  }

  /** Where the value ends of which the length comes next. */
  #lengthWithin(end: number, name: FieldName): number {
    const length = this.#length(end, name)
    if (length < 0) return -1
    if (length <= end - this.#at) return this.#at + length
    this.#refuseOverrun(length, end, name)
    return -1
  }

  /** Over `length` bytes; none when that is below 0. */
  #advance(length: number, end: number, name: FieldName): boolean {
    if (length < 0) return false
    if (length > end - this.#at) return this.#refuseOverrun(length, end, name)
    this.#at += length
    return true
  }

  #varint(end: number, name: FieldName): boolean {
    const bytes = this.#bytes
    const start = this.#at
    for (let at = start; at < end; at++) {
      if (bytes[at]! >= 0x80) {
        if (at - start >= 9) return this.#refuse('MALFORMED', 'a varint longer than 10 bytes', pathOf(name), start)
        continue
      }
      if (at - start === 9 && bytes[at]! > 1) {
        return this.#refuse('MALFORMED', 'a varint of more than 64 bits', pathOf(name), start)
      }
      this.#at = at + 1
      return true
    }
    return this.#refuseCut(end, name, start)
  }

  /** A tag or a length; -1 when it is bad. */
  #varint32(end: number, name: FieldName): number {
    const bytes = this.#bytes
    const start = this.#at
    let value = 0
    for (let index = 0, scale = 1; index < 5; index++, scale *= 128) {
      const at = start + index
      if (at >= end) {
        this.#refuseCut(end, name, start)
        return -1
      }
      const byte = bytes[at]!
      value += (byte & 0x7f) * scale
      if (byte >= 0x80) continue
      if (value > 0xffff_ffff) break
      this.#at = at + 1
      return value
    }
    this.#refuse('MALFORMED', 'a tag or length of more than 32 bits', pathOf(name), start)
    return -1
  }

  #refuseWireType(field: WireField, id: number, wireType: number, tagAt: number): false {
    if (wireType === 4 || wireType > 5) return this.#refuse('MALFORMED', `wire type ${wireType}`, [field.name], tagAt)
    const got = wireTypeNames[wireType]!
    const declared = wireTypeNames[field.wireType]!
    const message = `field number ${id} comes as ${got}, the schema says ${declared}: the producer uses another schema`
    return this.#refuse('WIRE_TYPE', message, [field.name], tagAt)
  }

  #refuseOverrun(length: number, end: number, name: FieldName): false {
    const left = end - this.#at
    if (end === this.#end) return this.#refuse('TRUNCATED', `${length} bytes expected, ${left} are left`, pathOf(name))
    return this.#refuse('MALFORMED', `${length} bytes expected, the message has ${left} left`, pathOf(name))
  }

  #refuseCut(end: number, name: FieldName, start: number): false {
    const code = end === this.#end ? 'TRUNCATED' : 'MALFORMED'
    return this.#refuse(code, 'a varint is cut off', pathOf(name), start)
  }

  #refuse(code: RecordFaultCode, message: string, path: string[] = [], at = this.#at): false {
    this.#found = new RecordFault(code, message, path, at - this.#start)
    return false
  }
}

/** Of one that is not declared the number; empty where the field is named already, or not known yet. */
type FieldName = string | number

const wireTypeNames = ['a varint', '8 bytes', 'a length and bytes', 'a group', 'the end of a group', '4 bytes'] as const

function pathOf(name: FieldName): string[] {
  if (typeof name === 'number') return [`field number ${name}`]
  return name === '' ? [] : [name]
}

function varintValue(bytes: Uint8Array, start: number, end: number): bigint {
  let value = 0n
  for (let at = end - 1; at >= start; at--) value = (value << 7n) | BigInt(bytes[at]! & 0x7f)
  return value
}
