import assert from 'node:assert/strict'
import type { Decoded } from '../../src/decode/decoder.ts'
import type { TableSchema } from '../../src/decode/columns.ts'
import type { RecordFaultCode } from '../../src/decode/record-fault.ts'
import type { SlabView } from '../../src/kafka/slab.ts'
import { type Cell, rowsOf } from './decoding.ts'
import type { OracleCell, SecondOracle } from './second-oracle.ts'

/** Records that we refuse and @bufbuild/protobuf takes, as it must by the specification, and why we do not. */
export const stricter: readonly { readonly code: RecordFaultCode; readonly fault: RegExp; readonly why: string }[] = [
  {
    code: 'WIRE_TYPE',
    fault: /the producer uses another schema/,
    why: 'a declared field of another wire type counts as unknown there: the column would be empty without a word',
  },
  {
    code: 'OUT_OF_RANGE',
    fault: /does not fit 32 bits/,
    why: 'the upper half is cut off there: another number would be stored than was sent',
  },
  {
    code: 'MALFORMED',
    fault: /a varint longer than 10 bytes/,
    why: 'the specification ends a varint there; of a field that is passed over the length is not looked at there',
  },
  { code: 'MALFORMED', fault: /a varint of more than 64 bits/, why: 'bits beyond the 64th are dropped there' },
  {
    code: 'MALFORMED',
    fault: /the message has \d+ left|a varint is cut off/,
    why: 'a field must end within its message; there it may take bytes that belong to what follows',
  },
  {
    code: 'TRUNCATED',
    fault: /group \d+ has no end/,
    why: 'a group must end within its message; there its end may lie in what follows the message',
  },
  {
    code: 'MALFORMED',
    fault: /wire type [467]/,
    why: 'no field has such a wire type; that of a map is not looked at there',
  },
  {
    code: 'MALFORMED',
    fault: /a tag or length of more than 32 bits/,
    why: 'a length takes at most five bytes, as in the C++ library; with more of them it is taken there, if it fits',
  },
  {
    code: 'NOT_JSON',
    fault: /a google\.protobuf\.Value of no kind/,
    why: 'the specification calls it an error; within a Struct or a ListValue it becomes null there',
  },
  { code: 'BAD_UTF8', fault: /not valid UTF-8/, why: 'proto2 does not ask for UTF-8; no sink could store it as text' },
]

/** Asserts that each record is the row that the oracle says, or bad for both. Returns how many were compared by kind. */
export function assertAgrees(
  oracle: SecondOracle,
  table: TableSchema,
  slabs: readonly SlabView[],
  decoded: Decoded,
): { rows: number; bothBad: number; stricter: number } {
  const counts = { rows: 0, bothBad: 0, stricter: 0 }
  const rows = rowsOf(decoded, table)
  const bad = new Map(decoded.bad.map((each) => [`${each.slab}/${each.record}`, each]))
  let row = 0
  slabs.forEach((slab, slabIndex) => {
    for (let record = 0; record < slab.count; record++) {
      const value = slab.value(record)
      const fault = bad.get(`${slabIndex}/${record}`)
      if (value === null) continue
      const verdict = oracle.judge(value)
      if (fault === undefined) {
        assert.ok('row' in verdict, `refused by the oracle, taken by us: ${'refused' in verdict && verdict.refused}`)
        assertSameRow(rows[row++]!, verdict.row)
        counts.rows++
      } else if ('refused' in verdict) counts.bothBad++
      // Of what is beside the value the oracle knows nothing, and of an unknown Any it knows no more than that.
      else if (!fault.reason.startsWith('_') && !Object.values(verdict.row).includes('unknown')) {
        const known = stricter.some(({ code, fault: text }) => code === fault.code && text.test(fault.reason))
        assert.ok(known, `refused by us (${fault.code}: ${fault.reason}), taken by the oracle`)
        counts.stricter++
      }
    }
  })
  return counts
}

function assertSameRow(row: Readonly<Record<string, Cell>>, expected: Readonly<Record<string, OracleCell>>): void {
  const names = Object.keys(row).filter((name) => !name.startsWith('_'))
  assert.deepEqual(names, Object.keys(expected))
  for (const name of names) {
    const wanted = expected[name]!
    const cell = row[name]!
    if (wanted === 'unknown') continue
    if ('cell' in wanted) assert.deepEqual(cell, wanted.cell, name)
    else assert.deepEqual(cell === null ? 'null' : JSON.parse(cell as string), wanted.json, name)
  }
}
