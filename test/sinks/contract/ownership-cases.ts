import assert from 'node:assert/strict'
import { setTimeout as pause } from 'node:timers/promises'
import type { Sink, SinkPartition } from '../../../src/sinks/sink.ts'
import { Seeded } from '../../support/seeded.ts'
import { inOrder, places, range } from './ground.ts'
import type { ContractCase } from './ground.ts'

/** Who may write, and to which position. */
export const ownershipCases: readonly ContractCase[] = [
  {
    name: 'a second claim fences the first for good, and sees what it wrote',
    run: async (ground) => {
      const sink = await ground.open()
      const other = await ground.openSecond(sink)
      const first = await ground.claim(sink)
      await ground.write(sink, { epoch: first.epoch, base: 0, next: 5 })
      const second = await ground.claim(other)
      assert.ok(second.epoch > first.epoch)
      assert.equal(second.position, 5)
      assert.deepEqual(await ground.write(sink, { epoch: first.epoch, base: 5, next: 9 }), [{ kind: 'fenced' }])
      const acks = await ground.write(other, { epoch: second.epoch, base: 5, next: 7 })
      assert.deepEqual(acks, [{ kind: 'durable', next: 7, rows: 2 }])
      assert.deepEqual(await ground.write(sink, { epoch: first.epoch, base: 5, next: 9 }), [{ kind: 'fenced' }])
      await ground.holdsJust(7)
    },
  },
  {
    name: 'a claim by a sink that was away fences the one that came after it was made',
    run: async (ground) => {
      const sink = await ground.open()
      const other = await ground.openSecond(sink)
      const epochs = []
      for (const each of [sink, other, sink, other]) epochs.push((await ground.claim(each)).epoch)
      assert.deepEqual(
        epochs,
        epochs.toSorted((a, b) => a - b),
      )
      assert.equal(new Set(epochs).size, epochs.length, `one epoch for two claims: ${epochs.join()}`)
    },
  },
  {
    name: 'two owners that claim in turn, with pauses, on four partitions, store every offset once',
    run: async (ground) => {
      const seed = Date.now() % 100_000
      const seeded = new Seeded(seed)
      const sink = await ground.open()
      const other = await ground.openSecond(sink)
      const end = 40
      const reached = [0, 0, 0, 0]
      let rounds = 0

      async function own(mine: Sink): Promise<void> {
        while (reached.some((next) => next < end)) {
          assert.ok(++rounds < 5_000, `seed ${seed}: no progress, at ${reached.join()}`)
          const at = seeded.below(reached.length)
          const { epoch, position } = await ground.claim(mine, { partition: at })
          // Two loads under one claim, the first of which may reach back over what is stored.
          let base = Math.max(0, (position ?? 0) - seeded.below(4))
          for (let load = 0; load < 2; load++) {
            await pause(seeded.below(3))
            const [ack] = await ground.write(mine, { epoch, partition: at, base, next: base + 1 + seeded.below(8) })
            if (ack?.kind !== 'durable') break
            reached[at] = Math.max(reached[at]!, ack.next)
            base = ack.next
          }
        }
      }

      await Promise.all([own(sink), own(other)])
      const all = reached.flatMap((next, at) => places(range(0, next), at))
      assert.deepEqual(await ground.rows(), inOrder(all), `seed ${seed}`)
    },
  },
  {
    name: 'what is refused of one batch keeps no other of the call from being written',
    run: async (ground) => {
      const sink = await ground.open()
      const zero = await ground.claim(sink)
      const one = await ground.claim(sink, { partition: 1 })
      const two = await ground.claim(sink, { partition: 2 })
      await ground.write(sink, { epoch: one.epoch, partition: 1, base: 0, next: 2 })
      const acks = await ground.write(
        sink,
        { epoch: zero.epoch - 1, base: 0, next: 3 },
        { epoch: one.epoch, partition: 1, base: 5, next: 6 },
        { epoch: two.epoch, partition: 2, base: 0, next: 2 },
      )
      assert.deepEqual(acks, [
        { kind: 'fenced' },
        { kind: 'resync', position: 2 },
        { kind: 'durable', next: 2, rows: 2 },
      ])
      assert.deepEqual(await ground.rows(), ['1/0', '1/1', '2/0', '2/1'])
    },
  },
  {
    name: 'routes, topics and partitions have a position each',
    run: async (ground) => {
      const sink = await ground.open()
      const others: Partial<SinkPartition>[] = [{ route: 's' }, { topic: 'u' }, { partition: 1 }]
      const first = await ground.claim(sink)
      await ground.write(sink, { epoch: first.epoch, base: 0, next: 3 })
      for (const over of others) assert.equal((await ground.claim(sink, over)).position, null, JSON.stringify(over))
      assert.equal((await ground.claim(sink)).position, 3)
    },
  },
  {
    name: 'two groups are two readers, and both may write',
    run: async (ground) => {
      const one = await ground.open('one')
      await ground.write(one, { epoch: (await ground.claim(one)).epoch, base: 0, next: 2 })
      await ground.closeAll()
      const other = await ground.open('other')
      const claimed = await ground.claim(other)
      assert.equal(claimed.position, null)
      await ground.write(other, { epoch: claimed.epoch, base: 0, next: 2 })
      assert.deepEqual(await ground.rows(), places([0, 0, 1, 1]))
    },
  },
  {
    name: 'a topic made anew under its name starts anew, and fences the writer of the old one',
    run: async (ground) => {
      const sink = await ground.open()
      const old = await ground.claim(sink)
      await ground.write(sink, { epoch: old.epoch, base: 0, next: 9 })
      const made = await ground.claim(sink, { topicId: 'id-2' })
      assert.equal(made.position, null)
      assert.deepEqual(await ground.write(sink, { epoch: old.epoch, base: 9, next: 10 }), [{ kind: 'fenced' }])
      const acks = await ground.write(sink, { epoch: made.epoch, base: 0, next: 2 })
      assert.deepEqual(acks, [{ kind: 'durable', next: 2, rows: 2 }])
      assert.equal((await ground.claim(sink)).position, 9, 'the old one is where it was')
    },
  },
]
