import type { SecondsAndNanos } from '../well-known.ts'

/**
 * Writes JSON's values as bytes, each to `target[to]`, which has room for it, and returns where it ends. The texts are those
 * of `JsonMapping`, made without a JavaScript string, save for numbers with a fraction: V8's shortest form of those has no
 * other door.
 */

const zero = 0x30
const minus = 0x2d
const point = 0x2e
const quote = 0x22
const backslash = 0x5c

/** No number's text is longer: `"-9223372036854775808"`, `-2.2250738585072014e-308`; nor that of a Timestamp or Duration. */
export const numberBytesMax = 40

/** A whole number of up to 2^53, not negative. */
export function putWhole(value: number, target: Uint8Array, to: number): number {
  if (value < 10) {
    target[to] = zero + value
    return to + 1
  }
  if (value > 0x7fff_ffff) {
    // What is above nine digits first, so that the rest is a small integer.
    const above = Math.floor(value / 1e9)
    return putPadded(value - above * 1e9, 9, target, putWhole(above, target, to))
  }
  let digits = 1
  for (let power = 10; digits < 10 && value >= power; power *= 10) digits++
  return putPadded(value, digits, target, to)
}

/** So many digits of a number below 2^31, from the left with zeros. */
function putPadded(value: number, digits: number, target: Uint8Array, to: number): number {
  let rest = value | 0
  for (let at = to + digits - 1; at >= to; at--) {
    const tenth = (rest / 10) | 0
    target[at] = zero + (rest - tenth * 10)
    rest = tenth
  }
  return to + digits
}

/** A whole number between -2^53 and 2^53. */
export function putSigned(value: number, target: Uint8Array, to: number): number {
  if (value >= 0) return putWhole(value, target, to)
  target[to] = minus
  return putWhole(-value, target, to + 1)
}

/** A 64-bit integer of two words, without quotes. */
export function putWide(low: number, high: number, signed: boolean, target: Uint8Array, to: number): number {
  if (signed && high < 0) {
    target[to++] = minus
    high = ~high + (low === 0 ? 1 : 0)
    low = -low
  }
  return putWideUnsigned(low >>> 0, high >>> 0, target, to)
}

function putWideUnsigned(low: number, high: number, target: Uint8Array, to: number): number {
  if (high < 0x20_0000) return putWhole(high * 0x1_0000_0000 + low, target, to)
  // Long division by 10^9 in digits of 32, 16 and 16 bits: no step goes beyond 2^53.
  const first = Math.floor(high / 1e9)
  const middle = (high - first * 1e9) * 0x1_0000 + (low >>> 16)
  const second = Math.floor(middle / 1e9)
  const last = (middle - second * 1e9) * 0x1_0000 + (low & 0xffff)
  const third = Math.floor(last / 1e9)
  const above = first * 0x1_0000_0000 + second * 0x1_0000 + third
  return putPadded(last - third * 1e9, 9, target, putWhole(above, target, to))
}

/** A double as JavaScript writes it, -0 as `-0`; NaN and infinities in quotes. */
export function putDouble(value: number, target: Uint8Array, to: number): number {
  if (Number.isSafeInteger(value)) {
    if (!Object.is(value, -0)) return putSigned(value, target, to)
    target[to] = minus
    target[to + 1] = zero
    return to + 2
  }
  if (Math.round(value * decimalsScale) / decimalsScale === value && Math.abs(value) < 1e9) {
    return putDecimal(value, target, to)
  }
  return putAscii(Number.isFinite(value) ? String(value) : `"${value}"`, target, to)
}

/** Numbers with up to six digits after the point, as most measurements have, need no string. */
const decimals = 6
const decimalsScale = 1e6

/**
 * A number that is `n / 10^6` exactly. Both are exact as doubles, so that their quotient is the double nearest to that decimal
 * number; and of decimal numbers of up to 15 digits no two have the same double: it is the one that JavaScript writes.
 */
function putDecimal(value: number, target: Uint8Array, to: number): number {
  if (value < 0) target[to++] = minus
  const digits = Math.round(Math.abs(value) * decimalsScale)
  const whole = Math.floor(digits / decimalsScale)
  to = putWhole(whole, target, to)
  target[to] = point
  to = putPadded(digits - whole * decimalsScale, decimals, target, to + 1)
  while (target[to - 1] === zero) to--
  return to
}

function putAscii(text: string, target: Uint8Array, to: number): number {
  for (let index = 0; index < text.length; index++) target[to + index] = text.charCodeAt(index)
  return to + text.length
}

/** For each byte that JSON.stringify escapes: the letter after the backslash, `u` for six characters; 0 for all others. */
const escapes = new Uint8Array(256)
escapes.fill(0x75, 0, 0x20)
for (const [byte, letter] of Object.entries({ 8: 'b', 9: 't', 10: 'n', 12: 'f', 13: 'r', 34: '"', 92: '\\' })) {
  escapes[Number(byte)] = letter.charCodeAt(0)
}

const hexDigits = new Uint8Array(Buffer.from('0123456789abcdef'))

