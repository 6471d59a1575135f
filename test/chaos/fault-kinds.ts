import { setTimeout as pause } from 'node:timers/promises'
import { addPartitions, alterTopic } from './arena.ts'
import type { Arena } from './arena.ts'
import { GuestMember } from './guest-member.ts'
import type { OwnFault } from './target.ts'
import { sourceTopics } from './topics.ts'

/** Something that goes wrong, and is over when `act` resolves; what it broke may take longer to mend itself. */
export interface FaultKind {
  readonly name: string
  /** Why it cannot be had in this arena; undefined when it can. */
  missing?(arena: Arena): string | undefined
  act(arena: Arena): Promise<void>
}

const membersMax = 3
const partitionsMax = 12
const ownFaultWithinMs = 20_000
const needsPostgres = ({ postgres }: Arena) => (postgres ? undefined : 'there is no PostgreSQL in this run')

const memberKinds: readonly FaultKind[] = [
  { name: 'kill-9', act: (arena) => killAndRestart(arena) },
  {
    name: 'sigterm',
    act: async (arena) => {
      const member = arena.random.pick(arena.target.running())
      await arena.target.stop(member)
      await arena.sampler.sample()
      await pause(arena.random.between(0, 1000))
      await arena.target.start(member)
    },
  },
  { name: 'pause-within-session', act: (arena) => standStill(arena, 2000) },
  { name: 'pause-beyond-session', act: (arena) => standStill(arena, arena.random.between(8000, 11_000)) },
  {
    name: 'member-joins-and-leaves',
    missing: ({ duckdb }) => (duckdb ? 'a DuckDB file has one opener' : undefined),
    act: async ({ target, random }) => {
      const running = target.running()
      if (running.length >= membersMax) return
      const newcomer = Math.max(...running) + 1
      await target.start(newcomer)
      await pause(random.between(2000, 5000))
      if (random.next() < 0.5) await target.kill(newcomer)
      else await target.stop(newcomer)
    },
  },
  {
    name: 'guest-joins-and-leaves',
    act: async ({ broker, group, topics, random }) => {
      const guest = await GuestMember.join(broker.bootstrap, group, sourceTopics(topics))
      await pause(random.between(1500, 4000))
      await guest.leave()
    },
  },
]

const ownKinds: readonly FaultKind[] = [
  ownKind('worker-exit', { place: 'worker-before-write', action: 'exit' }, [3, 40]),
  ownKind('main-stall', { place: 'after-poll', action: 'stall:12000' }, [40, 200]),
  ownKind('kill-in-commit', { place: 'after-write-before-sink-commit', action: 'kill' }, [3, 40]),
  ownKind('lost-sink-reply', { place: 'after-sink-commit-before-reply', action: 'throw' }, [3, 40]),
  {
    ...ownKind('slow-revoke', { place: 'in-revoke', action: 'delay:2500' }, [1, 1]),
    act: async (arena) => {
      await restartWith(arena, { place: 'in-revoke', action: 'delay:2500', hit: 1 })
      await pause(3000)
      const guest = await GuestMember.join(arena.broker.bootstrap, arena.group, sourceTopics(arena.topics))
      await pause(4000)
      await guest.leave()
    },
  },
]

const kafkaKinds: readonly FaultKind[] = [
  {
    name: 'broker-kill-9',
    act: async ({ broker, random }) => {
      await broker.kill()
      await pause(random.between(200, 3000))
      await broker.restart()
    },
  },
  { name: 'broker-restart', act: ({ broker }) => broker.restart() },
  {
    name: 'kafka-cut',
    act: async ({ kafkaProxy, random }) => {
      for (let time = random.between(1, 4); time > 0; time--) {
        kafkaProxy.cut()
        await pause(random.between(100, 800))
      }
    },
  },
  {
    name: 'kafka-delay',
    act: async ({ kafkaProxy, random }) => {
      kafkaProxy.delayMs.fromServer = random.between(50, 400)
      kafkaProxy.delayMs.fromClient = random.between(50, 400)
      await pause(4000)
      kafkaProxy.heal()
    },
  },
  {
    name: 'kafka-black-hole',
    act: async ({ kafkaProxy, random }) => {
      kafkaProxy.blackHole()
      await pause(random.between(3000, 9000))
      kafkaProxy.heal()
      kafkaProxy.cut()
    },
  },
  {
    name: 'dead-letters-away',
    act: async ({ broker, topics, random }) => {
      // The topic takes nothing then, as with too few replicas, and nothing of it is lost.
      await alterTopic(broker.bootstrap, topics.dead, 'min.insync.replicas', '2')
      await pause(random.between(1000, 7000))
      await alterTopic(broker.bootstrap, topics.dead, 'min.insync.replicas', '1')
    },
  },
  {
    name: 'partitions-added',
    act: async ({ broker, topics, generator, sometimes }) => {
      if (generator.partitions >= partitionsMax) return
      await addPartitions(broker.bootstrap, topics.plain, generator.partitions + 1)
      generator.partitions++
      sometimes.partitionsAdded++
    },
  },
]

