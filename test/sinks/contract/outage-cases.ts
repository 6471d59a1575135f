import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { MillraceError } from '../../../src/errors.ts'
import { Seeded } from '../../support/seeded.ts'
import type { WriterSaid, WriterTask } from '../../support/sink-writer.ts'
import type { ContractCase, Ground } from './ground.ts'
import type { Capable } from './store-under-test.ts'

/** An answer to a write that nothing can become of may take this long: the core decides what then. */
const answeredWithinMs = 15_000
const writerScript = fileURLToPath(new URL('../../support/sink-writer.js', import.meta.url))

/** The writer ends in the middle. */
export const crashCases: readonly ContractCase[] = [
  {
    name: 'kill -9 in the middle of writing leaves rows and position together, and the store to the next',
    run: async (ground) => {
      const seed = Date.now() % 100_000
      const seeded = new Seeded(seed)
      // Small batches, and ones that a store sends in many pieces.
      for (const rows of [3, 20_000, 1]) {
        const acknowledged = await killedWriter(ground, rows, seeded.below(30))
        const sink = await ground.open()
        const { position } = await ground.claim(sink)
        const message = `seed ${seed}, ${rows} rows a batch`
        assert.ok((position ?? 0) >= acknowledged, `${message}: ${position} stored, ${acknowledged} acknowledged`)
        const stored = await ground.rows()
        assert.deepEqual([stored.length, new Set(stored).size], [position ?? 0, position ?? 0], message)
      }
    },
  },
]

/** Starts a writer, kills it some time after an acknowledgement, and tells the last of them. */
async function killedWriter(ground: Ground, rows: number, afterMs: number): Promise<number> {
  const task: WriterTask = { maker: ground.store.maker, rows }
  const writer = fork(writerScript, [JSON.stringify(task)], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  const exit = once(writer, 'exit')
  let acknowledged = 0
  writer.on('message', (said: WriterSaid) => {
    assert.ok(!('error' in said), JSON.stringify(said))
    acknowledged = said.next
  })
  await Promise.race([once(writer, 'message'), exit.then(() => assert.fail('the writer ended by itself'))])
  await pause(afterMs)
  writer.kill('SIGKILL')
  await exit
  return acknowledged
}

/** The server crashes and comes back. */
export const restartCases: readonly ContractCase<Capable<'restart'>>[] = [
  {
    name: 'a server that crashes and comes back during a load is waited for, and nothing is a dead letter',
    run: async (ground) => {
      const sink = await ground.open()
      const { epoch } = await ground.claim(sink)
      let restarts = 0
      let ended = false
      const restarting = (async () => {
        for (; restarts < 2; restarts++) await ground.store.restart()
        ended = true
      })()
      let next = 0
      for (let after = 0; after < 3; after += ended ? 1 : 0) {
        const { ack } = await ground.deliver(sink, { epoch, base: next, next: next + 50 })
        assert.deepEqual(ack.kind, 'durable')
        next += 50
      }
      await restarting
      assert.equal((await ground.claim(sink)).position, next)
      await ground.holdsJust(next)
    },
  },
]

/** The store takes nothing. */
export const refusalCases: readonly ContractCase<Capable<'refuseAll'>>[] = [
  {
    name: 'a store that takes no rows for a while is waited for, row by row nothing is wrong, and each answer comes soon',
    run: async (ground) => {
      const sink = await ground.open()
      const { epoch } = await ground.claim(sink)
      await ground.write(sink, { epoch, base: 0, next: 3 })
      const relent = await ground.store.refuseAll()
      for (let again = 0; again < 3; again++) {
        const startedAt = performance.now()
        const [ack] = await ground.write(sink, { epoch, base: 3, next: 400 })
        assert.ok(performance.now() - startedAt < answeredWithinMs)
        assert.ok(ack?.kind === 'retry', `${ack?.kind}: an outage must never empty a topic into the dead letters`)
        assert.ok((ack.error as MillraceError).retryable, ack.error.message)
      }
      await relent()
      const { ack } = await ground.deliver(sink, { epoch, base: 3, next: 400 })
      assert.deepEqual(ack, { kind: 'durable', next: 400, rows: 397 })
      await ground.holdsJust(400)
    },
  },
]

/** The store goes back in time. */
export const backupCases: readonly ContractCase<Capable<'backUp'>>[] = [
  {
    name: 'a store that was put back to an older backup is filled again from where it stands',
    run: async (ground) => {
      const before = await ground.open()
      const first = await ground.claim(before)
      await ground.write(before, { epoch: first.epoch, base: 0, next: 10 })
      await ground.closeAll()
      const putBack = await ground.store.backUp()
      const lost = await ground.open()
      const second = await ground.claim(lost)
      await ground.write(lost, { epoch: second.epoch, base: 10, next: 25 })
      await ground.closeAll()
      await putBack()
      const sink = await ground.open()
      // One that goes on as if nothing had happened is not let leave a gap.
      const [ack] = await ground.write(sink, { epoch: first.epoch, base: 25, next: 30 })
      assert.deepEqual(ack, { kind: 'resync', position: 10 })
      const third = await ground.claim(sink)
      assert.equal(third.position, 10)
      const acks = await ground.write(sink, { epoch: third.epoch, base: 10, next: 30 })
      assert.deepEqual(acks, [{ kind: 'durable', next: 30, rows: 20 }])
      await ground.holdsJust(30)
    },
  },
]
