import assert from 'node:assert/strict'
import test from 'node:test'
import { createCompiledDecoder } from '../../src/decode/decoder-compiler.ts'
import { createReferenceDecoder } from '../../src/decode/reference-decoder.ts'
import { planTable } from '../../src/decode/table-plan.ts'
import { encodeHeaders } from '../../src/kafka/slab.ts'
import { origin, rowsOf, slabOf, typeFrom } from './decoding.ts'

const type = typeFrom('message Test { bytes a = 1; }')
const value = (bytes: number): Uint8Array => Buffer.concat([Buffer.of(10, bytes), Buffer.alloc(bytes)])
const headers = (count: number): Uint8Array =>
  encodeHeaders(Array.from({ length: count }, () => ({ name: 'n', value: null })))

for (const [way, create] of Object.entries({ compiled: createCompiledDecoder, reference: createReferenceDecoder })) {
  const decoderWith = (recordBytesMax: number, headersMax: number, header?: string) =>
    create(planTable(type, { metadata: header === undefined ? [] : [{ header }] }), {
      tableName: 'test',
      limits: { recordBytesMax, headersMax },
    })

  test(`${way}: a record of more bytes than allowed is bad, its neighbours are not`, () => {
    const decoder = decoderWith(20, 10)
    const key = Buffer.from('key')
    const decoded = decoder.decode([slabOf([value(15), value(16), value(1)], { key })], origin)
    assert.deepEqual(
      decoded.bad.map(({ record, code, reason }) => [record, code, reason]),
      [[1, 'TOO_LARGE', 'the record has 21 bytes; decode.maxRecordBytes allows 20']],
    )
    assert.deepEqual(
      rowsOf(decoded, decoder.table).map(({ a }) => a),
      ['00'.repeat(15), '00'],
    )
  })

  for (const header of [undefined, 'n']) {
    test(`${way}: a record of too many headers is bad, whether one is stored (${header}) or none`, () => {
      const decoder = decoderWith(1000, 3, header)
      const slabs = [3, 4, 0].map((count) => slabOf([value(1)], { headers: headers(count) }))
      const decoded = decoder.decode(slabs, origin)
      assert.deepEqual(
        decoded.bad.map(({ slab, code, reason }) => [slab, code, reason]),
        [[1, 'TOO_LARGE', 'the record has 4 headers; decode.maxHeaders allows 3']],
      )
      assert.equal(decoded.rowCount, 2)
    })
  }
}
