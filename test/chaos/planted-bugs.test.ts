import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { bugs, placeOf } from './planted-bugs.ts'

const compiled = fileURLToPath(new URL('../../src', import.meta.url))

test('every bug of the zoo still has its one place in the daemon', () => {
  for (const { name, patches } of bugs) {
    for (const patch of patches) assert.doesNotThrow(() => placeOf(patch, compiled), name)
  }
})
