import type { Batch, TableSchema } from '../decode/columns.ts'

/**
 * What a sink's rows are recognised by when they come again; it decides what the core owes the sink.
 * - position: stores the next offset in the transaction of the rows, compare-and-swap. The core starts reading there.
 * - batch: recognises an identical batch by its token. The core logs [base, next) first.
 * - row: recognises a row by its key. The core owes it nothing but stable ids.
 * - kafka-txn: commits the consumed offsets in its own transaction.
 */
export type SinkIdentity = 'position' | 'batch' | 'row' | 'kafka-txn'

/** One partition as a sink knows it. Two routes that read one topic are two readers with a position each. */
export interface SinkPartition {
  readonly route: string
  readonly topic: string
  readonly partition: number
  /** Kafka's id of the topic (base64 UUID): a topic recreated under its old name has another. Undefined on old brokers. */
  readonly topicId: string | undefined
}

export interface Claimed extends SinkPartition {
  /** Rises with every claim of this partition; a write with an older one is refused as `fenced`. */
  readonly epoch: number
  /** The next offset the sink has stored, or null when it has none: it has never been written, or keeps no positions. */
  readonly position: number | null
  /** Where `position` is null and the sink has one under another id of the topic: the newest of those. It was made anew. */
  readonly formerPosition?: number | undefined
}

/** A row that the sink can never take, by its index in `Batch.columns`, and why. `code` is the store's own (SQLSTATE...). */
export interface PoisonRow {
  readonly row: number
  readonly reason: string
  readonly code?: string
}

export type Ack =
  /**
   * Everything below `next` is durable, exactly once. `rows` of the batch were stored by this very call; the rest of
   * them had been stored before (a redelivery). `next` may lie beyond the batch's own: another writer got there first.
   */
  | { readonly kind: 'durable'; readonly next: number; readonly rows: number }
  /** The sink stands below `base`: there is a gap. Nothing was written; read again from `position`. */
  | { readonly kind: 'resync'; readonly position: number }
  /** Another writer claimed the partition. Nothing was written, nothing ever will be under this epoch. */
  | { readonly kind: 'fenced' }
  /** Nothing was written. These rows never can be: dead-letter them, then write the rest with the same base and next. */
  | { readonly kind: 'poison'; readonly rows: readonly PoisonRow[] }
  /** Unknown or transient: nothing may be assumed written. Write the same range again. */
  | { readonly kind: 'retry'; readonly error: Error }

/**
 * Where rows go. A sink lives in a worker thread; each worker of a pool has one of its own, made by its `SinkKind`.
 * Retrying, circuit breaking, dead-lettering and measuring are the core's and wrap it.
 */
export interface Sink {
  /**
   * Connects, creates control tables, and proves the guarantee the sink's identity promises, or refuses. Called once,
   * before anything else. Rejects with SinkRefusedError (an operator must act) or SinkUnavailableError (try again).
   */
  open(): Promise<void>

  /**
   * Makes `table` able to take the route's rows: creates it when absent, adds columns. Called after `open` and whenever a
   * schema changed, never while a write of that table is under way. Rejects with SinkRefusedError naming every mismatch.
   */
  evolve(table: TableSchema): Promise<void>

  /**
   * The statements that `open` and `evolve` of these tables would run, for people to read. Called instead of both, and
   * changes nothing; rejects as they would. A sink that has no statements to show leaves it out.
   */
  plan?(tables: readonly TableSchema[]): Promise<readonly string[]>

  /**
   * Takes partitions over: raises their epochs, so that older writers are fenced, and tells where the sink stands.
   * Called on assignment and after a lost worker; may overlap with writes of other partitions. Answers in the order asked.
   * Rejects like `open`.
   */
  claim(partitions: readonly SinkPartition[]): Promise<readonly Claimed[]>

  /**
   * Makes the batches durable, all of them in one transaction where the store has one; acks in the order of the batches.
   * Called with one batch a lane, never twice at once for a lane; `position` sinks compare-and-swap base against the stored
   * position: stored epoch differs -> fenced; stored >= next -> durable, 0 rows; stored in (base, next) -> the head is
   * trimmed; stored < base -> resync; nothing stored yet -> base is accepted. A batch that is fenced, resynced or poisoned
   * does not keep the others of the call from being written. The arrays of the batches are the core's again when the promise
   * is settled, and filled with other rows: whoever reads them afterwards reads those. Must not reject: what went wrong is
   * the ack, because the caller acts on its kind. Configuration faults (a missing table, a right) are `retry` with a
   * SinkRefusedError.
   */
  write(batches: readonly Batch[], signal: AbortSignal): Promise<readonly Ack[]>

  /** Ends in order, releases locks. Called once, when no write is under way. Never rejects for a connection already gone. */
  close(): Promise<void>
}

/** The columns that tell which record a row is of; `topic` undefined when the table has rows of one topic only. */
export interface PlaceColumns {
  readonly topic: string | undefined
  readonly partition: string
  readonly offset: string
}

/** What a sink holds, read back for `millrace verify`; on the main thread, beside daemons that may go on writing. */
export interface SinkAudit {
  /** The next offset that is stored of a partition; null when it was never written. */
  position(partition: SinkPartition): Promise<number | null>
  /** The offsets of a partition's rows within [from, to), in any order, some at a time; one that has two rows twice. */
  rows(
    table: string,
    columns: PlaceColumns,
    partition: Pick<SinkPartition, 'topic' | 'partition'>,
    from: number,
    to: number,
  ): AsyncIterable<readonly number[]>
  countRows(table: string): Promise<number>
  close(): Promise<void>
}

/** A value of one option of a sink, with its documentation: the shape of a convict property (format, default, doc, ...). */
export interface SinkOption {
  readonly doc: string
  readonly format: unknown
  readonly default: unknown
  readonly sensitive?: boolean
}

export interface SinkContext {
  /** The consumer group: a reader of its own. */
  readonly group: string
  /** Tells the operator of what keeps nothing from being written. */
  readonly warn?: (message: string) => void
}

/** What the catalogue knows of a sink without loading it. */
export interface SinkKind {
  readonly identity: SinkIdentity
  /** How many worker threads may have one open at once. duckdb: 1, because a second opener loses rows silently. */
  readonly threadsMax: number
  /**
   * How many loads a thread may have under way. More than one where the store works outside of our thread, which decodes the
   * next load meanwhile; the writes of a sink then overlap, but never two of one lane.
   */
  readonly loadsAThread: number
  /** What a load may hold where the configuration does not say: one with much to do for each commit wants large ones. */
  readonly load: { readonly maxBytes: number; readonly maxRecords: number }
  /** Options under `sinks.<name>` beside `type`. */
  readonly options: Readonly<Record<string, SinkOption>>
  /** Loads the sink's code and makes one, not yet open. */
  create(options: Readonly<Record<string, unknown>>, context: SinkContext): Promise<Sink>
  /** Opens what is there for reading; absent where a sink keeps nothing. Rejects like `Sink.open`. */
  audit?(options: Readonly<Record<string, unknown>>, context: { readonly group: string }): Promise<SinkAudit>
}
