import { isUtf8 } from 'node:buffer'
import { isUtf8Text } from './utf8.ts'
import { depthMax } from './wire-check.ts'

/**
 * What compiled decoders call. Each reads at `at`, not beyond `end`, and returns where it stopped, or -1 when `WireCheck`
 * would refuse the bytes. Not an exception: a decoder only needs to know that a record is bad, not yet why.
 */

/** The last varint read: its low word and its high word. */
export const words = new Int32Array(2)
/** The last tag or length read. */
export const unsigned = new Uint32Array(1)

/** Reads a varint of up to 64 bits into `words`. */
export function readVarint(bytes: Uint8Array, at: number, end: number): number {
  let low = 0
  let high = 0
  // Four bytes are 28 bits; the fifth is shared by both words.
  for (let shift = 0; shift < 28; shift += 7) {
    if (at >= end) return -1
    const byte = bytes[at++]!
    low |= (byte & 0x7f) << shift
    if (byte < 0x80) {
      words[0] = low
      words[1] = 0
      return at
    }
  }
  if (at >= end) return -1
  const fifth = bytes[at++]!
  low |= fifth << 28
  high = (fifth & 0x7f) >> 4
  if (fifth >= 0x80) {
    for (let shift = 3; ; shift += 7) {
      if (at >= end) return -1
      const byte = bytes[at++]!
      // The tenth byte has one bit left.
      if (shift === 31 && byte > 1) return -1
      high |= (byte & 0x7f) << shift
      if (byte < 0x80) break
    }
  }
  words[0] = low
  words[1] = high
  return at
}

/** Reads a tag or a length into `unsigned`. */
export function readUnsigned(bytes: Uint8Array, at: number, end: number): number {
  let value = 0
  for (let shift = 0; shift < 28; shift += 7) {
    if (at >= end) return -1
    const byte = bytes[at++]!
    value |= (byte & 0x7f) << shift
    if (byte < 0x80) {
      unsigned[0] = value
      return at
    }
  }
  if (at >= end) return -1
  const fifth = bytes[at++]!
  if (fifth > 0x0f) return -1
  unsigned[0] = value | (fifth << 28)
  return at
}

/** Skips the value of a field that is not declared, after its tag. `depth` is that of the message it is in. */
export function skipField(bytes: Uint8Array, tag: number, at: number, end: number, depth: number): number {
  if (tag >>> 3 === 0) return -1
  switch (tag & 7) {
    case 0:
      return readVarint(bytes, at, end)
    case 1:
      return end - at < 8 ? -1 : at + 8
    case 2: {
      at = readUnsigned(bytes, at, end)
      return at < 0 || unsigned[0]! > end - at ? -1 : at + unsigned[0]!
    }
    case 3:
      return skipGroup(bytes, (tag + 1) >>> 0, at, end, depth + 1)
    case 5:
      return end - at < 4 ? -1 : at + 4
    default:
      return -1
  }
}

function skipGroup(bytes: Uint8Array, endTag: number, at: number, end: number, depth: number): number {
  if (depth > depthMax) return -1
  while (at >= 0 && at < end) {
    at = readUnsigned(bytes, at, end)
    if (at < 0) return -1
    const tag = unsigned[0]!
    if (tag === endTag) return at
    at = skipField(bytes, tag, at, end, depth)
  }
  return -1
}

/** From here on native code is faster, though it needs a view of the bytes. */
const nativeBytesMin = 256

/**
 * Copies text of `length` bytes from `source[at]` to `target[to]`, which has room for it, checking on the way that it is
 * UTF-8. Returns where it ends in `target`. By four bytes at a time, because nearly all telemetry is ASCII.
 */
export function copyText(
  source: Uint8Array,
  sourceView: DataView,
  at: number,
  length: number,
  target: Uint8Array,
  targetView: DataView,
  to: number,
): number {
  const end = at + length
  if (length >= nativeBytesMin) {
    const text = source.subarray(at, end)
    if (!isUtf8(text)) return -1
    target.set(text, to)
    return to + length
  }
  for (; end - at >= 4; at += 4, to += 4) {
    const four = sourceView.getInt32(at, true)
    if ((four & 0x80808080) !== 0) break
    targetView.setInt32(to, four, true)
  }
  for (; at < end; at++, to++) {
    const byte = source[at]!
    if (byte >= 0x80) {
      return isUtf8Text(source, at, end) ? copyBytes(source, sourceView, at, end - at, target, targetView, to) : -1
    }
    target[to] = byte
  }
  return to
}

/** Copies bytes as {@link copyText} does, whatever they are. */
export function copyBytes(
  source: Uint8Array,
  sourceView: DataView,
  at: number,
  length: number,
  target: Uint8Array,
  targetView: DataView,
  to: number,
): number {
  const end = at + length
  if (length >= nativeBytesMin) {
    target.set(source.subarray(at, end), to)
    return to + length
  }
  for (; end - at >= 4; at += 4, to += 4) targetView.setInt32(to, sourceView.getInt32(at, true), true)
  for (; at < end; at++, to++) target[to] = source[at]!
  return to
}
