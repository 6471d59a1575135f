import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseSize } from '../../src/config/sizes.ts'

const sizes: readonly (readonly [text: string, bytes: number | undefined])[] = [
  ['4096', 4096],
  ['8MiB', 8_388_608],
  ['8 mib', 8_388_608],
  ['512 MB', 512_000_000],
  ['1.5KiB', 1536],
  [' 2GiB ', 2_147_483_648],
  ['1TiB', 1_099_511_627_776],
  ['100b', 100],
  ['8M', undefined],
  ['8Mbit', undefined],
  ['-1MiB', undefined],
  ['1e6', undefined],
  ['MiB', undefined],
  ['', undefined],
  ['1 constructor', undefined],
  ['99999TiB', undefined],
]
for (const [text, bytes] of sizes) {
  test(`'${text}' is ${bytes ?? 'no'} bytes`, () => assert.equal(parseSize(text), bytes))
}
