import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { decoderOf, decodeValues, encode, rowsOf, typeFrom } from './decoding.ts'
import { type Messages, messages } from './random-messages.ts'

test('random messages of random types become the rows that they should', () => {
  fc.assert(
    fc.property(messages, ({ source, messages }) => {
      const type = typeFrom(source)
      const decoder = decoderOf(type)
      const decoded = decodeValues(
        decoder,
        messages.map(({ encoded }) => encode(type, encoded)),
      )
      assert.deepEqual(decoded.bad, [])
      const rows = rowsOf(decoded, decoder.table)
      messages.forEach(({ cells, jsons }, index) => {
        const row = rows[index]!
        assert.deepEqual(Object.keys(row).sort(), [...Object.keys(cells), ...Object.keys(jsons)].sort())
        for (const [name, cell] of Object.entries(cells)) assert.deepEqual(row[name], cell, name)
        for (const [name, json] of Object.entries(jsons)) {
          assert.deepEqual(row[name] === null ? null : JSON.parse(row[name] as string), json, name)
        }
      })
    }),
    runs(200),
  )
})

// What a mutation does to the bytes: where, relative to their length, and with which byte.
const mutation = fc.record({
  act: fc.constantFrom('set', 'insert', 'cut', 'remove', 'repeat'),
  where: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
  byte: fc.oneof(fc.nat(255), fc.constantFrom(0x00, 0x7b, 0x7c, 0x80, 0xff, 0x0a, 0x12)),
})
const mutations = fc.array(mutation, { minLength: 1, maxLength: 4 })

test('mutated records never throw, never bend their neighbours, and the books balance', () => {
  fc.assert(
    fc.property(messages, mutations, (given, changes) => {
      const { good, decoder, broken } = brokenRecords(given, changes)
      const mixed = decodeValues(
        decoder,
        good.flatMap((value, index) => [value, broken[index]!]),
      )
      assert.equal(mixed.rowCount + mixed.bad.length + mixed.skipped, mixed.recordCount)
      for (const { record } of mixed.bad) assert.equal(record % 2, 1, 'a good record was refused')

      // What is decoded beside broken records must be what is decoded without them.
      const kept = good.flatMap((value, index) => {
        const refused = mixed.bad.some(({ record }) => record === index * 2 + 1)
        return refused ? [value] : [value, broken[index]!]
      })
      assert.deepEqual(decodeValues(decoder, kept).columns, mixed.columns)
      assert.equal(({} as Record<string, unknown>)['f0'], undefined)
    }),
    runs(200),
  )
})

test('what our check takes, protobufjs takes too', () => {
  fc.assert(
    fc.property(messages, mutations, (given, changes) => {
      const { decoder, broken } = brokenRecords(given, changes)
      for (const { reason } of decodeValues(decoder, broken).bad) assert.doesNotMatch(reason, /protobufjs/)
    }),
    runs(200),
  )
})

test('bytes at random never throw', () => {
  const type =
    typeFrom(`message Test { string a = 1; Test b = 2; map<int64, Test> c = 3; repeated sint64 d = 4; double e = 5;
    google.protobuf.Value f = 6; google.protobuf.Any g = 7; google.protobuf.Timestamp h = 8; google.protobuf.FieldMask i = 9; }`)
  const decoder = decoderOf(type)
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 64, size: 'max' }), { minLength: 1, maxLength: 20 }), (values) => {
      const decoded = decodeValues(decoder, values)
      assert.equal(decoded.rowCount + decoded.bad.length, values.length)
      for (const { reason } of decoded.bad) assert.doesNotMatch(reason, /protobufjs/)
    }),
    runs(200),
  )
})

/** With a limit, because a failing case of many fields may otherwise be shrunk for minutes. */
function runs(numRuns: number) {
  return { numRuns, interruptAfterTimeLimit: 30_000, markInterruptAsFailure: true }
}

function brokenRecords({ source, messages }: Messages, changes: readonly Mutation[]) {
  const type = typeFrom(source)
  const good = messages.map(({ encoded }) => encode(type, encoded))
  return { decoder: decoderOf(type), good, broken: good.map((value) => changes.reduce(mutate, value)) }
}

type Mutation = typeof mutation extends fc.Arbitrary<infer Value> ? Value : never

function mutate(value: Uint8Array, { act, where, byte }: Mutation): Uint8Array {
  const at = Math.floor(where * value.length)
  const [head, tail] = [value.subarray(0, at), value.subarray(at)]
  if (act === 'cut') return head
  if (act === 'insert') return Buffer.concat([head, Buffer.of(byte), tail])
  if (act === 'set') return Buffer.concat([head, Buffer.of(byte), tail.subarray(1)])
  if (act === 'repeat') return Buffer.concat([head, tail, tail])
  return Buffer.concat([head, tail.subarray(1)])
}
