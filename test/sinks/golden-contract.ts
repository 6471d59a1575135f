import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import { join } from 'node:path'
import { appendRules } from '../../src/decode/columns.ts'
import type { TableSchema } from '../../src/decode/columns.ts'
import { createDecoder } from '../../src/decode/create-decoder.ts'
import type { DeadLetter } from '../../src/kafka/dead-letter-slab.ts'
import { packSlab } from '../../src/kafka/slab.ts'
import type { LoadResult } from '../../src/workers/messages.ts'
import { writeLoad } from '../../src/workers/load-writer.ts'
import type { Cell } from '../decode/decoding.ts'
import { projectRoot } from '../support/kafka-installation.ts'
import { makeSink } from './contract/store-under-test.ts'
import type { SinkMaker } from './contract/store-under-test.ts'
import { goldenRows, refusedRows } from './golden-rows.ts'

/** One real, empty store whose rows can be read back whole. */
export interface ReadableStore {
  readonly maker: SinkMaker
  /** The rows of the table by their Kafka offset, each value as a `Cell` says it. No sink is open. */
  read(table: TableSchema): Promise<ReadonlyMap<number, Readonly<Record<string, Cell>>>>
  remove(): Promise<void>
}

export interface Written {
  readonly letters: ReadonlyMap<number, DeadLetter>
  readonly result: LoadResult
  readonly table: TableSchema
}

const all = [...goldenRows, ...refusedRows]

/**
 * Every sink reads the golden rows back as they were. `refused` names those that its store cannot hold, with the code of
 * their dead letters: a value is stored as it was, or its record is a dead letter, and nobody is surprised which.
 */
export function describeGoldenRows(
  name: string,
  refused: Readonly<Record<string, string>>,
  createStore: () => Promise<ReadableStore>,
): void {
  describe(`${name} stores the golden values as they are, or refuses them with the reason`, () => {
    let letters: Written['letters']
    let result: LoadResult
    let rows: Awaited<ReturnType<ReadableStore['read']>>
    before(async () => {
      const store = await createStore()
      try {
        const written = await writeGolden(store.maker)
        ;({ letters, result } = written)
        rows = await store.read(written.table)
      } finally {
        await store.remove()
      }
    })

    test(`${goldenRows.length} values are read back as they were, but for ${Object.keys(refused).length} that it cannot hold`, () => {
      const codes: Record<string, string> = {}
      goldenRows.forEach((golden, offset) => {
        const letter = letters.get(offset)
        const row = rows.get(offset)
        assert.ok(
          (letter === undefined) !== (row === undefined),
          `${golden.name}: a row or a dead letter, not both or none`,
        )
        if (letter) {
          assert.ok(letter.reason.length > 0)
          assert.deepEqual(Buffer.from(letter.slab.value(letter.index)!), golden.wire, golden.name)
          codes[golden.name] = letter.code
          return
        }
        for (const [column, value] of Object.entries(golden.expected)) {
          const found = row![column]
          if (isJson(value)) assert.deepEqual(JSON.parse(found as string), value.json, `${golden.name}: ${column}`)
          else assert.deepEqual(found, value, `${golden.name}: ${column}`)
        }
      })
      assert.deepEqual(codes, refused)
    })

    test(`${refusedRows.length} records that hold no value are dead letters with the field and the reason, and no rows`, () => {
      refusedRows.forEach(({ name: refusedName, wire, reason }, index) => {
        const offset = goldenRows.length + index
        const letter = letters.get(offset)
        assert.ok(letter !== undefined, `${refusedName} is no dead letter`)
        assert.match(letter.reason, reason, refusedName)
        assert.equal(letter.stage, 'DECODE')
        assert.deepEqual(Buffer.from(letter.slab.value(letter.index)!), wire)
        assert.equal(rows.has(offset), false, refusedName)
      })
    })

    test('rows and dead letters add up to the records', () => {
      const counts = { rows: all.length - letters.size, deduplicated: 0, deadLettered: letters.size, skipped: 0 }
      assert.deepEqual(result.outcomes, [{ kind: 'durable', next: all.length, counts }])
      assert.equal(rows.size, counts.rows)
    })
  })
}

/** As a worker does it: decoder, dead letters, sink. */
export async function writeGolden(maker: SinkMaker): Promise<Written> {
  const decoder = await goldenDecoder()
  const sink = await makeSink(maker, 'g')
  const letters = new Map<number, DeadLetter>()
  try {
    await sink.open()
    await sink.evolve(decoder.table)
    const [claimed] = await sink.claim([{ route: 'golden', topic: 't', partition: 0, topicId: 'id-1' }])
    const result = await writeLoad([goldenPart(claimed!.epoch)], {
      ...{ decoder, sink, origin: { route: 'golden', sink: 'under test' } },
      step: () => undefined,
      store: (some) => {
        for (const letter of some) letters.set(letter.offset, letter)
        return Promise.resolve({ id: 1, result: 'stored' })
      },
    })
    return { letters, result, table: decoder.table }
  } finally {
    await sink.close()
  }
}

function goldenDecoder() {
  return createDecoder(
    {
      format: 'protobuf',
      files: [join(projectRoot(), 'test', 'sinks', 'golden.proto')],
      includes: [],
      message: 'golden.v1.Golden',
      lists: 'native',
    },
    { name: 'golden', ...appendRules },
    ['offset'],
  )
}

/** The records at the offsets 0, 1, 2 ... of partition 0. */
function goldenPart(epoch: number) {
  const records = all.map(({ wire }, offset) => ({
    offset,
    timestamp: 7,
    key: null,
    value: wire,
    headers: new Uint8Array(0),
  }))
  return { topic: 't', partition: 0, epoch, base: 0, next: all.length, slabs: [packSlab(records)], deadLettered: [] }
}

function isJson(value: unknown): value is { readonly json: unknown } {
  return typeof value === 'object' && value !== null && 'json' in value
}