/** Text of UTF-8 in quotes; takes up to `length * 6 + 2` bytes. By four bytes at a time where none needs escaping. */
export function putText(
  source: Uint8Array,
  sourceView: DataView,
  at: number,
  length: number,
  target: Uint8Array,
  targetView: DataView,
  to: number,
): number {
  const end = at + length
  target[to++] = quote
  for (; end - at >= 4; at += 4, to += 4) {
    const four = sourceView.getInt32(at, true)
    const quotes = four ^ 0x22222222
    const backslashes = four ^ 0x5c5c5c5c
    const controls = (four - 0x20202020) & ~four
    const found = controls | ((quotes - 0x01010101) & ~quotes) | ((backslashes - 0x01010101) & ~backslashes)
    // At least one is below 0x20, a quote or a backslash (https://graphics.stanford.edu/~seander/bithacks.html#ZeroInWord).
    if ((found & 0x80808080) !== 0) break
    targetView.setInt32(to, four, true)
  }
  for (; at < end; at++) {
    const byte = source[at]!
    const escape = escapes[byte]!
    if (escape === 0) target[to++] = byte
    else to = putEscape(byte, escape, target, to)
  }
  target[to] = quote
  return to + 1
}

function putEscape(byte: number, escape: number, target: Uint8Array, to: number): number {
  target[to] = backslash
  target[to + 1] = escape
  if (escape !== 0x75) return to + 2
  target[to + 2] = zero
  target[to + 3] = zero
  target[to + 4] = hexDigits[byte >> 4]!
  target[to + 5] = hexDigits[byte & 15]!
  return to + 6
}

const base64Digits = new Uint8Array(Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'))

/** Bytes as standard base64 with padding, in quotes; takes `ceil(length / 3) * 4 + 2` bytes. */
export function putBase64(source: Uint8Array, at: number, length: number, target: Uint8Array, to: number): number {
  target[to++] = quote
  const end = at + length
  for (; end - at >= 3; at += 3) {
    const three = (source[at]! << 16) | (source[at + 1]! << 8) | source[at + 2]!
    target[to++] = base64Digits[three >> 18]!
    target[to++] = base64Digits[(three >> 12) & 63]!
    target[to++] = base64Digits[(three >> 6) & 63]!
    target[to++] = base64Digits[three & 63]!
  }
  if (at < end) {
    const second = end - at === 2 ? source[at + 1]! : 0
    target[to++] = base64Digits[source[at]! >> 2]!
    target[to++] = base64Digits[((source[at]! & 3) << 4) | (second >> 4)]!
    target[to++] = end - at === 2 ? base64Digits[(second & 15) << 2]! : 0x3d
    target[to++] = 0x3d
  }
  target[to] = quote
  return to + 1
}

const secondsPerDay = 86_400
/** Days from 0000-03-01 to 1970-01-01. */
const daysToEpoch = 719_468
const daysPerEra = 146_097

/**
 * A Timestamp of the years 1 to 9999, in quotes: `"2026-11-26T07:03:45.377Z"`. The date is that of Howard Hinnant's
 * `civil_from_days` (https://howardhinnant.github.io/date_algorithms.html): years begin in March, eras have 400 of them.
 */
export function putTimestampText({ seconds, nanos }: SecondsAndNanos, target: Uint8Array, to: number): number {
  const days = Math.floor(seconds / secondsPerDay)
  const time = seconds - days * secondsPerDay
  const shifted = days + daysToEpoch
  const era = Math.floor(shifted / daysPerEra)
  const dayOfEra = shifted - era * daysPerEra
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365,
  )
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100))
  const marchMonth = Math.floor((5 * dayOfYear + 2) / 153)
  const day = dayOfYear - Math.floor((153 * marchMonth + 2) / 5) + 1
  const month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
  const year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
  target[to] = quote
  to = putBefore(year, 4, minus, target, to + 1)
  to = putBefore(month, 2, minus, target, to)
  to = putBefore(day, 2, 0x54, target, to)
  to = putBefore(Math.floor(time / 3600), 2, 0x3a, target, to)
  to = putBefore(Math.floor(time / 60) % 60, 2, 0x3a, target, to)
  to = putFraction(nanos, target, putPadded(time % 60, 2, target, to))
  target[to] = 0x5a
  target[to + 1] = quote
  return to + 2
}

/** A Duration in quotes: `"-1.500s"`. */
export function putDurationText({ seconds, nanos }: SecondsAndNanos, target: Uint8Array, to: number): number {
  target[to++] = quote
  if (seconds < 0 || nanos < 0) target[to++] = minus
  to = putFraction(Math.abs(nanos), target, putWhole(Math.abs(seconds), target, to))
  target[to] = 0x73
  target[to + 1] = quote
  return to + 2
}

/** So many digits, then the byte `after`. */
function putBefore(value: number, digits: number, after: number, target: Uint8Array, to: number): number {
  const end = putPadded(value, digits, target, to)
  target[end] = after
  return end + 1
}

/** 0, 3, 6 or 9 digits. */
function putFraction(nanos: number, target: Uint8Array, to: number): number {
  if (nanos === 0) return to
  target[to] = point
  if (nanos % 1_000_000 === 0) return putPadded(nanos / 1_000_000, 3, target, to + 1)
  return nanos % 1000 === 0 ? putPadded(nanos / 1000, 6, target, to + 1) : putPadded(nanos, 9, target, to + 1)
}
