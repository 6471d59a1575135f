import assert from 'node:assert/strict'
import test from 'node:test'
import { createCompiledDecoder } from '../../src/decode/decoder-compiler.ts'
import { createReferenceDecoder } from '../../src/decode/reference-decoder.ts'
import { planTable } from '../../src/decode/table-plan.ts'
import { SchemaError } from '../../src/errors.ts'
import { encodeHeaders, type Header } from '../../src/kafka/slab.ts'
import { origin, rowsOf, slabOf, typeFrom } from './decoding.ts'

const type = typeFrom('message Test { int32 a = 1; }')
const value = Uint8Array.of(8, 1)
const header = (name: string, text: string | Uint8Array | null): Header => ({
  name,
  value: text === null ? null : Buffer.from(text),
})

const cases: readonly { name: string; headers: readonly Header[]; cell: string | null }[] = [
  { name: 'a header that is absent is null', headers: [header('trace', 'x'), header('trace-ids', 'y')], cell: null },
  { name: 'a header without a value is null', headers: [header('trace-id', null)], cell: null },
  { name: 'an empty header is empty', headers: [header('trace-id', '')], cell: '' },
  {
    name: 'of several headers of a name the last counts',
    headers: [
      header('trace-id', 'one'),
      header('other', 'x'),
      header('trace-id', 'the last, of more than twenty bytes ü'),
    ],
    cell: 'the last, of more than twenty bytes ü',
  },
  { name: 'null counts as the last too', headers: [header('trace-id', 'one'), header('trace-id', null)], cell: null },
]

for (const [way, create] of Object.entries({ compiled: createCompiledDecoder, reference: createReferenceDecoder })) {
  for (const { name, headers, cell } of cases) {
    test(`${way}: ${name}`, () => {
      const plan = planTable(type, { metadata: [{ header: 'other' }, 'partition', { header: 'trace-id' }] })
      const decoder = create(plan, { tableName: 'test' })
      const decoded = decoder.decode([slabOf([value], { headers: encodeHeaders(headers) }), slabOf([value])], origin)
      const other = headers.some((each) => each.name === 'other') ? 'x' : null
      assert.deepEqual(rowsOf(decoded, decoder.table), [
        { a: 1, _header_other: other, _partition: 7, _header_trace_id: cell },
        { a: 1, _header_other: null, _partition: 7, _header_trace_id: null },
      ])
    })
  }

  test(`${way}: a record whose header is no text is bad, but not for a header that is not stored`, () => {
    const decoder = create(planTable(type, { metadata: [{ header: 'trace-id' }] }), { tableName: 'test' })
    const [bad, good] = ['trace-id', 'other'].map((name) => encodeHeaders([header(name, Buffer.of(0xff))]))
    const slabs = [slabOf([value], { headers: bad! }), slabOf([value], { headers: good! })]
    const decoded = decoder.decode(slabs, origin)
    assert.deepEqual(
      decoded.bad.map(({ code, reason }) => `${code} ${reason}`),
      ['BAD_UTF8 _header_trace_id: the value of the Kafka header, 1 bytes, is not valid UTF-8'],
    )
    assert.deepEqual(rowsOf(decoded, decoder.table), [{ a: 1, _header_trace_id: null }])
  })
}

test("a header's column is named after it, and renamed as others are", () => {
  const names = (metadata: readonly { header: string }[], columns?: { from: string; as: string }[]) =>
    planTable(type, { metadata, ...(columns ? { columns } : {}) }).columns.map(({ name }) => name)
  assert.deepEqual(names([{ header: 'x.trace id' }, { header: 'größe' }]), ['a', '_header_x_trace_id', '_header_größe'])
  assert.deepEqual(names([{ header: 'trace-id' }], [{ from: '_header_trace_id', as: 'trace' }]), ['trace'])
  assert.throws(() => names([{ header: 'trace-id' }, { header: 'trace.id' }]), SchemaError)
})
