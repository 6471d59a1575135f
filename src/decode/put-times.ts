import { durationSecondsMax, nanosMax, timestampSecondsMax, timestampSecondsMin } from './well-known.ts'

/**
 * The last step of a time: its seconds stand in its column already, as a 64-bit integer, and become microseconds there. Each
 * returns false when the time is out of range, by the rules of `checkTimestamp` and `checkDuration`.
 */

export function putTimestamp(slots: Int32Array, row: number, nanos: number): boolean {
  const seconds = secondsAt(slots, row)
  if (!(seconds >= timestampSecondsMin && seconds <= timestampSecondsMax)) return false
  if (!(nanos >= 0 && nanos <= nanosMax)) return false
  putMicroseconds(slots, row, seconds, Math.floor(nanos / 1000))
  return true
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
