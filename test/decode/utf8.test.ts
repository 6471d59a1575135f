import assert from 'node:assert/strict'
import { isUtf8 } from 'node:buffer'
import test from 'node:test'
import { isUtf8Text } from '../../src/decode/utf8.ts'

test('up to three bytes: what node takes and nothing else', () => {
  const bytes = new Uint8Array(3)
  for (let length = 1; length <= 3; length++) {
    const text = bytes.subarray(0, length)
    for (let value = 0; value < 256 ** length; value += length === 3 ? 7 : 1) {
      bytes[0] = value
      bytes[1] = value >> 8
      bytes[2] = value >> 16
      if (isUtf8Text(text, 0, length) !== isUtf8(text)) assert.fail(Buffer.from(text).toString('hex'))
    }
  }
})

// The corners of the table in RFC 3629, section 4.
const corners = [
  0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xec, 0xed, 0xee,
].concat([0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xff])

test('four bytes and more: the same at all corners, from the middle of other bytes', () => {
  for (const a of corners) {
    for (const b of corners) {
      for (const c of corners) {
        for (const d of corners) {
          const bytes = Uint8Array.of(0xff, a, b, c, d, 0x80)
          assert.equal(isUtf8Text(bytes, 1, 5), isUtf8(bytes.subarray(1, 5)), Buffer.from(bytes).toString('hex'))
        }
      }
    }
  }
})
