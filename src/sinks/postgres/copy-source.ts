import type { FieldEncoding, FieldForm } from './postgres-types.ts'

/** Identifiers that the source takes as arguments, in this order. */
export const sourceArguments = ['tools', 'state'] as const

/** Forms of columns of bytes. */
type VaryingForm = 'bytes' | 'jsonb' | 'uuid'

/** Bytes of a value whose size does not vary, with the length before it. */
const fixedBytes: Readonly<Record<Exclude<FieldForm, VaryingForm>, number>> = {
  bool: 5,
  int32: 8,
  int32AsInt64: 12,
  int32AsFloat64: 12,
  int32AsNumeric: 22,
  uint32AsInt64: 12,
  uint32AsFloat64: 12,
  uint32AsNumeric: 22,
  int64: 12,
  int64AsNumeric: 22,
  uint64AsInt64: 12,
  uint64AsNumeric: 22,
  float32: 8,
  float32AsFloat64: 12,
  float64: 12,
  timestamp: 12,
  duration: 20,
}

const listHeadBytes = 4 + 5 * 4
/** A copy by set() costs more than a loop of so many bytes. */
const loopBytesMax = 24

/**
 * The source of a table's encoder: rows of columns to rows of COPY BINARY. Nothing but numbers and our own identifiers is in
 * it: no name of a table or column. `vN` are a column's values (halves of 64 bits, low first), `nN` its validity, `oN` and
 * `bN` the offsets and bytes of texts, `lN` the offsets of lists; `out` is the buffer, `view` a view of it, `p` the place
 * in it. It ends before the row that does not fit, and leaves in `state` how far it came.
 */
export function copySource(fields: readonly FieldEncoding[]): string {
  const bound = [2 + sum(fields.map(boundFixed)), ...fields.flatMap(boundVarying)]
  return [
    `'use strict'`,
    'const { putNumeric, putSignedNumeric, putUuid } = tools',
    'return function fill(columns, out, view, p, row, end) {',
    'const limit = out.length',
    ...fields.flatMap(locals),
    'for (; row < end; row++) {',
    `const most = ${bound.join(' + ')}`,
    'if (p + most > limit) { state.need = most; break }',
    `view.setInt16(p, ${fields.length}); p += 2`,
    ...fields.flatMap((field, column) => [
      `if (n${column} !== undefined && (n${column}[row >> 3] & (1 << (row & 7))) === 0) { view.setInt32(p, -1); p += 4 } else {`,
      ...(field.itemOid === undefined ? value(field.form, column, 'row') : list(field.form, field.itemOid, column)),
      '}',
    ]),
    '}',
    'state.row = row',
    'return p',
    '}',
  ].join('\n')
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, each) => total + each, 0)

function boundFixed({ form, itemOid }: FieldEncoding): number {
  if (itemOid !== undefined) return listHeadBytes
  return isVarying(form) ? 5 : fixedBytes[form]
}

function boundVarying({ form, itemOid }: FieldEncoding, column: number): string[] {
  const at = (name: string, row: string) => `${name}${column}[${row}]`
  if (itemOid === undefined) return isVarying(form) ? [`(${at('o', 'row + 1')} - ${at('o', 'row')})`] : []
  const items = `(${at('l', 'row + 1')} - ${at('l', 'row')})`
  if (!isVarying(form)) return [`${items} * ${fixedBytes[form]}`]
  return [`${items} * 4`, `(${at('o', at('l', 'row + 1'))} - ${at('o', at('l', 'row'))})`]
}

const isVarying = (form: FieldForm): form is VaryingForm => ['bytes', 'jsonb', 'uuid'].includes(form)

function locals({ form, itemOid }: FieldEncoding, column: number): string[] {
  const own = isVarying(form)
    ? [`o${column} = columns[${column}].offsets`, `b${column} = columns[${column}].bytes`]
    : [`v${column} = columns[${column}].values`]
  const list = itemOid === undefined ? [] : [`l${column} = columns[${column}].lists`]
  return [`const n${column} = columns[${column}].validity, ${[...own, ...list].join(', ')}`]
}

