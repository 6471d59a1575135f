import type { Sink } from '../../../src/sinks/sink.ts'
import type { TcpProxy } from '../../support/tcp-proxy.ts'

/**
 * How a sink on the store is made, in this process or another one: by a module that exports `createSink`, and the options
 * that it is given.
 */
export interface SinkMaker {
  /** Its URL. */
  readonly module: string
  readonly options: Readonly<Record<string, unknown>>
}

export interface SinkMakerModule {
  /** Makes a sink that is not open yet. `group` is a reader of its own. */
  readonly createSink: (options: Readonly<Record<string, unknown>>, group: string) => Promise<Sink>
}

/** The way between the sinks and a server, and what of the store's protocol the faults are aimed at. */
export interface Network {
  /** Between every sink of the store and its server. */
  readonly proxy: TcpProxy
  /** Begins what a sink sends to write a load: held back here, it has no lock yet. */
  readonly loadBegins: string | Uint8Array
  /** Begins what it sends when it has its locks, and has not written: held back here, it is between its statements. */
  readonly rowsBegin: string | Uint8Array
  /** In the server's reply to COMMIT, and in no other of a write. */
  readonly committed: string | Uint8Array
}

/** One real, empty store, and what a test needs of it. */
export interface StoreUnderTest {
  readonly maker: SinkMaker
  /** `partition/offset` of every row of the contract's table; for each row, so a doubled one is there twice. No sink is open. */
  rows(): Promise<string[]>
  /** The texts of a column of that table, in the order of partition and offset. No sink is open. */
  texts(column: string): Promise<(string | null)[]>
  /** Removes the store. */
  remove(): Promise<void>

  // What some stores can be put through and others cannot. A store that has none of one says so where it is described.

  /** Several of its sinks may be open at once. */
  readonly several?: true
  readonly network?: Network
  /** Makes the contract's table with a rule that rows at these offsets break. It does not exist yet, and no sink is open. */
  readonly refuseRows?: (offsets: readonly number[]) => Promise<void>
  /** Crashes the server and starts it again. Sinks are open. */
  readonly restart?: () => Promise<void>
  /** Takes no row any more, as with a full disk, until what it resolves to is called. Sinks are open. */
  readonly refuseAll?: () => Promise<() => Promise<void>>
  /** Makes a copy of all that is stored; what it resolves to puts that back. No sink is open. */
  readonly backUp?: () => Promise<() => Promise<void>>
  /** Sinks whose store cannot keep what their identity promises, by what is wrong with it; not open yet. */
  readonly unfit?: () => Promise<Readonly<Record<string, Sink>>>
}

export const capabilities = ['several', 'network', 'refuseRows', 'restart', 'refuseAll', 'backUp', 'unfit'] as const
export type Capability = (typeof capabilities)[number]

/** A store that has some of the capabilities for certain. */
export type Capable<Needed extends Capability> = StoreUnderTest & Required<Pick<StoreUnderTest, Needed>>

export async function makeSink({ module, options }: SinkMaker, group: string): Promise<Sink> {
  const { createSink } = (await import(module)) as SinkMakerModule
  return createSink(options, group)
}
