/**
 * Fields as they are on the wire (https://protobuf.dev/programming-guides/encoding/), written by hand: an encoder of a library
 * would share its mistakes with the decoder, and refuses what is no value.
 */

const wireTypes = { varint: 0, fixed64: 1, lengthDelimited: 2, fixed32: 5 } as const

/** A number below zero is its 64-bit complement, as for int32 and int64. */
export function varint(field: number, value: bigint): Buffer {
  return Buffer.concat([tag(field, 'varint'), plain(BigInt.asUintN(64, value))])
}

export function zigzag(field: number, value: bigint): Buffer {
  return varint(field, value < 0n ? -2n * value - 1n : 2n * value)
}

export function fixed64(field: number, value: bigint): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64LE(BigInt.asUintN(64, value))
  return Buffer.concat([tag(field, 'fixed64'), bytes])
}

export function fixed32(field: number, value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value >>> 0)
  return Buffer.concat([tag(field, 'fixed32'), bytes])
}

export function double(field: number, value: number): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeDoubleLE(value)
  return Buffer.concat([tag(field, 'fixed64'), bytes])
}

export function float(field: number, value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeFloatLE(value)
  return Buffer.concat([tag(field, 'fixed32'), bytes])
}

export function text(field: number, value: string): Buffer {
  return lengthDelimited(field, Buffer.from(value))
}

export function bytes(field: number, value: Uint8Array): Buffer {
  return lengthDelimited(field, value)
}

/** A message, a packed list, or an entry of a map. */
export function lengthDelimited(field: number, value: Uint8Array): Buffer {
  return Buffer.concat([tag(field, 'lengthDelimited'), plain(BigInt(value.length)), value])
}

function tag(field: number, type: keyof typeof wireTypes): Buffer {
  return plain(BigInt((field << 3) | wireTypes[type]))
}

function plain(value: bigint): Buffer {
  const bytes: number[] = []
  for (let left = value; ; left >>= 7n) {
    const low = Number(left & 127n)
    if (left < 128n) {
      bytes.push(low)
      return Buffer.from(bytes)
    }
    bytes.push(low | 128)
  }
}
