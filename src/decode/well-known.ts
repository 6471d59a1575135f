import type { Field, Type } from 'protobufjs'
import { SchemaError } from '../errors.ts'
import { RecordFault } from './record-fault.ts'

/** What a message type of google.protobuf means beyond its fields. */
export type WellKnown =
  'timestamp' | 'duration' | 'wrapper' | 'struct' | 'value' | 'list' | 'any' | 'fieldMask' | 'empty' | undefined

/** The well-known meaning of `type`; undefined for an ordinary message. */
export function wellKnown(type: Type): WellKnown {
  return byName.get(type.fullName)
}

const byName: ReadonlyMap<string, WellKnown> = new Map<string, WellKnown>([
  ['.google.protobuf.Timestamp', 'timestamp'],
  ['.google.protobuf.Duration', 'duration'],
  ['.google.protobuf.Struct', 'struct'],
  ['.google.protobuf.Value', 'value'],
  ['.google.protobuf.ListValue', 'list'],
  ['.google.protobuf.Any', 'any'],
  ['.google.protobuf.FieldMask', 'fieldMask'],
  ['.google.protobuf.Empty', 'empty'],
  ...['Double', 'Float', 'Int64', 'UInt64', 'Int32', 'UInt32', 'Bool', 'String', 'Bytes'].map(
    (scalar) => [`.google.protobuf.${scalar}Value`, 'wrapper'] as const,
  ),
])

/** Whether the fields of a Timestamp, Duration or wrapper are those that Google gave it: a schema may bring its own. */
export function isAsDefined(type: Type): boolean {
  const types = wellKnown(type) === 'wrapper' ? [undefined] : ['int64', 'int32']
  return (
    type.fieldsArray.length === types.length &&
    type.fieldsArray.every((field) => {
      const { id, type, repeated, map, required, partOf, resolvedType } = field.resolve()
      const isPlain = !repeated && !map && !required && partOf === null && resolvedType === null
      return isPlain && id <= types.length && (types[id - 1] ?? type) === type
    })
  )
}

/** True for the enum whose only value is JSON's null. */
export function isNullValue(field: Field): boolean {
  return field.resolvedType?.fullName === '.google.protobuf.NullValue'
}

/** The field of that number: the names differ between protobufjs' own definitions and a descriptor set's. */
export function fieldOf(type: Type, id: number): Field {
  const field = type.fieldsById[id]
  if (field === undefined) throw new SchemaError(`${type.fullName.slice(1)} lacks its field ${id}: it is not Google's`)
  return field.resolve()
}

/** A 64-bit integer as protobufjs gives it: two 32-bit words. */
export interface Words {
  readonly low: number
  readonly high: number
  readonly unsigned: boolean
}

/** A Timestamp or Duration as decoded. */
export interface SecondsAndNanos {
  readonly seconds: number
  readonly nanos: number
}

/** 0001-01-01T00:00:00Z and 9999-12-31T23:59:59Z, the range that google.protobuf.Timestamp allows. */
export const timestampSecondsMin = -62_135_596_800
export const timestampSecondsMax = 253_402_300_799
/** 10 000 years, the range that google.protobuf.Duration allows. */
export const durationSecondsMax = 315_576_000_000
export const nanosMax = 999_999_999

/** Reads a Timestamp's or Duration's fields. `seconds` beyond 2^53 is rounded, which is out of range all the same. */
export function secondsAndNanos(type: Type): (message: Readonly<Record<string, unknown>>) => SecondsAndNanos {
  const secondsName = fieldOf(type, 1).name
  const nanosName = fieldOf(type, 2).name
  return (message) => {
    const { low, high } = message[secondsName] as Words
    return { seconds: high * 0x1_0000_0000 + (low >>> 0), nanos: message[nanosName] as number }
  }
}

/** What is wrong with a time; nothing when its year is in 1 .. 9999 and the nanoseconds count forward from the second. */
export function timestampFault({ seconds, nanos }: SecondsAndNanos): RecordFault | undefined {
  if (!(seconds >= timestampSecondsMin && seconds <= timestampSecondsMax)) {
    return new RecordFault('OUT_OF_RANGE', `${seconds} s since 1970 is outside the years 1 to 9999`)
  }
  if (nanos >= 0 && nanos <= nanosMax) return undefined
  return new RecordFault('OUT_OF_RANGE', `${nanos} ns is outside 0 to 999999999`)
}

/** What is wrong with a duration; nothing when it is within 10 000 years and its two parts agree in sign. */
export function durationFault({ seconds, nanos }: SecondsAndNanos): RecordFault | undefined {
  if (!(Math.abs(seconds) <= durationSecondsMax)) {
    return new RecordFault('OUT_OF_RANGE', `a duration of ${seconds} s is beyond 10000 years`)
  }
  if (!(Math.abs(nanos) <= nanosMax)) {
    return new RecordFault('OUT_OF_RANGE', `${nanos} ns is outside -999999999 to 999999999`)
  }
  if ((seconds >= 0 || nanos <= 0) && (seconds <= 0 || nanos >= 0)) return undefined
  return new RecordFault('OUT_OF_RANGE', `a duration of ${seconds} s and ${nanos} ns differs in sign`)
}

/** Throws what is wrong with a time or duration. */
export function refuse(fault: RecordFault | undefined): void {
  if (fault !== undefined) throw fault
}
