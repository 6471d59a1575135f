import assert from 'node:assert/strict'
import { setTimeout as pause } from 'node:timers/promises'
import type { Ack } from '../../../src/sinks/sink.ts'
import { Seeded } from '../../support/seeded.ts'
import { places, range } from './ground.ts'
import type { ContractCase, Ground } from './ground.ts'
import type { Capable } from './store-under-test.ts'

type NetworkCase = ContractCase<Capable<'network' | 'several'>>

const holeFoundWithinMs = 15_000
const impatienceMs = 1_500
/** A claim that is not answered by then waits for a lock. */
const waitsAfterMs = 100

const rowsOfWrite = 300
/** Where a write is cut: so many bytes after it began, and so many before it ended. */
const cuts = { afterBegin: [0, 1, 60, 150, 1_000, 4_000], beforeEnd: [150, 90, 60, 40, 25, 10, 1] }

/** Between a sink and its server the network fails. */
export const networkCases: readonly NetworkCase[] = [
  {
    name: 'a commit whose reply is lost is known to have happened',
    run: async (ground) => {
      const { proxy, committed } = ground.store.network
      const { sink, epoch } = await owner(ground)
      const lost = proxy.cutBefore('fromServer', committed)
      const { ack, errors } = await ground.deliver(sink, { epoch, base: 0, next: 8 })
      await lost
      assert.ok(ack.kind === 'durable' && ack.next === 8, JSON.stringify(ack))
      if (errors.length > 0) assert.equal(ack.rows, 0, 'they had been stored before')
      assert.equal((await ground.claim(sink)).position, 8)
      await ground.holdsJust(8)
    },
  },
  {
    name: 'a commit that never arrived is known not to have happened',
    run: async (ground) => {
      const { proxy, rowsBegin } = ground.store.network
      const { sink, epoch } = await owner(ground)
      const lost = proxy.cutBefore('fromClient', rowsBegin)
      const { ack, errors } = await ground.deliver(sink, { epoch, base: 0, next: 8 })
      await lost
      assert.deepEqual(ack, { kind: 'durable', next: 8, rows: 8 }, JSON.stringify(errors))
      await ground.holdsJust(8)
    },
  },
  ...(['fromClient', 'fromServer'] as const).map((direction): NetworkCase => ({
    name: `a connection cut after any number of bytes ${direction} costs no row and doubles none`,
    run: async (ground) => {
      const { proxy } = ground.store.network
      const { sink, epoch } = await owner(ground)
      let length = 0
      proxy.hook = (seen) => {
        if (seen.direction === direction) length += seen.bytes.length
        return 'pass'
      }
      // Numbers with as many digits each, so that every write is as long as this one.
      const first = 1_000_000
      let next = first + rowsOfWrite
      await ground.write(sink, { epoch, base: first, next })
      for (const bytes of [...cuts.afterBegin, ...cuts.beforeEnd.map((each) => length - each)]) {
        if (bytes < 0) continue
        void proxy.cutAfter(direction, bytes)
        const { ack } = await ground.deliver(sink, { epoch, base: next, next: next + rowsOfWrite })
        next += rowsOfWrite
        assert.ok(ack.kind === 'durable' && ack.next === next, `after ${bytes} bytes: ${JSON.stringify(ack)}`)
      }
      assert.deepEqual(await ground.rows(), places(range(first, next)))
    },
  })),
  {
    name: 'a connection that broke while nothing was under way is replaced',
    run: async (ground) => {
      const { sink, epoch } = await owner(ground)
      await ground.write(sink, { epoch, base: 0, next: 3 })
      ground.store.network.proxy.cut()
      const { ack } = await ground.deliver(sink, { epoch, base: 3, next: 5 })
      assert.deepEqual(ack, { kind: 'durable', next: 5, rows: 2 })
      await ground.holdsJust(5)
    },
  },
  {
    name: 'a connection that swallows everything is given up when the time for the write is over',
    run: async (ground) => {
      const { proxy } = ground.store.network
      const { sink, epoch } = await owner(ground)
      await ground.write(sink, { epoch, base: 0, next: 3 })
      proxy.blackHole()
      const startedAt = performance.now()
      const [ack] = await ground.writeUnder(AbortSignal.timeout(impatienceMs), sink, { epoch, base: 3, next: 6 })
      assert.equal(ack?.kind, 'retry')
      assert.ok(performance.now() - startedAt < holeFoundWithinMs)
      proxy.heal()
      const delivered = await ground.deliver(sink, { epoch, base: 3, next: 6 })
      assert.deepEqual(delivered.ack, { kind: 'durable', next: 6, rows: 3 })
      await ground.holdsJust(6)
    },
  },
  {
    name: 'a slow network is only slow',
    run: async (ground) => {
      const { proxy } = ground.store.network
      const { sink, epoch } = await owner(ground)
      proxy.delayMs.fromClient = 30
      proxy.delayMs.fromServer = 30
      assert.deepEqual(await ground.write(sink, { epoch, base: 0, next: 300 }), [
        { kind: 'durable', next: 300, rows: 300 },
      ])
      await ground.holdsJust(300)
    },
  },
  {
    name: 'a writer that stood still before its first statement is fenced when it wakes',
    run: async (ground) => {
      const { proxy, loadBegins } = ground.store.network
      const { late, other } = await zombie(ground, loadBegins)
      const claimed = await ground.claim(other)
      assert.equal((await ground.write(other, { epoch: claimed.epoch, base: 0, next: 5 }))[0]?.kind, 'durable')
      proxy.release()
      assertNotWritten(await late)
      const { ack } = await ground.deliver(other, { epoch: claimed.epoch, base: 5, next: 9 })
      assert.deepEqual(ack, { kind: 'durable', next: 9, rows: 4 })
      await ground.holdsJust(9)
    },
  },
  {
    name: 'of a zombie between its statements and the new owner each offset is stored by one',
    run: async (ground) => {
      const { proxy, rowsBegin } = ground.store.network
      const { late, other } = await zombie(ground, rowsBegin)
      // Waits for the zombie where a transaction holds the position, else comes first.
      const claiming = ground.claim(other)
      await Promise.race([claiming, pause(waitsAfterMs)])
      proxy.release()
      const [ack] = await late
      const claimed = await claiming
      const stored = ack?.kind === 'durable' ? ack.next : 0
      if (stored === 0) assertNotWritten([ack!])
      assert.equal(claimed.position ?? 0, stored, 'the claim saw what the zombie stored')
      const delivered = await ground.deliver(other, { epoch: claimed.epoch, base: Math.min(stored, 5), next: 12 })
      assert.ok(delivered.ack.kind === 'durable' && delivered.ack.next === 12)
      await ground.holdsJust(12)
    },
  },
  {
    name: 'a zombie whose connection breaks gives its place free',
    run: async (ground) => {
      const { proxy, rowsBegin } = ground.store.network
      const { late, other } = await zombie(ground, rowsBegin)
      const claiming = ground.claim(other)
      await Promise.race([claiming, pause(waitsAfterMs)])
      proxy.cut()
      // Cut was the claim's connection too, where it still waited.
      const claimed = await claiming.catch(() => ground.claim(other))
      assertNotWritten(await late)
      const { ack } = await ground.deliver(other, { epoch: claimed.epoch, base: 0, next: 4 })
      assert.deepEqual(ack, { kind: 'durable', next: 4, rows: 4 })
      await ground.holdsJust(4)
    },
  },
  {
    name: 'through cuts, holes, delays and new owners at random every offset is stored once',
    run: async (ground) => {
      const seed = Date.now() % 100_000
      const seeded = new Seeded(seed)
      const { proxy } = ground.store.network
      const sinks = [await ground.open(), await ground.open()]
      let next = 0
      for (let round = 0; round < 30; round++) {
        const sink = sinks[seeded.below(2)]!
        if (seeded.below(2) === 0)
          void proxy.cutAfter(seeded.below(2) ? 'fromClient' : 'fromServer', seeded.below(3_000))
        proxy.delayMs[seeded.below(2) ? 'fromClient' : 'fromServer'] = seeded.below(4)
        const claimed = await ground.claim(sink).catch(() => undefined)
        if (claimed === undefined) continue
        const base = Math.max(0, (claimed.position ?? 0) - seeded.below(5))
        const { ack } = await ground.deliver(sink, { epoch: claimed.epoch, base, next: base + 1 + seeded.below(100) })
        assert.ok(ack.kind === 'durable' || ack.kind === 'fenced', `seed ${seed}: ${ack.kind}`)
        if (ack.kind === 'durable') next = ack.next
      }
      proxy.heal()
      assert.ok(next > 0, `seed ${seed}: nothing was written`)
      const stored = await ground.rows()
      assert.deepEqual([stored.length, new Set(stored).size], [next, next], `seed ${seed}`)
    },
  },
]

async function owner(ground: Ground<Capable<'network' | 'several'>>) {
  const sink = await ground.open()
  const { epoch } = await ground.claim(sink)
  return { sink, epoch }
}

/** A write of 0 to 9 that is held in the network before `place`, and another sink that may claim meanwhile. */
async function zombie(ground: Ground<Capable<'network' | 'several'>>, place: string | Uint8Array) {
  const { sink, epoch } = await owner(ground)
  const other = await ground.open()
  const held = ground.store.network.proxy.holdBefore('fromClient', place)
  const late = ground.write(sink, { epoch, base: 0, next: 9 })
  await held
  return { late, other }
}

/** Fenced, or broken off: what was not written may be answered as either. */
function assertNotWritten(acks: readonly Ack[]): void {
  for (const ack of acks) assert.ok(ack.kind === 'fenced' || ack.kind === 'retry', JSON.stringify(ack))
}
