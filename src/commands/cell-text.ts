import { type Column, type ColumnType, hasValue, itemTypeOf } from '../decode/columns.ts'

/** The value of a row in a column, as a person reads it, in printable characters only. A null is `(null)`. */
export function cellText(type: ColumnType, column: Column, row: number): string {
  if (!hasValue(column, row)) return '(null)'
  if (column.kind === 'list') {
    const [from, to] = [column.offsets[row]!, column.offsets[row + 1]!]
    const items = Array.from({ length: to - from }, (_, index) =>
      cellText(itemTypeOf(type)!, column.items, from + index),
    )
    return `[${items.join(', ')}]`
  }
  if (column.kind === 'variable') {
    const bytes = column.bytes.subarray(column.offsets[row], column.offsets[row + 1])
    return type === 'bytes' ? bytesText(bytes) : printable(Buffer.from(bytes).toString('utf8'))
  }
  const value = column.values[row]!
  if (type === 'bool') return value === 1 ? 'true' : 'false'
  if (type === 'timestamp') return timeText(value as bigint, 6)
  if (type === 'timestampNanos') return timeText(value as bigint, 9)
  if (type === 'duration') return durationText(value as bigint)
  if (type === 'float32') return floatText(value as number)
  return Object.is(value, -0) ? '-0' : String(value)
}

/**
 * The text with everything escaped that a terminal would act on or not show: control characters, those that turn the
 * direction of writing, unassigned ones. A backslash is doubled, so that nothing can look escaped that is not.
 */
export function printable(text: string): string {
  return text.replaceAll('\\', '\\\\').replace(/[\p{C}\p{Zl}\p{Zp}]/gu, (character) => {
    return shortEscapes[character] ?? `\\u{${character.codePointAt(0)!.toString(16)}}`
  })
}

const shortEscapes: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' }

/** `0a 05 68`, at most `bytesMax` of them. */
export function bytesText(bytes: Uint8Array, bytesMax = 64): string {
  const shown = [...bytes.subarray(0, bytesMax)].map((byte) => byte.toString(16).padStart(2, '0')).join(' ')
  return bytes.length > bytesMax ? `${shown} ... (${bytes.length} bytes)` : shown
}

/** The text in at most `width` characters; a cut shows. */
export function cut(text: string, width: number): string {
  const characters = [...text]
  return characters.length <= width ? text : `${characters.slice(0, width - 3).join('')}...`
}

/** Rows under their headings where the lines fit into `width`, else each row as a block of its own, a line a column. */
export function tableLines(headings: readonly string[], rows: readonly (readonly string[])[], width: number): string[] {
  const shown = rows.map((row) => row.map((text) => cut(text, cellWidthMax)))
  const widths = headings.map((heading, column) =>
    Math.max(heading.length, ...shown.map((row) => [...row[column]!].length)),
  )
  if (widths.reduce((sum, each) => sum + each + gap.length, 0) <= width) {
    return [headings, ...shown].map((cells) => inColumns(cells, widths))
  }
  const nameWidth = Math.max(...headings.map(({ length }) => length))
  return rows.flatMap((row, index) => [
    `- ${index + 1} -`,
    ...row.map((text, column) => {
      const start = `${headings[column]!.padEnd(nameWidth)}${gap}`
      return start + cut(text, Math.max(cellWidthMax, width - start.length))
    }),
  ])
}

/** Wider values are cut where rows are lines. */
const cellWidthMax = 40
const gap = '  '

function inColumns(cells: readonly string[], widths: readonly number[]): string {
  return cells
    .map((text, column) => text + ' '.repeat(widths[column]! - [...text].length))
    .join(gap)
    .trimEnd()
}

/** With as few digits as name the same 32-bit float. */
function floatText(value: number): string {
  const shortest = [6, 7, 8]
    .map((digits) => Number(value.toPrecision(digits)))
    .find((each) => Math.fround(each) === value)
  return Object.is(value, -0) ? '-0' : String(shortest ?? value)
}

/** Of a count of 10^-digits seconds since 1970. */
function timeText(count: bigint, digits: number): string {
  const aSecond = 10n ** BigInt(digits)
  const fraction = ((count % aSecond) + aSecond) % aSecond
  const whole = new Date(Number((count - fraction) / aSecond) * 1000).toISOString().slice(0, -5)
  return `${whole}${fractionText(fraction, digits)}Z`
}

function durationText(micros: bigint): string {
  const size = micros < 0n ? -micros : micros
  return `${micros < 0n ? '-' : ''}${size / 1_000_000n}${fractionText(size % 1_000_000n, 6)}s`
}

/** Without the zeros at its end; nothing at all for 0. */
function fractionText(fraction: bigint, digits: number): string {
  return fraction === 0n ? '' : `.${String(fraction).padStart(digits, '0').replace(/0+$/, '')}`
}
