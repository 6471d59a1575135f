import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import {
  numberBytesMax,
  putBase64,
  putDouble,
  putDurationText,
  putSigned,
  putText,
  putTimestampText,
  putWide,
} from '../../../src/decode/json/json-text.ts'
import { durationSecondsMax, timestampSecondsMax, timestampSecondsMin } from '../../../src/decode/well-known.ts'

/** What `put` writes, after something that it must leave alone, in no more room than it may take. */
function written(room: number, put: (target: Uint8Array, view: DataView, to: number) => number): string {
  const target = new Uint8Array(3 + room).fill(0x21)
  const end = put(target, new DataView(target.buffer), 3)
  assert.deepEqual([...target.subarray(0, 3)], [0x21, 0x21, 0x21])
  assert.ok(end <= target.length, `${end - 3} bytes are more than ${room}`)
  return Buffer.from(target.subarray(3, end)).toString()
}

const number = (put: (target: Uint8Array, to: number) => number): string =>
  written(numberBytesMax, (target, _, to) => put(target, to))

function putsDouble(value: number): void {
  const expected = Object.is(value, -0) ? '-0' : Number.isFinite(value) ? String(value) : `"${value}"`
  assert.equal(
    number((target, to) => putDouble(value, target, to)),
    expected,
  )
}

test('doubles as JavaScript writes them', () => {
  const edges = [
    0,
    -0,
    NaN,
    Infinity,
    -Infinity,
    1e21,
    1e20,
    5e-324,
    2 ** 53,
    2 ** 53 - 1,
    -(2 ** 53),
    1e-6,
    1e-7,
    9e-7,
  ]
  for (const value of [...edges, 0.1, -0.5, 1.000001, 999_999_999.999999, 1e9 + 0.5, 0.30000000000000004]) {
    putsDouble(value)
  }
  fc.assert(fc.property(fc.double(), putsDouble), { numRuns: 20_000 })
})

test('decimal numbers, and the doubles next to them', () => {
  const decimal = fc.tuple(fc.maxSafeInteger(), fc.integer({ min: 0, max: 12 }), fc.constantFrom(-1, 0, 1))
  fc.assert(
    fc.property(decimal, ([digits, places, step]) => {
      const value = (digits % 10 ** (1 + (Math.abs(digits) % 16))) / 10 ** places
      const word = new DataView(new ArrayBuffer(8))
      word.setFloat64(0, value)
      word.setBigInt64(0, word.getBigInt64(0) + BigInt(step))
      putsDouble(word.getFloat64(0))
    }),
    { numRuns: 50_000 },
  )
})

test('whole numbers', () => {
  const whole = (value: number): string => number((target, to) => putSigned(value, target, to))
  const edges = [0, 9, 10, 99, 100, 999_999_999, 1e9, 2 ** 31 - 1, 2 ** 31, 2 ** 32, 1e15, 2 ** 53 - 1]
  for (const value of edges) for (const each of [value, -value - 1, value - 1]) assert.equal(whole(each), String(each))
  fc.assert(fc.property(fc.maxSafeInteger(), (value) => assert.equal(whole(value), String(value))))
})

test('integers of 64 bits, of either kind', () => {
  const around = [0n, 2n ** 31n, 2n ** 32n, 2n ** 53n, 2n ** 63n, 2n ** 64n, 10n ** 9n, 10n ** 18n, 10n ** 19n]
  const wide = fc.oneof(
    fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    fc.tuple(fc.constantFrom(...around), fc.bigInt({ min: -3n, max: 3n })).map(([one, more]) => one + more),
  )
  fc.assert(
    fc.property(wide, fc.boolean(), (value, signed) => {
      const low = Number(BigInt.asIntN(32, value))
      const high = Number(BigInt.asIntN(32, value >> 32n))
      const expected = signed ? BigInt.asIntN(64, value) : BigInt.asUintN(64, value)
      assert.equal(
        number((target, to) => putWide(low, high, signed, target, to)),
        String(expected),
      )
    }),
    { numRuns: 20_000 },
  )
})

test('text as JSON.stringify writes it', () => {
  const unit = fc.oneof(
    { weight: 8, arbitrary: fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }) },
    { weight: 4, arbitrary: fc.constantFrom('a', ' ', '\x7f', '!', '#', '[', ']', '~') },
    { weight: 1, arbitrary: fc.constantFrom('"', '\\', '\0', '\b', '\t', '\n', '\f', '\r', '\x1f', '\u2028') },
  )
  fc.assert(
    fc.property(fc.string({ unit, maxLength: 40, size: 'max' }), fc.nat(5), (text, before) => {
      const bytes = Buffer.from('"'.repeat(before) + text)
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
      const { length } = bytes
      assert.equal(
        written((length - before) * 6 + 2, (target, targetView, to) =>
          putText(bytes, view, before, length - before, target, targetView, to),
        ),
        JSON.stringify(text),
      )
    }),
    { numRuns: 20_000 },
  )
})

test('bytes in base64', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      const room = Math.ceil(bytes.length / 3) * 4 + 2
      assert.equal(
        written(room, (target, _, to) => putBase64(bytes, 0, bytes.length, target, to)),
        `"${Buffer.from(bytes).toString('base64')}"`,
      )
    }),
  )
})

const nanos = fc.oneof(
  fc.nat(999_999_999),
  fc.nat(999_999).map((n) => n * 1000),
  fc.nat(999).map((n) => n * 1_000_000),
)

/** 0, 3, 6 or 9 digits. */
function fraction(nanos: number): string {
  return nanos === 0 ? '' : `.${String(nanos).padStart(9, '0')}`.replace(/(000){1,2}$/, '')
}

test('times of all years as Date writes them', () => {
  const seconds = fc.integer({ min: timestampSecondsMin, max: timestampSecondsMax })
  fc.assert(
    fc.property(seconds, nanos, (seconds, nanos) => {
      const date = new Date(seconds * 1000).toISOString().slice(0, -5)
      assert.equal(
        number((target, to) => putTimestampText({ seconds, nanos }, target, to)),
        `"${date}${fraction(nanos)}Z"`,
      )
    }),
    {
      numRuns: 20_000,
      examples: [
        [timestampSecondsMin, 0],
        [timestampSecondsMax, 999_999_999],
        [951_782_400, 0],
        [0, 0],
      ],
    },
  )
})

test('durations', () => {
  const seconds = fc.integer({ min: 0, max: durationSecondsMax })
  fc.assert(
    fc.property(seconds, nanos, fc.constantFrom(1, -1), (seconds, nanos, sign) => {
      const minus = sign < 0 && (seconds > 0 || nanos > 0) ? '-' : ''
      assert.equal(
        number((target, to) => putDurationText({ seconds: sign * seconds, nanos: sign * nanos }, target, to)),
        `"${minus}${seconds}${fraction(nanos)}s"`,
      )
    }),
  )
})
