import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { decodeHeaders, encodeHeaders, packSlab, SlabView, splitSlab } from '../../src/kafka/slab.ts'

const noHeaders = new Uint8Array(0)
const bytes = fc.uint8Array({ maxLength: 40 })
const header = fc.record(
  { name: fc.string({ unit: 'grapheme', maxLength: 10 }), value: fc.option(bytes) },
  { noNullPrototype: true },
)
const record = fc.record({
  offset: fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }),
  timestamp: fc.integer({ min: -1, max: 2 ** 45 }),
  key: fc.option(bytes),
  value: fc.option(bytes),
  headers: fc.array(header, { maxLength: 4 }),
})

describe('slab', () => {
  test('whatever is packed is read back, null told from empty', () => {
    fc.assert(
      fc.property(fc.array(record, { minLength: 1, maxLength: 20 }), (records) => {
        const view = new SlabView(packSlab(records.map((each) => ({ ...each, headers: encodeHeaders(each.headers) }))))
        assert.equal(view.count, records.length)
        records.forEach((each, index) => {
          assert.equal(view.offset(index), each.offset)
          assert.equal(view.timestamp(index), each.timestamp)
          assert.deepEqual(view.key(index), each.key)
          assert.deepEqual(view.value(index), each.value)
          assert.deepEqual(
            decodeHeaders(view.headers(index)).map(({ name, value }) => ({
              name,
              value: value && Uint8Array.from(value),
            })),
            each.headers,
          )
          const names = ['absent', ...each.headers.map(({ name }) => name)]
          assert.deepEqual(foundHeaders(view, index, names), {
            count: each.headers.length,
            values: names.map((name) => each.headers.findLast((header) => header.name === name)?.value ?? null),
          })
          assert.ok(view.headersAtMost(index) >= each.headers.length)
          assert.equal(view.valueBytes(index), each.value?.length ?? -1)
          assert.equal(view.keyBytes(index), each.key?.length ?? -1)
        })
      }),
    )
  })

  test('the two parts of a slab hold its records as they were', () => {
    const records = [5, 6, 9].map((offset) => {
      const headers = encodeHeaders([{ name: 'h', value: Uint8Array.of(offset) }])
      return {
        offset,
        timestamp: offset * 2,
        key: offset === 6 ? null : Uint8Array.of(1),
        value: Uint8Array.of(offset),
        headers,
      }
    })
    const parts = splitSlab(packSlab(records), 1)
    assert.deepEqual(parts, [packSlab(records.slice(0, 1)), packSlab(records.slice(1))])
  })

  test('bytes that are no slab are refused', () => {
    const slab = packSlab([{ offset: 1, timestamp: 2, key: null, value: null, headers: noHeaders }])
    assert.throws(() => new SlabView(slab.slice(0, -1)), /not a slab/)
    assert.throws(() => new SlabView(new ArrayBuffer(64)), /not a slab/)
  })
})

function foundHeaders(view: SlabView, index: number, names: readonly string[]) {
  const encoder = new TextEncoder()
  const places = new Int32Array(names.length * 2)
  const count = view.findHeaders(
    index,
    names.map((name) => encoder.encode(name)),
    places,
  )
  const values = names.map((_, name) => {
    const start = places[name * 2]!
    const length = places[name * 2 + 1]!
    return length < 0 ? null : view.bytes.slice(start, start + length)
  })
  return { count, values }
}
