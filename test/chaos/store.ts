import type { DuckDBConnection } from '@duckdb/node-api'
import type { TcpProxy } from '../support/tcp-proxy.ts'
import type { SinkPlace } from './target.ts'

/** A partition up to an offset. */
export interface Bound {
  readonly topic: string
  readonly partition: number
  readonly offset: number
}

/** Where a target's rows are, for whoever checks them: never through the target. */
export interface Store {
  readonly place: SinkPlace
  /** Between the target and the store; undefined when there is no network between them. */
  readonly proxy: TcpProxy | undefined
  /** How many rows lie below each of the bounds, in their order; undefined while the store can't be looked at. */
  countBelow(bounds: readonly Bound[]): Promise<number[] | undefined>
  /**
   * Makes a table `sink` of all rows: topic, partition, offset, key, sequence, checksum, note, half, and `arrival`, which rises
   * in the order in which rows were stored.
   */
  collect(checker: DuckDBConnection): Promise<void>
  stop(): Promise<void>
}
