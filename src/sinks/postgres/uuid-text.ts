import type { Column } from '../../decode/columns.ts'
import type { PoisonRow } from '../sink.ts'

const textBytes = 36
const hyphen = 0x2d
/** Where the hyphens of 8-4-4-4-12 digits are. */
const hyphensAt = [8, 13, 18, 23]
/** Where the two digits of each byte begin. */
const digitsAt = [0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34]
/** The value of a character that is a hexadecimal digit; -1 of others. */
const digits = Int8Array.from({ length: 256 }, (_, code) => {
  const digit = '0123456789abcdef'.indexOf(String.fromCharCode(code).toLowerCase())
  return code === 0 ? -1 : digit
})

/** The rows whose text is no UUID in its usual form, of large or small letters: others would not be read back as they were. */
export function notUuids(column: Column, name: string, from: number, to: number): PoisonRow[] {
  const { offsets, bytes, validity } = column as Column & { kind: 'variable' }
  const rows: PoisonRow[] = []
  for (let row = from; row < to; row++) {
    const start = offsets[row]!
    const absent = validity !== undefined && (validity[row >> 3]! & (1 << (row & 7))) === 0
    if (absent || (offsets[row + 1]! - start === textBytes && isUuid(bytes, start))) continue
    rows.push({ row, reason: `column ${name}: the text is not a UUID of 8-4-4-4-12 digits`, code: '22P02' })
  }
  return rows
}

function isUuid(bytes: Uint8Array, start: number): boolean {
  for (const at of hyphensAt) if (bytes[start + at] !== hyphen) return false
  for (const at of digitsAt) if (digits[bytes[start + at]!]! < 0 || digits[bytes[start + at + 1]!]! < 0) return false
  return true
}

/** Writes the UUID whose text begins at `start` as a field, and gives where that ends. */
export function putUuid(view: DataView, at: number, bytes: Uint8Array, start: number): number {
  view.setInt32(at, 16)
  let to = at + 4
  for (const digit of digitsAt) {
    view.setUint8(to++, (digits[bytes[start + digit]!]! << 4) | digits[bytes[start + digit + 1]!]!)
  }
  return to
}
