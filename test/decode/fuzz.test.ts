import assert from 'node:assert/strict'
import test from 'node:test'
import { createCompiledDecoder } from '../../src/decode/decoder-compiler.ts'
import type { Decoder } from '../../src/decode/decoder.ts'
import { planTable } from '../../src/decode/table-plan.ts'
import { SchemaError } from '../../src/errors.ts'
import { encodeHeaders, type SlabView } from '../../src/kafka/slab.ts'
import { Seeded } from '../support/seeded.ts'
import { origin, slabOf, typeFrom } from './decoding.ts'
import { PoisonedMemory } from './poisoned-memory.ts'
import { Choices, randomProto, randomWire } from './random-wire.ts'

/** How many inputs are decoded. A longer run: MILLRACE_FUZZ_INPUTS=10000000, from another start with MILLRACE_FUZZ_SEED. */
const inputCount = Number(process.env['MILLRACE_FUZZ_INPUTS'] ?? 40_000)
const seed = Number(process.env['MILLRACE_FUZZ_SEED'] ?? 1)
const inputsPerSlab = 500
const slabsPerType = inputCount > 1_000_000 ? 40 : 4
const hangMs = 100

test('no input makes the decoder throw, hang, or touch a prototype', (context) => {
  const seeded = new Seeded(seed)
  const next = () => seeded.bits()
  const before = prototypes()
  let rows = 0
  let bad = 0
  for (let inputs = 0; inputs < inputCount;) {
    const { decoder, valid } = randomDecoder(next)
    for (let each = 0; each < slabsPerType; each++, inputs += inputsPerSlab) {
      const values = Array.from({ length: inputsPerSlab }, () => randomInput(next, valid))
      const headers = encodeHeaders([{ name: '__proto__', value: Buffer.from('constructor') }])
      const slab = slabOf(values, { headers, key: values[1]! })
      const startedAt = process.cpuUsage()
      const decoded = decoder.decode([slab], origin)
      assert.equal(decoded.rowCount + decoded.bad.length, inputsPerSlab)
      if (millisecondsOf(startedAt) > hangMs) findHang(decoder, slab, values)
      rows += decoded.rowCount
      bad += decoded.bad.length
      decoded.release()
    }
  }
  assert.deepEqual(prototypes(), before)
  assert.equal(({} as { polluted?: unknown }).polluted, undefined)
  assert.ok(rows > 0 && bad > 0, `${rows} rows, ${bad} bad`)
  context.diagnostic(`${rows} rows, ${bad} bad, seed ${seed}`)
})

/** The names that a prototype could be polluted with or robbed of. */
function prototypes(): unknown {
  return [Object, Array, Function, String, Uint8Array].map(({ prototype }) => Reflect.ownKeys(prototype))
}

/** A slab may take long with no hang in it: each input is asked alone. The best of three, as one may have collected garbage. */
function findHang(decoder: Decoder, whole: SlabView, values: readonly Uint8Array[]): void {
  for (const value of values) {
    const slab = slabOf([value])
    const times = [1, 2, 3].map(() => {
      const startedAt = process.cpuUsage()
      decoder.decode([slab], origin)
      return millisecondsOf(startedAt)
    })
    const hex = Buffer.from(value).toString('hex')
    assert.ok(Math.min(...times) < hangMs, `${times.join(', ')} ms of ${whole.count} inputs: ${hex}`)
  }
}

/** Of work: on a busy machine the clock tells of others. */
function millisecondsOf(startedAt: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(startedAt)
  return (user + system) / 1000
}

const hostile = typeFrom(`message Test {
  map<string, google.protobuf.Value> values = 1; google.protobuf.Struct struct = 2; map<string, Test> tests = 3;
  int32 constructor = 4; string toString = 5; Test hasOwnProperty = 6; repeated string valueOf = 7;
  google.protobuf.Any any = 8; google.protobuf.FieldMask mask = 9; oneof prototype { Test a = 10; bytes b = 11; } }`)

/** A decoder of a random type, or of one whose names are those of every object, and good bytes for it. */
function randomDecoder(next: () => number): { decoder: Decoder; valid: () => Uint8Array } {
  const bytes = (length: number): Uint8Array => Uint8Array.from({ length }, () => next() & 0xff)
  for (;;) {
    const type = next() % 4 === 0 ? hostile : typeFrom(randomProto(new Choices(bytes(60))))
    const choices = new Choices(bytes(4))
    try {
      const plan = planTable(type, {
        lists: choices.of(['json', 'native']),
        timestamps: choices.of(['micros', 'nanos']),
        flattenDepth: choices.of([3, 0, 5, 1]),
        metadata: ['key', { header: '__proto__' }],
      })
      const decoder = createCompiledDecoder(plan, { tableName: 'fuzz', memory: new PoisonedMemory() })
      return { decoder, valid: () => randomWire(type, new Choices(bytes(24))) }
    } catch (error) {
      if (!(error instanceof SchemaError)) throw error
    }
  }
}

/** Runs of bytes that mean something, to be put in anywhere. */
const tokens = [
  '0a095f5f70726f746f5f5f', // field 1: "__proto__"
  '0a0b5f5f70726f746f5f5f1200', // a map's entry of that key
  '0a1f0a095f5f70726f746f5f5f12122a100a0e0a08706f6c6c7574656412022001', // {"__proto__": {"polluted": true}} in a Struct
  '120b636f6e7374727563746f72',
  'ffffffffffffffffff01',
  'ffffffff0f',
  '8080808080',
  '0b0b0b0b0b0b0b0b',
  '4242424242424242',
].map((hex) => Buffer.from(hex, 'hex'))

function randomInput(next: () => number, valid: () => Uint8Array): Uint8Array {
  if (next() % 8 === 0) return Uint8Array.from({ length: next() % 64 }, () => next() & 0xff)
  let input = Buffer.from(valid())
  for (let changes = next() % 4; changes > 0; changes--) {
    const at = next() % (input.length + 1)
    const token = next() % 2 === 0 ? tokens[next() % tokens.length]! : Buffer.of(next() & 0xff)
    const removed = [0, 0, 1, token.length][next() % 4]!
    input = Buffer.concat([input.subarray(0, at), token, input.subarray(at + removed)])
  }
  // Now and then the same over and over: what nests, nests deep.
  return next() % 64 === 0 ? Buffer.concat(Array<Buffer>(next() % 200).fill(input)) : input
}
