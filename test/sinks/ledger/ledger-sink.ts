import { setTimeout as pause } from 'node:timers/promises'
import { hasValue } from '../../../src/decode/columns.ts'
import type { Batch, Column, TableSchema } from '../../../src/decode/columns.ts'
import { SinkRefusedError, SinkUnavailableError } from '../../../src/errors.ts'
import type { Ack, Claimed, Sink, SinkPartition } from '../../../src/sinks/sink.ts'
import type { Bug } from '../bug-zoo.ts'
import { LedgerConnection } from './ledger-connection.ts'
import type { LedgerPosition, LedgerReply, LedgerRequest, LedgerRow } from './ledger-server.ts'

const patienceMs = 10_000
/** Long enough for a kill to come in between, in the sinks where that tears something apart. */
const tornForMs = 15

export interface LedgerSinkOptions {
  readonly port: number
  /** What is wrong with it; undefined: nothing. */
  readonly bug?: Bug
}

/** `SinkMaker`'s way to make one. */
export const createSink = (options: Readonly<Record<string, unknown>>, group: string): Promise<Sink> =>
  Promise.resolve(new LedgerSink(options as unknown as LedgerSinkOptions, group))

/** A batch that applies, its first row that is not stored, and the position after it. */
interface Applying {
  readonly batch: Batch
  readonly from: number
  readonly to: LedgerPosition
}

/**
 * A plain sink that keeps the contract, on a ledger; and, by its option, one with a bug in just one place, so that the
 * contract can be seen to catch it.
 */
export class LedgerSink implements Sink {
  readonly #port: number
  readonly #bug: Bug | undefined
  readonly #group: string
  /** As first seen and as moved since, which only a sink with a bug looks at. */
  readonly #remembered = new Map<string, LedgerPosition>()
  #claims = 0
  #broken = false
  #connection: LedgerConnection | undefined
  #last: Promise<unknown> = Promise.resolve()

  constructor({ port, bug }: LedgerSinkOptions, group: string) {
    this.#port = port
    this.#bug = bug
    this.#group = group
  }

