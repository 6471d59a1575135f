import type { RouteConfig } from '../config/schema.ts'
import type { SchemaSnapshot } from '../decode/schema-files.ts'
import type { ErrorDescription, RecordPlace } from '../errors.ts'
import type { SinkPartition } from '../sinks/sink.ts'

/** What every worker of a pool is started with. Plain data: it is cloned into each thread. */
export interface WorkerSetup {
  readonly group: string
  readonly sink: { readonly name: string; readonly type: string; readonly options: Readonly<Record<string, unknown>> }
  readonly routes: readonly RouteSetup[]
}

export type RouteSetup = Pick<RouteConfig, 'name' | 'table' | 'metadata' | 'columns' | 'decode'> & {
  /** What the route's schema files held when the daemon read them. */
  readonly schema: SchemaSnapshot
}

export type Task =
  /** Opens the sink and makes its tables ready, so that what is wrong shows before the group is joined. */
  | { readonly kind: 'prepare' }
  | { readonly kind: 'claim'; readonly partitions: readonly SinkPartition[] }
  | {
      readonly kind: 'load'
      readonly route: string
      readonly parts: readonly TaskPart[]
      readonly progress: Int32Array
    }

/** What a worker does with a load, by number: it tells the main thread through `progress`, also when it will never speak again. */
export const loadSteps = ['waiting', 'decoding', 'dead-lettering', 'writing'] as const
export type LoadStep = (typeof loadSteps)[number]

/** One lane's part of a load. The slabs are transferred: the sender has none of them afterwards. */
export interface TaskPart {
  readonly topic: string
  readonly partition: number
  readonly epoch: number
  readonly base: number
  readonly next: number
  readonly slabs: readonly ArrayBuffer[]
  /** Offsets whose dead letters an earlier try has stored. */
  readonly deadLettered: readonly number[]
  /** The part is one record that ended its worker, alone and more than once: a dead letter, which nobody is to decode again. */
  readonly quarantine?: Quarantine | undefined
}

export interface Quarantine {
  readonly code: string
  readonly reason: string
}

/** The fate of a part's records below its `next`. They add up to the number of records of the part. */
export interface PartCounts {
  readonly rows: number
  readonly deduplicated: number
  readonly deadLettered: number
  readonly skipped: number
}

export type PartOutcome =
  | { readonly kind: 'durable'; readonly next: number; readonly counts: PartCounts }
  /** The sink stands elsewhere: read on from there. Nothing was written. */
  | { readonly kind: 'resync'; readonly position: number }
  | { readonly kind: 'fenced' }
  /** Try the same range again later. The slabs come back by transfer, with the dead letters that are stored by now. */
  | {
      readonly kind: 'retry'
      readonly error: ErrorDescription
      readonly slabs: readonly ArrayBuffer[]
      readonly deadLettered: readonly number[]
    }
  /** A record can neither be written nor dead-lettered: everything below `next` is durable, and the lane stops there. */
  | { readonly kind: 'stopped'; readonly error: ErrorDescription; readonly next: number; readonly counts: PartCounts }

export interface LoadResult {
  /** In the order of the task's parts. */
  readonly outcomes: readonly PartOutcome[]
  readonly decodeSeconds: number
  readonly writeSeconds: number
}

/** What a worker's sink tells the operator. */
export interface WorkerNotice {
  readonly notice: string
}

/** What a worker asks of the main thread over its own port, and the answers; matched by `id`. */
export interface WorkerRequest {
  readonly id: number
  /** Dead letters as a `DeadLetterPacker` made them; transferred. */
  readonly slab: ArrayBuffer
  /** As `topic/partition`. */
  readonly partitions: ReadonlySet<string>
  readonly share: LetterShare
}

/** How much of a load is bad: what the breaker of dead letters decides on, alike for each request of the load. */
export interface LetterShare {
  readonly route: string
  readonly records: number
  readonly letters: number
}
export type WorkerReply =
  | { readonly id: number; readonly result: 'stored' }
  /** No dead-letter topic is configured: nowhere to keep them. */
  | { readonly id: number; readonly result: 'refused' }
  /** Those at these places fit nowhere; the others are stored. */
  | {
      readonly id: number
      readonly result: 'too large'
      readonly places: readonly RecordPlace[]
      readonly error: ErrorDescription
    }
  | { readonly id: number; readonly result: 'failed'; readonly error: ErrorDescription }

/**
 * Main to worker, while no load is under way: decode by these routes from now on, and make their tables fit. On `trial` a worker
 * that cannot goes back to what it had; else it keeps them, and opens its sink anew at its next task.
 */
export interface SwitchRequest {
  readonly routes: readonly RouteSetup[]
  readonly trial: boolean
}
export interface SwitchReply {
  readonly switched: true | ErrorDescription
}

/** Main to worker: close the sink, then answer `closed`. */
export const closeRequest = 'close'
export const closedReply = 'closed'