function list(form: FieldForm, itemOid: number, column: number): string[] {
  return [
    `const first = l${column}[row], last = l${column}[row + 1], start = p`,
    // Dimensions (an empty array has none), whether there are nulls, the items' type; of the dimension size and first index.
    'view.setInt32(p + 4, last === first ? 0 : 1)',
    'view.setInt32(p + 8, 0)',
    `view.setInt32(p + 12, ${itemOid})`,
    'p += 16',
    'if (last !== first) { view.setInt32(p, last - first); view.setInt32(p + 4, 1); p += 8 }',
    'for (let item = first; item < last; item++) {',
    ...value(form, column, 'item'),
    '}',
    'view.setInt32(start, p - start - 4)',
  ]
}

// Microseconds from 1970 to 2000, where PostgreSQL's times begin.
const epoch = 946_684_800_000_000n
const epochHigh = Number(epoch >> 32n)
const epochLow = Number(epoch & 0xffff_ffffn)

function value(form: FieldForm, column: number, at: string): string[] {
  const v = `v${column}`
  const low = `${v}[${at} << 1]`
  const high = `${v}[(${at} << 1) + 1]`
  const put64 = (length: number) => [
    `view.setInt32(p, ${length})`,
    `view.setUint32(p + 4, ${high})`,
    `view.setUint32(p + 8, ${low})`,
    `p += ${length + 4}`,
  ]
  const put = (length: number, ...statements: string[]) => [
    `view.setInt32(p, ${length})`,
    ...statements,
    `p += ${length + 4}`,
  ]
  switch (form) {
    case 'bool':
      return put(1, `out[p + 4] = ${v}[${at}]`)
    case 'int32':
      return put(4, `view.setInt32(p + 4, ${v}[${at}])`)
    case 'int32AsInt64':
      return put(8, `view.setInt32(p + 4, ${v}[${at}] >> 31)`, `view.setInt32(p + 8, ${v}[${at}])`)
    case 'uint32AsInt64':
      return put(8, 'view.setInt32(p + 4, 0)', `view.setUint32(p + 8, ${v}[${at}])`)
    case 'int32AsFloat64':
    case 'uint32AsFloat64':
    case 'float32AsFloat64':
    case 'float64':
      return put(8, `view.setFloat64(p + 4, ${v}[${at}])`)
    case 'float32':
      return put(4, `view.setFloat32(p + 4, ${v}[${at}])`)
    case 'int64':
    case 'uint64AsInt64':
      return put64(8)
    case 'int32AsNumeric':
      return [`p = putSignedNumeric(view, p, ${v}[${at}] >> 31, ${v}[${at}] >>> 0)`]
    case 'uint32AsNumeric':
      return [`p = putNumeric(view, p, 0, ${v}[${at}], 0)`]
    case 'int64AsNumeric':
      return [`p = putSignedNumeric(view, p, ${high} | 0, ${low})`]
    case 'uint64AsNumeric':
      return [`p = putNumeric(view, p, ${high}, ${low}, 0)`]
    case 'timestamp':
      return put(
        8,
        `const t = ${low}`,
        `view.setInt32(p + 4, (${high} - ${epochHigh} - (t < ${epochLow} ? 1 : 0)) | 0)`,
        `view.setUint32(p + 8, (t - ${epochLow}) >>> 0)`,
      )
    case 'duration':
      return put(
        16,
        `view.setUint32(p + 4, ${high})`,
        `view.setUint32(p + 8, ${low})`,
        // Days and months, which are no fixed times.
        'view.setInt32(p + 12, 0)',
        'view.setInt32(p + 16, 0)',
      )
    case 'uuid':
      // Checked before to be one.
      return [`p = putUuid(view, p, b${column}, o${column}[${at}])`]
    case 'bytes':
    case 'jsonb':
      return text(form === 'jsonb', column, at)
  }
}

function text(jsonb: boolean, column: number, at: string): string[] {
  const o = `o${column}`
  const b = `b${column}`
  return [
    `let from = ${o}[${at}]`,
    `const size = ${o}[${at} + 1] - from`,
    `view.setInt32(p, size${jsonb ? ' + 1' : ''})`,
    'p += 4',
    // The version of jsonb's binary form.
    ...(jsonb ? ['out[p++] = 1'] : []),
    `if (size <= ${loopBytesMax}) for (const stop = p + size; p < stop; ) out[p++] = ${b}[from++]`,
    `else { out.set(${b}.subarray(from, from + size), p); p += size }`,
  ]
}
