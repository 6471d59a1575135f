import { durationSecondsMax, nanosMax, timestampSecondsMax, timestampSecondsMin } from './well-known.ts'

/**
 * The last step of a time: its seconds stand in its column already, as a 64-bit integer, and become microseconds there. Each
 * returns false when the time is out of range, by the rules of `checkTimestamp` and `checkDuration`.
 */

export function putTimestamp(slots: Int32Array, row: number, nanos: number): boolean {
  const seconds = secondsAt(slots, row)
  if (!isTimestamp(seconds, nanos)) return false
  putMicroseconds(slots, row, seconds, Math.floor(nanos / 1000))
  return true
}

/** As `putTimestamp`, but all of the nanoseconds are kept; out of range too when 64 bits cannot hold them. */
export function putNanoseconds(slots: Int32Array, row: number, nanos: number): boolean {
  const seconds = secondsAt(slots, row)
  if (!isTimestamp(seconds, nanos) || Math.abs(seconds) > nanosecondsSecondsMax) return false
  // In two parts that are each exact in a double: of 2^32 nanoseconds, and what is left of them.
  const upper = Math.floor(seconds / 2 ** 20) * 1_000_000_000
  const upperHigh = Math.floor(upper / 2 ** 12)
  const lower = (upper - upperHigh * 2 ** 12) * 2 ** 20 + modulo(seconds, 2 ** 20) * 1_000_000_000 + nanos
  const lowerHigh = Math.floor(lower / 2 ** 32)
  const high = upperHigh + lowerHigh
  slots[row * 2] = lower - lowerHigh * 2 ** 32
  slots[row * 2 + 1] = high
  return high >= -(2 ** 31) && high < 2 ** 31
}

export function putDuration(slots: Int32Array, row: number, nanos: number): boolean {
  const seconds = secondsAt(slots, row)
  if (!(Math.abs(seconds) <= durationSecondsMax && Math.abs(nanos) <= nanosMax)) return false
  if ((seconds < 0 && nanos > 0) || (seconds > 0 && nanos < 0)) return false
  putMicroseconds(slots, row, seconds, Math.trunc(nanos / 1000))
  return true
}

/** The time of a Kafka record, in milliseconds since 1970. */
export function putMilliseconds(slots: Int32Array, row: number, milliseconds: number): boolean {
  const seconds = Math.floor(milliseconds / 1000)
  if (!(seconds >= timestampSecondsMin && seconds <= timestampSecondsMax)) return false
  putMicroseconds(slots, row, seconds, (milliseconds - seconds * 1000) * 1000)
  return true
}

/** Beyond so many seconds their nanoseconds do not fit 64 bits, whatever comes after the second. */
const nanosecondsSecondsMax = 9_223_372_037

function isTimestamp(seconds: number, nanos: number): boolean {
  return seconds >= timestampSecondsMin && seconds <= timestampSecondsMax && nanos >= 0 && nanos <= nanosMax
}

const modulo = (value: number, divisor: number): number => value - Math.floor(value / divisor) * divisor

/** Beyond 2^53 it is rounded, which is out of range all the same. */
function secondsAt(slots: Int32Array, row: number): number {
  return slots[row * 2 + 1]! * 0x1_0000_0000 + (slots[row * 2]! >>> 0)
}

/** Up to so many seconds microseconds are exact in a double: until the year 2255. */
const numberSecondsMax = 9_000_000_000

function putMicroseconds(slots: Int32Array, row: number, seconds: number, micros: number): void {
  if (Math.abs(seconds) < numberSecondsMax) {
    const value = seconds * 1_000_000 + micros
    const high = Math.floor(value / 0x1_0000_0000)
    slots[row * 2] = value - high * 0x1_0000_0000
    slots[row * 2 + 1] = high
  } else {
    const value = BigInt(seconds) * 1_000_000n + BigInt(micros)
    slots[row * 2] = Number(BigInt.asIntN(32, value))
    slots[row * 2 + 1] = Number(BigInt.asIntN(32, value >> 32n))
  }
}
