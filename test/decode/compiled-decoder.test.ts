import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import type { Type } from 'protobufjs'
import type { Column } from '../../src/decode/columns.ts'
import type { Decoded } from '../../src/decode/decoder.ts'
import { createCompiledDecoder } from '../../src/decode/decoder-compiler.ts'
import { createReferenceDecoder } from '../../src/decode/reference-decoder.ts'
import { planTable, type PlanOptions, tableSchema } from '../../src/decode/table-plan.ts'
import { SchemaError } from '../../src/errors.ts'
import { encodeHeaders, type SlabView } from '../../src/kafka/slab.ts'
import { origin, slabOf, typeFrom } from './decoding.ts'
import { PoisonedMemory } from './poisoned-memory.ts'
import { assertAgrees } from './agreement.ts'
import { SecondOracle } from './second-oracle.ts'
import { Choices, randomProto, randomWire } from './random-wire.ts'

/** How many records are decoded in all ways. A longer run: MILLRACE_PROPERTY_RUNS=5000000, of more records a type. */
const recordCount = Number(process.env['MILLRACE_PROPERTY_RUNS'] ?? 100_000)
const recordsPerType = recordCount > 1_000_000 ? 2000 : 160
/** Of the random values; printed when done. The suite's is always the same one, MILLRACE_PROPERTY_SEED tries others. */
const seed = Number(process.env['MILLRACE_PROPERTY_SEED'] ?? 1)
/** Whether every record is broken somewhere, and not one in three: MILLRACE_PROPERTY_MUTATED=1. */
const allMutated = process.env['MILLRACE_PROPERTY_MUTATED'] === '1'

const bytes = (maxLength: number) => fc.uint8Array({ maxLength, size: 'max' })
const random = fc.record({
  schema: bytes(60),
  options: bytes(100),
  // Seeds: bytes that shrink would take most of the time.
  seeds: fc.array(fc.nat(), { minLength: 1, maxLength: recordsPerType * 2, size: 'max' }),
})

test('compiled and reference decoder agree on every column and every fault, and with @bufbuild/protobuf', (context) => {
  const seen = { rows: 0, bad: 0, judged: 0, stricter: 0, codes: new Set<string>() }
  fc.assert(
    fc.property(random, ({ schema, options: optionBytes, seeds }) => {
      const records = seeds.map(bytesOf)
      const proto = randomProto(new Choices(schema))
      const type = typeFrom(proto)
      const choices = new Choices(optionBytes)
      const planned = randomPlan(type, choices)
      if (planned === undefined) return
      const { plan, forms, whole } = planned
      const options = { tableName: 'test', tombstones: choices.of(['skip', 'deadLetter'] as const) }
      const slabs = randomSlabs(type, records)
      const decoder = createCompiledDecoder(
        plan,
        { ...options, memory: new PoisonedMemory() },
        choices.of([undefined, { columnsUnsplitMax: 0, fieldsPerFunction: 2 }]),
      )
      // What is decoded again comes into arrays that had something else in them.
      decoder.decode(slabs.slice(1), origin).release()
      const compiled = decoder.decode(slabs, origin)
      const reference = createReferenceDecoder(plan, { ...options, memory: new PoisonedMemory() }).decode(slabs, origin)
      assertSame(compiled, reference)
      if (whole) {
        const oracle = new SecondOracle(type, proto.includes('proto2') ? 'proto2' : 'proto3', forms)
        const counts = assertAgrees(oracle, tableSchema(plan, 'test'), slabs, compiled)
        seen.judged += counts.rows + counts.bothBad
        seen.stricter += counts.stricter
      }
      seen.rows += compiled.rowCount
      seen.bad += compiled.bad.length
      for (const { code } of compiled.bad) seen.codes.add(code)
    }),
    { numRuns: Math.ceil(recordCount / recordsPerType), includeErrorInReport: true, seed },
  )
  // Otherwise they would agree on little; of few records not all kinds can be asked.
  if (recordCount < 50_000) return
  const { rows, bad, judged, stricter, codes } = seen
  assert.ok(judged > (rows + bad) / 2 && stricter > 0, `${judged} of ${rows} + ${bad} judged, ${stricter} stricter`)
  if (!allMutated) assert.ok(rows > bad / 2 && bad > rows / 20, `${rows} rows, ${bad} bad`)
  context.diagnostic(
    `${rows} rows, ${bad} bad; ${judged} as @bufbuild/protobuf has them, ${stricter} refused by us alone; seed ${seed}`,
  )
  const all = [
    'TRUNCATED',
    'MALFORMED',
    'WIRE_TYPE',
    'BAD_UTF8',
    'OUT_OF_RANGE',
    'MISSING_REQUIRED',
    'NOT_JSON',
    // What is mutated has a value.
    ...(allMutated ? [] : ['TOMBSTONE']),
  ]
  assert.deepEqual(
    all.filter((code) => !codes.has(code)),
    [],
  )
})

/** 8 to 67 bytes made of a seed. */
function bytesOf(seed: number): Uint8Array {
  let state = seed
  return Uint8Array.from({ length: 8 + (seed % 60) }, () => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b_3c6d) + 0x6d2b_79f5) | 0
    return (state ^ (state >>> 12)) >>> 5
  })
}

