import assert from 'node:assert/strict'
import { test } from 'node:test'
import { nearestName } from '../../src/config/nearest-name.ts'

const known = ['batch', 'maxBytes', 'lingerMs', 'url']
const cases: readonly (readonly [name: string, nearest: string | undefined])[] = [
  ['btach', 'batch'],
  ['max_bytes', 'maxBytes'],
  ['linger', 'lingerMs'],
  ['URI', 'url'],
  ['user', undefined],
  ['', undefined],
]
for (const [name, nearest] of cases) {
  test(`'${name}' is near ${nearest}`, () => assert.equal(nearestName(name, known), nearest))
}
