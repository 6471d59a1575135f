import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import { appendRules } from '../../src/decode/columns.ts'
import { createDecoder } from '../../src/decode/create-decoder.ts'
import type { Decoded, Decoder } from '../../src/decode/decoder.ts'
import { loadMessageType } from '../../src/decode/schema-source.ts'
import { SinkUnavailableError } from '../../src/errors.ts'
import type { DeadLetter } from '../../src/kafka/dead-letter-slab.ts'
import { packSlab } from '../../src/kafka/slab.ts'
import { writeLoad } from '../../src/workers/load-writer.ts'
import type { TaskPart, WorkerReply } from '../../src/workers/messages.ts'
import { MemorySink, poisonAt } from '../support/memory-sink.ts'
import type { Refusal } from '../support/memory-sink.ts'
import { readingMessage, readingProto } from '../support/readings.ts'

const noHeaders = new Uint8Array(0)
const broken = Uint8Array.of(0x0a, 0xff, 0xff, 0x03)
let decoder: Decoder
let good: Uint8Array

before(async () => {
  const files = [readingProto]
  decoder = await createDecoder(
    {
      format: 'protobuf',
      files,
      includes: [],
      message: readingMessage,
      enums: 'name',
      flattenDepth: 3,
      tombstones: 'skip',
    },
    { name: 'readings', ...appendRules },
    [],
  )
  const type = await loadMessageType({ files, message: readingMessage })
  good = type.encode(type.fromObject({ device_id: 'a', value: 1 })).finish()
})

/** A part of partition 0 whose values are given by offset; null is a tombstone. */
function partOf(
  values: Record<number, Uint8Array | null>,
  over: Partial<TaskPart> = {},
  key: Uint8Array | null = Buffer.from('k'),
): TaskPart {
  const offsets = Object.keys(values).map(Number)
  const records = offsets.map((offset) => ({
    offset,
    timestamp: 7,
    key,
    value: values[offset]!,
    headers: noHeaders,
  }))
  return {
    topic: 't',
    partition: 0,
    epoch: 1,
    base: offsets[0]!,
    next: offsets.at(-1)! + 1,
    slabs: [packSlab(records)],
    deadLettered: [],
    ...over,
  }
}

const valueOf = ({ slab, index }: DeadLetter) => slab.value(index)

/** A dead-letter store that tells in which order things happened, and what was kept. */
function setUp(reply: Omit<WorkerReply, 'id'> = { result: 'stored' }) {
  const sink = new MemorySink()
  const letters: DeadLetter[] = []
  const rowsAtStore: number[] = []
  const tools = {
    decoder,
    sink,
    origin: { route: 'readings', sink: 'memory' },
    step: () => undefined,
    store: (some: readonly DeadLetter[]) => {
      letters.push(...some)
      rowsAtStore.push(sink.rows.length)
      return Promise.resolve({ id: 1, ...reply } as WorkerReply)
    },
  }
  return { sink, letters, rowsAtStore, tools }
}

/** The decoder, and whatever it decoded that was not released. */
function lendingDecoder(): { lent: Set<Decoded>; lending: Decoder } {
  const lent = new Set<Decoded>()
  const decode: Decoder['decode'] = (slabs, origin) => {
    const decoded = decoder.decode(slabs, origin)
    const release = () => {
      decoded.release()
      lent.delete(decoded)
    }
    lent.add(decoded)
    return { ...decoded, release }
  }
  return { lent, lending: { table: decoder.table, decode } }
}

