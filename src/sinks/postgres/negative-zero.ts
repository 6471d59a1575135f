import type { Column } from '../../decode/columns.ts'
import type { PoisonRow } from '../sink.ts'

const minus = 0x2d
const quote = 0x22
const backslash = 0x5c

/** The rows whose JSON has a number -0: jsonb keeps numbers as numeric, which has 0 alone. */
export function negativeZeros(column: Column, name: string, from: number, to: number): PoisonRow[] {
  const { offsets, bytes } = column as Column & { kind: 'variable' }
  const all = Buffer.from(bytes.buffer, bytes.byteOffset, offsets[to])
  const rows: PoisonRow[] = []
  let row = from
  // Few texts have the two bytes at all, so that the rest is looked at by nobody but the search.
  for (let at = all.indexOf('-0', offsets[from]); at >= 0; at = all.indexOf('-0', at)) {
    while (offsets[row + 1]! <= at) row++
    const end = offsets[row + 1]!
    if (hasNegativeZero(all.subarray(offsets[row], end))) {
      rows.push({ row, reason: `column ${name}: type jsonb has no -0; a column of type json keeps it`, code: '22003' })
    }
    at = end
  }
  return rows
}

function hasNegativeZero(json: Uint8Array): boolean {
  let within = false
  for (let at = 0; at < json.length; at++) {
    const byte = json[at]
    if (byte === backslash) at++
    else if (byte === quote) within = !within
    else if (byte === minus && !within && isZero(json, at + 1)) return true
  }
  return false
}

/** The number that begins here is 0, however it is written. */
function isZero(json: Uint8Array, from: number): boolean {
  let end = from
  while (end < json.length && /[\d.eE+-]/.test(String.fromCharCode(json[end]!))) end++
  return Number(Buffer.from(json.subarray(from, end)).toString()) === 0
}
