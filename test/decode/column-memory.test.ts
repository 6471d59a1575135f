import assert from 'node:assert/strict'
import { describe, mock, test } from 'node:test'
import fc from 'fast-check'
import { ColumnMemory } from '../../src/decode/column-memory.ts'
import type { Column } from '../../src/decode/columns.ts'
import type { Decoded } from '../../src/decode/decoder.ts'
import { createCompiledDecoder } from '../../src/decode/decoder-compiler.ts'
import { createReferenceDecoder } from '../../src/decode/reference-decoder.ts'
import { planTable } from '../../src/decode/table-plan.ts'
import { encode, origin, slabOf, typeFrom } from './decoding.ts'
import { PoisonedMemory } from './poisoned-memory.ts'

describe('memory of columns', () => {
  test('what was handed over and released is taken again, by whoever needs as much', () => {
    const memory = new ColumnMemory()
    const first = memory.take(5000)
    memory.handOver()()
    assert.equal(memory.spareBytes, 8192)
    assert.equal(memory.take(4097), first)
    assert.equal(memory.spareBytes, 0)
  })

  test('what was handed over and not released is nobody else’s', () => {
    const memory = new ColumnMemory()
    const first = memory.take(5000)
    memory.handOver()
    memory.begin()
    assert.notEqual(memory.take(5000), first)
  })

  test('a second release gives nothing back that is lent again', () => {
    const memory = new ColumnMemory()
    const buffer = memory.take(1000)
    const release = memory.handOver()
    release()
    assert.equal(memory.take(1000), buffer)
    release()
    assert.notEqual(memory.take(1000), buffer)
  })

  test('columns that were begun and never handed over leave nothing behind', () => {
    const memory = new ColumnMemory()
    const buffer = memory.take(1000)
    memory.begin()
    assert.equal(memory.take(1000), buffer)
  })

  test('a buffer is given back once, whoever gives it back', () => {
    const memory = new ColumnMemory()
    const buffer = memory.take(1000)
    memory.give(buffer)
    memory.give(buffer)
    memory.begin()
    assert.equal(memory.spareBytes, 1024)
  })

  test('a buffer whose bytes went to another thread is not kept', () => {
    const memory = new ColumnMemory()
    const buffer = memory.take(1000)
    const release = memory.handOver()
    structuredClone(buffer, { transfer: [buffer] })
    release()
    assert.equal(memory.spareBytes, 0)
    assert.equal(memory.take(1000).byteLength, 1024)
  })

  test('loads of one size, one after the other, need no more than one of them', () => {
    const memory = new ColumnMemory()
    for (let load = 0; load < 10; load++) {
      memory.begin()
      for (const bytes of [100, 4000, 4000, 100_000]) memory.take(bytes)
      memory.handOver()()
    }
    assert.equal(memory.spareBytes, 512 + 4096 * 2 + 131_072)
  })

  test('what a large load left behind goes when only small ones come, and all of it when none does', () => {
    mock.timers.enable({ apis: ['setInterval'] })
    try {
      const memory = new ColumnMemory()
      const load = (buffers: number) => {
        memory.begin()
        for (let each = 0; each < buffers; each++) memory.take(1 << 20)
        memory.handOver()()
      }
      load(8)
      mock.timers.tick(10_000)
      load(2)
      assert.equal(memory.spareBytes, 8 << 20)
      mock.timers.tick(10_000)
      assert.equal(memory.spareBytes, 2 << 20)
      load(2)
      mock.timers.tick(20_000)
      assert.equal(memory.spareBytes, 0)
    } finally {
      mock.timers.reset()
    }
  })
})

const type = typeFrom(`
  enum E { ZERO = 0; ONE = 1; }
  message Inner { int64 wide = 1; repeated string texts = 2; optional bool flag = 3; }
  message Test {
    int32 number = 1; optional double real = 2; string text = 3; bytes raw = 4; E kind = 5; uint64 wide = 6;
    repeated int32 numbers = 7; repeated string texts = 8; repeated E kinds = 9; repeated sint64 wides = 10;
    Inner inner = 11; google.protobuf.Timestamp at = 12; map<string, int32> map = 13; repeated Inner inners = 14;
    oneof one { string left = 15; Inner right = 16; }
  }`)
const plan = planTable(type, { lists: 'native', metadata: ['partition', 'offset', 'key'] })