function randomOptions(choices: Choices): PlanOptions {
  const metadata = ['topic', 'partition', 'offset', 'timestamp', 'key', { header: 'trace' }, { header: 'ü' }] as const
  return {
    enums: choices.of(['name', 'number']),
    timestamps: choices.of(['micros', 'nanos']),
    lists: choices.of(['json', 'native']),
    flattenDepth: choices.of([3, 2, 1, 0, 5]),
    metadata: metadata.slice(choices.next(8)),
  }
}

/** Of one in three plans only some columns are chosen, some under another name. */
function randomPlan(type: Type, choices: Choices) {
  const options = randomOptions(choices)
  const all = planOrNothing(type, options)
  if (all === undefined) return undefined
  if (choices.next(3) !== 2) return { plan: all, forms: options, whole: true }
  const columns = all.columns.flatMap(({ path, name }, index) => {
    if (choices.next(2) === 0 || path.length === 0) return []
    const from = choices.of([path.join('.'), name])
    return [choices.next(3) === 2 ? { from, as: `column${index}` } : from]
  })
  const plan = columns.length === 0 ? all : planTable(type, { ...options, columns })
  return { plan, forms: options, whole: columns.length === 0 }
}

/** Undefined where the random message is no table. */
function planOrNothing(type: Type, options: PlanOptions) {
  try {
    const plan = planTable(type, options)
    createReferenceDecoder(plan, { tableName: 'test' })
    return plan
  } catch (error) {
    if (error instanceof SchemaError) return undefined
    throw error
  }
}

/** A third of the records are broken somewhere, a few have no value. */
function randomSlabs(type: Type, records: readonly Uint8Array[]): SlabView[] {
  const values = records.map((record) => {
    const choices = new Choices(record)
    const harm = allMutated ? 8 + choices.next(3) : choices.next(12)
    const value = randomWire(type, choices)
    if (harm === 11) return null
    return harm >= 8 ? mutated(value, choices) : value
  })
  const half = values.length >> 1
  const first = { key: Buffer.from('key'), timestamp: 1_700_000_000_123, headers: randomHeaders(records[0]!) }
  const second = { timestamp: records.length % 2 ? -1 : 1e18, headers: randomHeaders(records.at(-1)!) }
  return [slabOf(values.slice(0, half), first), slabOf(values.slice(half), second)]
}

function randomHeaders(bytes: Uint8Array): Uint8Array {
  const choices = new Choices(bytes)
  return encodeHeaders(
    Array.from({ length: choices.next(4) }, () => ({
      name: choices.of(['trace', 'ü', 'other', '']),
      value: choices.of([Buffer.from('text'), null, Buffer.of(0xff), Buffer.alloc(0), Buffer.from('ü'.repeat(40))]),
    })),
  )
}

function mutated(value: Uint8Array, choices: Choices): Uint8Array {
  const at = choices.next(Math.max(1, value.length))
  const [head, tail] = [value.subarray(0, at), value.subarray(at)]
  const byte = choices.of([0xff, 0x80, 0x00, 0x7f, 0x7b, 0x7c, 0x0c, choices.next(256)])
  switch (choices.next(5)) {
    case 0:
      return head
    case 1:
      return Buffer.concat([head, Buffer.of(byte), tail])
    case 2:
      return Buffer.concat([head, Buffer.of(byte), tail.subarray(1)])
    case 3:
      return Buffer.concat([head, tail, tail])
    default:
      return Buffer.concat([head, tail.subarray(1)])
  }
}

function assertSame(compiled: Decoded, reference: Decoded): void {
  const { columns: compiledColumns, offsets: compiledOffsets, release: _, ...compiledRest } = compiled
  const { columns: referenceColumns, offsets: referenceOffsets, release: __, ...referenceRest } = reference
  assert.deepEqual(compiledRest, referenceRest)
  assert.deepEqual(compiledOffsets, referenceOffsets)
  assert.equal(compiledColumns.length, referenceColumns.length)
  referenceColumns.forEach((column, index) => {
    if (!isSame(compiledColumns[index]!, column)) assert.deepEqual(compiledColumns[index], column, `column ${index}`)
  })
}

/** The payload bits of a NaN are not part of its value. */
function isSame(one: Column, other: Column): boolean {
  if (!isSameArray(one.validity, other.validity)) return false
  if (one.kind === 'list' && other.kind === 'list') {
    return isSameArray(one.offsets, other.offsets) && isSame(one.items, other.items)
  }
  if (one.kind === 'variable' && other.kind === 'variable') {
    return isSameArray(one.offsets, other.offsets) && isSameArray(one.bytes, other.bytes)
  }
  return one.kind === 'fixed' && other.kind === 'fixed' && isSameArray(one.values, other.values)
}

type AnyArray = Uint8Array | Int32Array | Uint32Array | BigInt64Array | BigUint64Array | Float32Array | Float64Array

function isSameArray(one: AnyArray | undefined, other: AnyArray | undefined): boolean {
  if (one === undefined || other === undefined) return one === other
  if (one.constructor !== other.constructor || one.length !== other.length) return false
  for (let index = 0; index < one.length; index++) if (!Object.is(one[index], other[index])) return false
  return true
}