const sinkKinds: readonly FaultKind[] = [
  {
    name: 'disk-full',
    missing: ({ duckdb }) =>
      duckdb === undefined
        ? 'only DuckDB is on our disk'
        : duckdb.canBeFull
          ? undefined
          : 'no tmpfs may be mounted here',
    act: async ({ duckdb, random }) => {
      duckdb?.fill()
      await pause(random.between(2000, 6000))
      duckdb?.makeRoom()
    },
  },
  {
    name: 'sink-cut',
    missing: needsPostgres,
    act: async ({ store, random }) => {
      for (let time = random.between(1, 4); time > 0; time--) {
        store.proxy?.cut()
        await pause(random.between(100, 800))
      }
    },
  },
  {
    name: 'sink-delay',
    missing: needsPostgres,
    act: async ({ store, random }) => {
      store.proxy!.delayMs.fromServer = random.between(20, 300)
      await pause(4000)
      store.proxy!.heal()
    },
  },
  {
    name: 'sink-black-hole',
    missing: needsPostgres,
    act: async ({ store, random }) => {
      store.proxy!.blackHole()
      await pause(random.between(3000, 9000))
      store.proxy!.heal()
      // As a NAT does when it wakes up: the silent connections are gone.
      store.proxy!.cut()
    },
  },
  {
    name: 'commit-reply-lost',
    missing: needsPostgres,
    act: async ({ store, sometimes }) => {
      const decided = store.proxy!.cutBefore('fromServer', commitComplete).then(() => true)
      if (await Promise.race([decided, pause(8000).then(() => false)])) sometimes.replyLost++
      store.proxy!.heal()
    },
  },
  { name: 'postgres-restart', missing: needsPostgres, act: async ({ postgres }) => postgres?.restart('fast') },
  { name: 'postgres-crash', missing: needsPostgres, act: async ({ postgres }) => postgres?.restart('immediate') },
  {
    name: 'postgres-kill-9',
    missing: needsPostgres,
    act: async ({ postgres, random }) => {
      await postgres?.kill()
      await pause(random.between(0, 2000))
      await postgres?.start()
    },
  },
  {
    name: 'backend-terminated',
    missing: needsPostgres,
    act: async ({ postgres, random }) => {
      for (let time = random.between(1, 5); time > 0; time--) {
        await postgres?.query(
          `select pg_terminate_backend(pid) from pg_stat_activity
           where backend_type = 'client backend' and pid <> pg_backend_pid() and application_name <> 'chaos'`,
        )
        await pause(random.between(50, 500))
      }
    },
  },
  {
    name: 'clock-jump',
    missing: () => 'libfaketime is not part of this harness',
    act: async () => undefined,
  },
]

/** PostgreSQL's CommandComplete of a COMMIT. */
const commitComplete = Buffer.concat([Buffer.from('C\0\0\0\x0b', 'latin1'), Buffer.from('COMMIT\0')])

export const faultKinds: readonly FaultKind[] = [...memberKinds, ...ownKinds, ...kafkaKinds, ...sinkKinds]

async function killAndRestart({ target, sampler, random, sometimes }: Arena): Promise<void> {
  const member = random.pick(target.running())
  if (await target.kill(member)) sometimes.killedDuringFlush++
  // Nothing of it can write any more: what it committed must be there now.
  await sampler.sample()
  await pause(random.between(0, 1500))
  await target.start(member)
}

async function standStill({ target, random }: Arena, ms: number): Promise<void> {
  const member = random.pick(target.running())
  target.signal(member, 'SIGSTOP')
  await pause(ms)
  target.signal(member, 'SIGCONT')
}

function ownKind(name: string, fault: Omit<OwnFault, 'hit'>, [least, most]: readonly [number, number]): FaultKind {
  return {
    name,
    missing: ({ target }) => (target.ownFaults.includes(name) ? undefined : `${target.name} has no switch for it`),
    act: (arena) => restartWith(arena, { ...fault, hit: arena.random.between(least, most) }),
  }
}

async function restartWith({ target, random, sampler }: Arena, own: OwnFault): Promise<void> {
  const member = random.pick(target.running())
  await target.stop(member)
  await sampler.sample()
  const fired = () => target.told().ownFaultsFired[own.place] ?? 0
  const before = fired()
  await target.start(member, own)
  if (own.place === 'in-revoke') return
  const deadline = performance.now() + ownFaultWithinMs
  while (fired() === before && performance.now() < deadline) await pause(50)
}
