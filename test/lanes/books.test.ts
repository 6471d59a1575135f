import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Books } from '../../src/lanes/books.ts'

describe('Books', () => {
  test('every record has one fate, and they add up to what was read', () => {
    const books = new Books()
    books.received(100)
    books.settled({ rows: 40, deduplicated: 20, deadLettered: 10, skipped: 5 })
    books.dropped(3)
    const fates = { written: 40, deduplicated: 20, deadLettered: 10, skipped: 5, givenUp: 3 }
    assert.deepEqual({ ...books }, { read: 100, ...fates, inFlight: 22 })
    assert.equal(books.balanced, true)
  })

  const wrongs: { name: string; change: (books: Books) => void }[] = [
    { name: 'a record without a fate', change: (books) => void books.read++ },
    { name: 'a row too many', change: (books) => void books.written++ },
    { name: 'a duplicate too many', change: (books) => void books.deduplicated++ },
    { name: 'a dead letter too many', change: (books) => void books.deadLettered++ },
    { name: 'a skipped record too many', change: (books) => void books.skipped++ },
    { name: 'a record given up twice', change: (books) => void books.givenUp++ },
    { name: 'more settled than was in flight', change: (books) => books.dropped(3) },
  ]
  for (const { name, change } of wrongs) {
    test(`${name} is noticed`, () => {
      const books = new Books()
      books.received(2)
      change(books)
      assert.equal(books.balanced, false)
    })
  }
})