  open(): Promise<void> {
    return this.#alone(async () => {
      const { done } = await this.#ask({ do: 'hello' })
      if (done !== 'HELLO' && this.#bug !== 'openWithoutProof')
        throw new SinkRefusedError('the ledger forgets what it stores')
    })
  }

  evolve({ columns }: TableSchema): Promise<void> {
    return this.#alone(async () => {
      if (this.#bug === 'typesUnchecked') return
      const has = await this.#ask({
        do: 'columns',
        columns: Object.fromEntries(columns.map((each) => [each.name, each.type])),
      })
      const wrong = columns.filter(({ name, type }) => has.columns?.[name] !== type)
      if (wrong.length > 0) throw new SinkRefusedError(`of another type: ${wrong.map(({ name }) => name).join()}`)
    })
  }

  claim(partitions: readonly SinkPartition[]): Promise<readonly Claimed[]> {
    return this.#alone(async () => {
      const keys = partitions.map((each) => this.#key(each))
      const { positions = {} } = await this.#ask({ do: 'begin', keys })
      const claimed = partitions.map((each, index): [Claimed, LedgerPosition] => {
        const before = positions[keys[index]!]
        const topicId = this.#bug === 'topicIdIgnored' ? 'any' : (each.topicId ?? 'none')
        const epoch = this.#bug === 'epochOfTheSink' ? ++this.#claims : (before?.epoch ?? 0) + 1
        const next = before?.next ?? {}
        const position = this.#bug === 'positionUnread' ? null : (next[topicId] ?? null)
        return [
          { ...each, epoch, position },
          { epoch, topicId, next },
        ]
      })
      const moved = Object.fromEntries(claimed.map(([, position], index) => [keys[index]!, position]))
      for (const [key, position] of Object.entries(moved)) this.#remembered.set(key, position)
      await this.#ask({ do: 'move', positions: moved })
      await this.#ask({ do: 'commit' })
      return claimed.map(([each]) => each)
    })
  }

  write(batches: readonly Batch[], given: AbortSignal): Promise<readonly Ack[]> {
    const signal = this.#bug === 'deafToSignal' ? new AbortController().signal : given
    return this.#alone(() => this.#write(batches, signal))
  }

  close(): Promise<void> {
    return this.#alone(async () => {
      this.#connection?.close()
    })
  }

  async #write(batches: readonly Batch[], signal: AbortSignal): Promise<readonly Ack[]> {
    try {
      return await this.#transact(batches, signal)
    } catch (error) {
      const gone = !(error instanceof SinkUnavailableError || error instanceof SinkRefusedError)
      if (this.#bug === 'breakIsSuccess' && gone) return batches.map(({ next, rowCount }) => durable(next, rowCount))
      if (this.#bug === 'outageIsPoison') return batches.map((batch) => poison([...batch.offsets.keys()], 0))
      const known = gone ? new SinkUnavailableError('the ledger does not answer', { cause: error }) : (error as Error)
      return batches.map(() => ({ kind: 'retry', error: known }))
    }
  }

  async #transact(batches: readonly Batch[], signal: AbortSignal): Promise<readonly Ack[]> {
    const keys = [...new Set(batches.map((each) => this.#key(each)))]
    const unlocked = this.#bug === 'lockMissing'
    const stored = { ...(await this.#ask({ do: unlocked ? 'read' : 'begin', keys }, signal)).positions }
    if (this.#bug === 'positionsRemembered') for (const key of keys) stored[key] = this.#remembered.get(key)!
    const applying: Applying[] = []
    const acks = batches.map((batch) => this.#decide(batch, stored[this.#key(batch)], applying))
    if (this.#bug === 'oneForAll' && acks.some(({ kind }) => kind === 'fenced')) {
      await this.#ask({ do: 'rollback' }, signal)
      return batches.map(() => ({ kind: 'fenced' }))
    }
    if (this.#bug === 'positionBeforeRows') {
      await this.#move(applying, signal)
      await this.#ask({ do: 'commit' }, signal)
      await pause(tornForMs)
    }
    if (this.#bug === 'rowsBeforePosition') await this.#ask({ do: 'rollback' }, signal)
    if (unlocked) await this.#ask({ do: 'begin', keys: [] }, signal)
    const reply = await this.#ask({ do: 'rows', rows: applying.flatMap((each) => this.#rows(each)) }, signal)
    if (reply.refused) return this.#refused(batches, applying, reply.refused, signal)
    if (reply.done === 'FULL') {
      await this.#ask({ do: 'rollback' }, signal)
      throw this.#bug === 'outageIsRefusal' ? new SinkRefusedError('full') : new SinkUnavailableError('full')
    }
    if (this.#bug === 'rowsBeforePosition') await pause(tornForMs)
    if (this.#bug !== 'positionBeforeRows')
      await this.#move(this.#bug === 'oneMove' ? applying.slice(0, 1) : applying, signal)
    await this.#ask({ do: 'commit' }, signal)
    for (const { batch, to } of applying) this.#remembered.set(this.#key(batch), to)
    return acks
  }

  /** Compare-and-swap: what becomes of a batch, given what is stored. One that applies is put on the list. */
  #decide(batch: Batch, stored: LedgerPosition | undefined, applying: Applying[]): Ack {
    if (stored === undefined || (stored.epoch !== batch.epoch && this.#bug !== 'epochIgnored'))
      return { kind: 'fenced' }
    const next = this.#bug === 'swapMissing' ? null : (stored.next[stored.topicId] ?? null)
    if (next !== null && next >= batch.next) return durable(next, this.#bug === 'rowsMiscounted' ? batch.rowCount : 0)
    const gap = next !== null && (this.#bug === 'followerRefused' ? next <= batch.base : next < batch.base)
    if (gap && this.#bug !== 'gapIsDurable') return { kind: 'resync', position: next }
    if (this.#bug === 'emptyForgotten' && batch.rowCount === 0) return durable(batch.next, 0)
    let from = 0
    if (this.#bug === 'trimByCount') from = next === null ? 0 : Math.max(0, Math.min(batch.rowCount, next - batch.base))
    else while (next !== null && from < batch.rowCount && batch.offsets[from]! < next) from++
    if (this.#bug === 'trimMissing') from = 0
    const reached = this.#bug === 'nextByCount' ? batch.base + batch.rowCount : batch.next
    applying.push({ batch, from, to: { ...stored, next: { ...stored.next, [stored.topicId]: reached } } })
    return durable(reached, batch.rowCount - from)
  }

  async #refused(
    batches: readonly Batch[],
    applying: readonly Applying[],
    refused: readonly number[],
    signal: AbortSignal,
  ): Promise<readonly Ack[]> {
    const [only, other] = applying
    const { batch, from } = only!
    if (this.#bug === 'partOfPoisonWritten') {
      await this.#ask({ do: 'rows', rows: this.#rows(only!).slice(0, refused[0]) }, signal)
      await this.#ask({ do: 'commit' }, signal)
      return [poison(refused, from)]
    }
    await this.#ask({ do: 'rollback' }, signal)
    if (other !== undefined) {
      if (this.#bug === 'poisonTakesNeighbours') return batches.map(({ next, rowCount }) => durable(next, rowCount))
      const acks: Ack[] = []
      for (const each of batches) acks.push(...(await this.#transact([each], signal)))
      return acks
    }
    switch (this.#bug) {
      case 'poisonByTrimmedRow':
        return [poison(refused, 0)]
      case 'poisonOneOff':
        return [
          poison(
            refused.map((row) => (row + 1) % batch.rowCount),
            from,
          ),
        ]
      case 'poisonZeroOverlooked':
        return [
          poison(
            refused.filter((row) => row !== 0),
            from,
          ),
        ]
      case 'poisonLastOverlooked':
        return [
          poison(
            refused.filter((row) => row !== batch.rowCount - 1),
            from,
          ),
        ]
      case 'poisonTakesRest':
        return [
          poison(
            Array.from({ length: batch.rowCount - refused[0]! }, (_, index) => refused[0]! + index),
            from,
          ),
        ]
      default:
        return [poison(refused, from)]
    }
  }

  #rows({ batch, from }: Applying): LedgerRow[] {
    const rows: LedgerRow[] = []
    for (let row = from; row < batch.rowCount; row++) {
      const values: Record<string, string | null> = {}
      batch.table.columns.forEach(({ name }, index) => {
        if (this.#bug === 'addedColumnDropped' && index > 2) return
        values[name] = textAt(batch.columns[index]!, row)
      })
      rows.push({ partition: batch.partition, offset: batch.offsets[row]!, values })
    }
    return rows
  }

  async #move(applying: readonly Applying[], signal: AbortSignal): Promise<void> {
    await this.#ask(
      { do: 'move', positions: Object.fromEntries(applying.map(({ batch, to }) => [this.#key(batch), to])) },
      signal,
    )
  }

  async #ask(request: LedgerRequest, signal = AbortSignal.timeout(patienceMs)): Promise<LedgerReply> {
    if (this.#broken && this.#bug === 'neverConnectsAgain') throw new Error('broken')
    const patience = this.#bug === 'impatient' ? AbortSignal.any([signal, AbortSignal.timeout(tornForMs)]) : signal
    try {
      this.#connection ??= await LedgerConnection.open(this.#port, patience)
      return await this.#connection.ask(request, patience)
    } catch (error) {
      this.#broken = true
      this.#connection?.close()
      this.#connection = undefined
      throw error
    }
  }

  #key({ route, topic, partition }: { route: string; topic: string; partition: number }): string {
    const group = this.#bug === 'groupIgnored' ? '' : this.#group
    return JSON.stringify([group, this.#bug === 'routeIgnored' ? '' : route, topic, partition])
  }

  #alone<T>(act: () => Promise<T>): Promise<T> {
    const done = this.#last.then(act)
    this.#last = done.catch(() => undefined)
    return done
  }
}

const durable = (next: number, rows: number): Ack => ({ kind: 'durable', next, rows })

const poison = (refused: readonly number[], from: number): Ack => ({
  kind: 'poison',
  rows: refused.map((row) => ({ row: from + row, reason: 'breaks the rule' })),
})

function textAt(column: Column, row: number): string | null {
  if (!hasValue(column, row)) return null
  if (column.kind === 'fixed') return String(column.values[row])
  if (column.kind === 'list') throw new SinkRefusedError('a ledger has no lists')
  return Buffer.from(column.bytes.subarray(column.offsets[row], column.offsets[row + 1])).toString()
}