describe('writeLoad', () => {
  test('rows, tombstones and dead letters add up to the records of the part', async () => {
    const { sink, tools, letters } = setUp()
    const part = partOf({ 5: good, 6: broken, 8: null, 9: good })
    const { outcomes } = await writeLoad([part], tools)
    assert.deepEqual(outcomes, [
      { kind: 'durable', next: 10, counts: { rows: 2, deduplicated: 0, deadLettered: 1, skipped: 1 } },
    ])
    assert.deepEqual(sink.rows, ['t/0/5', 't/0/9'])
    const [letter] = letters
    assert.deepEqual(
      [letter?.offset, letter?.stage, letter && valueOf(letter), letter?.slab.timestamp(letter.index)],
      [6, 'DECODE', broken, 7],
    )
    assert.deepEqual(letter?.slab.key(letter.index), Uint8Array.from(Buffer.from('k')))
  })

  test('where the table takes deletes, a tombstone is one, and counts as written', async () => {
    const { sink, tools } = setUp()
    const table = { ...decoder.table, rules: { ...decoder.table.rules, deletes: true } }
    const deleting = { ...tools, decoder: { table, decode: decoder.decode.bind(decoder) } }
    const { outcomes } = await writeLoad([partOf({ 5: good, 6: null, 8: null })], deleting)
    assert.deepEqual(outcomes, [
      { kind: 'durable', next: 9, counts: { rows: 3, deduplicated: 0, deadLettered: 0, skipped: 0 } },
    ])
    const { offsets, keys } = sink.calls[0]![0]!.deletes!
    assert.deepEqual([[...offsets], Buffer.from(keys.bytes).toString()], [[6, 8], 'kk'])
  })

  test('a tombstone without a key says of nothing that it goes: it is a dead letter', async () => {
    const { tools, letters } = setUp()
    const table = { ...decoder.table, rules: { ...decoder.table.rules, deletes: true } }
    const deleting = { ...tools, decoder: { table, decode: decoder.decode.bind(decoder) } }
    const { outcomes } = await writeLoad([partOf({ 5: null }, {}, null)], deleting)
    assert.deepEqual(outcomes, [
      { kind: 'durable', next: 6, counts: { rows: 0, deduplicated: 0, deadLettered: 1, skipped: 0 } },
    ])
    assert.deepEqual([letters[0]?.offset, letters[0]?.code], [5, 'NO_KEY'])
  })

  test('a dead letter is stored before the position passes it', async () => {
    const { tools, rowsAtStore } = setUp()
    await writeLoad([partOf({ 0: good, 1: broken })], tools)
    assert.deepEqual(rowsAtStore, [0])
  })

  test('a dead letter that an earlier try stored is not stored again', async () => {
    const { tools, letters } = setUp()
    const { outcomes } = await writeLoad([partOf({ 0: good, 1: broken, 2: broken }, { deadLettered: [1] })], tools)
    assert.deepEqual(
      letters.map(({ offset }) => offset),
      [2],
    )
    assert.deepEqual(outcomes[0]?.kind === 'durable' && outcomes[0].counts.deadLettered, 2)
  })

  // What the sink answers the first time; the second time it writes.
  const endings: Record<string, { refuse: Refusal; writes: number }> = {
    written: { refuse: () => undefined, writes: 1 },
    'refused in part': { refuse: poisonAt([1], 'out of range'), writes: 2 },
    'to be tried again': { refuse: () => ({ kind: 'retry', error: new SinkUnavailableError('away') }), writes: 1 },
    fenced: { refuse: () => ({ kind: 'fenced' }), writes: 1 },
  }
  for (const [what, { refuse, writes }] of Object.entries(endings)) {
    test(`the memory of a load that is ${what} is given back when the last write has ended, and not before`, async () => {
      const { sink, tools } = setUp()
      const { lent, lending } = lendingDecoder()
      const lentAtWrite: number[] = []
      sink.refuse = (batch) => {
        lentAtWrite.push(lent.size)
        return refuse(batch)
      }
      const parts = [partOf({ 0: good, 1: good, 2: broken }), partOf({ 7: good }, { partition: 1 })]
      await writeLoad(parts, { ...tools, decoder: lending })
      assert.deepEqual(lentAtWrite, Array(1 + writes).fill(2))
      assert.equal(lent.size, 0)
    })
  }

  test('the memory of a load whose sink breaks its word is not given back: it may still be read', async () => {
    const { sink, tools } = setUp()
    const { lent, lending } = lendingDecoder()
    sink.refuse = () => assert.fail('a bug of the sink')
    await assert.rejects(writeLoad([partOf({ 0: good })], { ...tools, decoder: lending }), /a bug of the sink/)
    assert.equal(lent.size, 1)
  })

  test('rows that the store refuses are dead letters, and the rest is written with the same range', async () => {
    const { sink, tools, letters } = setUp()
    sink.refuse = poisonAt([1, 3], 'out of range')
    const { outcomes } = await writeLoad([partOf({ 0: good, 1: good, 2: good, 3: good })], tools)
    assert.deepEqual(
      letters.map(({ offset, stage, code }) => [offset, stage, code]),
      [
        [1, 'SINK_WRITE', '22003'],
        [3, 'SINK_WRITE', '22003'],
      ],
    )
    assert.deepEqual(sink.rows, ['t/0/0', 't/0/2'])
    assert.deepEqual(
      sink.calls.map(([batch]) => [batch?.base, batch?.next, batch?.rowCount]),
      [
        [0, 4, 4],
        [0, 4, 2],
      ],
    )
    assert.deepEqual(outcomes[0], {
      kind: 'durable',
      next: 4,
      counts: { rows: 2, deduplicated: 0, deadLettered: 2, skipped: 0 },
    })
  })

  test('what the sink cannot take now comes back whole, with the dead letters stored so far', async () => {
    const { sink, tools } = setUp()
    sink.refuse = () => ({ kind: 'retry', error: new SinkUnavailableError('away') })
    const part = partOf({ 0: good, 1: broken })
    const { outcomes } = await writeLoad([part], tools)
    assert.ok(outcomes[0]?.kind === 'retry')
    assert.deepEqual(
      [outcomes[0].slabs, outcomes[0].deadLettered, outcomes[0].error.code],
      [part.slabs, [1], 'SINK_UNAVAILABLE'],
    )
  })

  test('with the dead letters away nothing passes: the part comes back, its neighbours are written', async () => {
    const error = { name: 'E', code: 'KAFKA_UNAVAILABLE', retryable: true, message: 'away', stack: undefined }
    const { sink, tools } = setUp({ result: 'failed', error } as never)
    const { outcomes } = await writeLoad([partOf({ 0: broken, 1: good }), partOf({ 4: good }, { partition: 1 })], tools)
    assert.deepEqual(
      outcomes.map(({ kind }) => kind),
      ['retry', 'durable'],
    )
    assert.deepEqual(sink.rows, ['t/1/4'])
  })

  test('without a dead-letter topic the part is written up to the bad record, and stops there with its place and reason', async () => {
    const { sink, tools } = setUp({ result: 'refused' })
    const { outcomes } = await writeLoad([partOf({ 0: good, 1: null, 2: good, 3: broken, 4: good, 5: broken })], tools)
    assert.ok(outcomes[0]?.kind === 'stopped')
    assert.deepEqual(
      [outcomes[0].next, outcomes[0].counts],
      [3, { rows: 2, deduplicated: 0, deadLettered: 0, skipped: 1 }],
    )
    assert.match(outcomes[0].error.message, /^t\/0 offset 3: .*deadLetters\.topic/)
    assert.deepEqual(sink.rows, ['t/0/0', 't/0/2'])
  })

  test('rows that the sink had already count as deduplicated', async () => {
    const { sink, tools } = setUp()
    sink.refuse = ({ next }) => ({ kind: 'durable', next, rows: 0 })
    const { outcomes } = await writeLoad([partOf({ 0: good, 1: good })], tools)
    assert.deepEqual(outcomes[0], {
      kind: 'durable',
      next: 2,
      counts: { rows: 0, deduplicated: 2, deadLettered: 0, skipped: 0 },
    })
  })

  test('each part has its own outcome, in order', async () => {
    const { sink, tools } = setUp()
    sink.refuse = ({ partition }) =>
      partition === 0 ? { kind: 'fenced' } : partition === 1 ? { kind: 'resync', position: 3 } : undefined
    const parts = [0, 1, 2].map((partition) => partOf({ 7: good }, { partition }))
    const { outcomes } = await writeLoad(parts, tools)
    assert.deepEqual(
      outcomes.map(({ kind }) => kind),
      ['fenced', 'resync', 'durable'],
    )
  })

  test('a record in quarantine is a dead letter that no decoder looks at', async () => {
    const { sink, tools, letters } = setUp()
    const part = partOf({ 4: good }, { quarantine: { code: 'WORKER_HUNG', reason: 'twice' } })
    const { outcomes } = await writeLoad([part], tools)
    assert.deepEqual(
      letters.map((letter) => [letter.offset, letter.code, letter.reason, valueOf(letter)]),
      [[4, 'WORKER_HUNG', 'twice', Uint8Array.from(good)]],
    )
    assert.deepEqual(outcomes, [
      { kind: 'durable', next: 5, counts: { rows: 0, deduplicated: 0, deadLettered: 1, skipped: 0 } },
    ])
    assert.deepEqual(sink.rows, [])
  })
})
