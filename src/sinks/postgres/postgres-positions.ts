import pg from 'pg'
import type { Batch } from '../../decode/columns.ts'
import { positionKey } from '../position-swap.ts'
import type { StoredPosition } from '../position-swap.ts'
import type { Claimed, SinkPartition } from '../sink.ts'
import { begin } from './postgres-connection.ts'
import type { PostgresConnection } from './postgres-connection.ts'

const tableName = 'millrace_position'

type Place = Pick<SinkPartition, 'route' | 'topic' | 'partition'>

/**
 * Where each partition stands, in the transaction of the rows: the positions of one consumer group in one database. A row
 * for each id that a topic ever had; the one with the highest epoch is the newest claim.
 */
export class PostgresPositions {
  readonly #group: string
  readonly #schema: string | undefined
  readonly #table: string

  constructor(group: string, schema: string | undefined) {
    this.#group = pg.escapeLiteral(group)
    this.#schema = schema
    this.#table = schema === undefined ? tableName : `${pg.escapeIdentifier(schema)}.${tableName}`
  }

  /** What `prepare` would run: nothing when the table is there. */
  async missing(connection: PostgresConnection): Promise<readonly string[]> {
    const [row] = await connection.query(`select to_regclass(${pg.escapeLiteral(this.#table)})::text as found`)
    if (row?.['found']) return []
    const schema =
      this.#schema === undefined ? [] : [`create schema if not exists ${pg.escapeIdentifier(this.#schema)}`]
    return [
      ...schema,
      `create table if not exists ${this.#table} (
  consumer_group text not null, route text not null, topic text not null, partition integer not null,
  topic_id text not null, next_offset bigint, epoch bigint not null,
  primary key (consumer_group, route, topic, partition, topic_id))`,
    ]
  }

  /**
   * Takes partitions over in two round trips. Claims of a group wait for each other, so that two of a partition that was
   * never claimed get different epochs; and for the transactions of older writers, so that what those stored is seen.
   */
  async claim(connection: PostgresConnection, partitions: readonly SinkPartition[]): Promise<readonly Claimed[]> {
    const lock = `select pg_advisory_xact_lock(hashtextextended('millrace claim ' || ${this.#group}, 0))`
    const rows = await connection.query(`${begin}; ${lock}; ${this.#select(partitions)}`)
    const epochs = new Map<string, number>()
    const positions = new Map<string, number | null>()
    /** The newest position that was written, under any id of its topic. */
    const formers = new Map<string, { readonly epoch: number; readonly position: number }>()
    for (const { route, topic, partition, topic_id, next_offset, epoch } of rows) {
      const place = { route: route!, topic: topic!, partition: Number(partition) }
      const key = positionKey(place)
      epochs.set(key, Math.max(epochs.get(key) ?? 0, Number(epoch)))
      positions.set(`${key}${topic_id}`, next_offset === null ? null : Number(next_offset))
      if (next_offset === null || Number(epoch) < (formers.get(key)?.epoch ?? 0)) continue
      formers.set(key, { epoch: Number(epoch), position: Number(next_offset) })
    }
    const claimed = partitions.map((partition) => {
      const key = positionKey(partition)
      const position = positions.get(`${key}${partition.topicId ?? ''}`) ?? null
      const former = position === null ? formers.get(key) : undefined
      return {
        ...partition,
        epoch: (epochs.get(key) ?? 0) + 1,
        position,
        ...(former ? { formerPosition: former.position } : {}),
      }
    })
    const values = claimed.map(
      ({ topicId, epoch, ...place }) =>
        `(${this.#group}, ${this.#place(place)}, ${pg.escapeLiteral(topicId ?? '')}, null, ${epoch})`,
    )
    await connection.query(
      `insert into ${this.#table} (consumer_group, route, topic, partition, topic_id, next_offset, epoch)
       values ${values.join(', ')}
       on conflict (consumer_group, route, topic, partition, topic_id) do update set epoch = excluded.epoch; commit`,
    )
    return claimed
  }

  /**
   * Begins a transaction and locks the positions of these partitions, in one order for all writers. Waits for a writer whose
   * reply was lost, so that its answer is final. Gives the newest claim of each, by {@link positionKey}.
   */
  async lock(connection: PostgresConnection, places: readonly Place[]): Promise<Map<string, StoredPosition>> {
    const rows = await connection.query(`${begin}; ${this.#select(places)}`)
    const stored = new Map<string, StoredPosition>()
    for (const { route, topic, partition, next_offset, epoch } of rows) {
      const key = positionKey({ route: route!, topic: topic!, partition: Number(partition) })
      if ((stored.get(key)?.epoch ?? 0) > Number(epoch)) continue
      stored.set(key, { epoch: Number(epoch), next: next_offset === null ? null : Number(next_offset) })
    }
    return stored
  }

  /** The statement that moves the locked positions to the ends of these batches. */
  move(batches: readonly Pick<Batch, 'route' | 'topic' | 'partition' | 'epoch' | 'next'>[]): string {
    const values = batches.map(({ epoch, next, ...place }) => `(${this.#place(place)}, ${epoch}, ${next})`)
    return `update ${this.#table} as stored set next_offset = moved.next_offset
      from (values ${values.join(', ')}) as moved (route, topic, partition, epoch, next_offset)
      where stored.consumer_group = ${this.#group} and stored.route = moved.route and stored.topic = moved.topic
        and stored.partition = moved.partition and stored.epoch = moved.epoch`
  }

  // Locks are taken in the order of the rows: the sort comes before them in the plan.
  #select(places: readonly Place[]): string {
    return `select route, topic, partition, topic_id, next_offset, epoch from ${this.#table}
      where consumer_group = ${this.#group} and (route, topic, partition) in (${places.map((place) => `(${this.#place(place)})`).join(', ')})
      order by route, topic, partition, topic_id for update`
  }

  #place({ route, topic, partition }: Place): string {
    return `${pg.escapeLiteral(route)}, ${pg.escapeLiteral(topic)}, ${partition}`
  }
}