const text = fc.string({ maxLength: 40, size: 'max' })
const optional = <Value>(value: fc.Arbitrary<Value>) => fc.option(value, { nil: undefined })
const inner = fc.record({ wide: fc.nat(), texts: fc.array(text, { maxLength: 3 }), flag: optional(fc.boolean()) })
const message = fc.record({
  number: fc.integer(),
  real: optional(fc.double()),
  text,
  raw: fc.uint8Array({ maxLength: 30 }),
  kind: fc.nat(3),
  wide: fc.nat(),
  numbers: fc.array(fc.integer(), { maxLength: 40, size: 'max' }),
  texts: fc.array(text, { maxLength: 5 }),
  kinds: fc.array(fc.nat(3), { maxLength: 5 }),
  wides: fc.array(fc.integer(), { maxLength: 5 }),
  inner: optional(inner),
  at: optional(fc.record({ seconds: fc.nat(), nanos: fc.nat(999_999_999) })),
  map: fc.dictionary(fc.string({ maxLength: 5 }), fc.nat(), { maxKeys: 3 }),
  inners: fc.array(inner, { maxLength: 2 }),
  one: optional(fc.oneof(fc.record({ left: text }), fc.record({ right: inner }))),
})
/** A record, or bytes that are none: its row is undone when some of it stands in the columns already. */
const value = fc.tuple(message, fc.integer({ min: 0, max: 7 })).map(([{ one, ...fields }, harm]) => {
  const bytes = encode(
    type,
    JSON.parse(JSON.stringify({ ...fields, raw: Buffer.from(fields.raw).toString('base64'), ...one })) as object,
  )
  return harm === 0 ? Buffer.concat([bytes, Buffer.of(0xff)]) : bytes
})
const load = fc.record({
  values: fc.array(fc.option(value, { freq: 10 }), { maxLength: 30, size: 'max' }),
  by: fc.constantFrom('compiled', 'split', 'reference'),
  /** How many loads that are begun later end before this one. */
  endsAfter: fc.nat(4),
  transfers: fc.nat(9).map((number) => number === 0),
})

test('rows stand as they were decoded until their load ends, however many come and go meanwhile', () => {
  fc.assert(
    fc.property(fc.array(load, { minLength: 1, maxLength: 12 }), (loads) => {
      const memory = new PoisonedMemory()
      const decoders = {
        compiled: createCompiledDecoder(plan, { tableName: 'test', memory }),
        split: createCompiledDecoder(
          plan,
          { tableName: 'test', memory },
          { columnsUnsplitMax: 0, fieldsPerFunction: 3 },
        ),
        reference: createReferenceDecoder(plan, { tableName: 'test', memory }),
      }
      const underWay: { decoded: Decoded; expected: Decoded; ends: number; transfers: boolean }[] = []
      const ended: Decoded[] = []
      const end = (now: number) => {
        // Once more, when their arrays may be lent again already.
        for (const { release } of ended) release()
        for (const each of underWay.splice(0)) {
          if (each.ends > now) underWay.push(each)
          else {
            endLoad(each)
            ended.push(each.decoded)
          }
        }
      }
      loads.forEach(({ values, by, endsAfter, transfers }, index) => {
        const slabs = [slabOf(values.slice(0, 7)), slabOf(values.slice(7), { key: Buffer.from('key') })]
        const decoded = decoders[by].decode(slabs, origin)
        const expected = createReferenceDecoder(plan, { tableName: 'test' }).decode(slabs, origin)
        underWay.push({ decoded, expected, ends: index + endsAfter, transfers })
        end(index)
      })
      end(Infinity)
    }),
    { numRuns: 100, interruptAfterTimeLimit: 60_000, markInterruptAsFailure: true },
  )
})

/** What a sink does of the columns at the end of its write, at the latest: it reads them, and may send one away. */
function endLoad({ decoded, expected, transfers }: { decoded: Decoded; expected: Decoded; transfers: boolean }): void {
  const { release: _, ...rows } = decoded
  const { release: __, ...expectedRows } = expected
  assert.deepEqual(rows, expectedRows)
  const sent = decoded.columns.find((column): column is Column & { kind: 'fixed' } => column.kind === 'fixed')
  if (transfers) structuredClone(sent?.values.buffer, { transfer: [sent!.values.buffer as ArrayBuffer] })
  decoded.release()
}
