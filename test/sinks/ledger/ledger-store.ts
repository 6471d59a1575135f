import { TcpProxy } from '../../support/tcp-proxy.ts'
import type { Bug } from '../bug-zoo.ts'
import type { StoreUnderTest } from '../contract/store-under-test.ts'
import { LedgerServer } from './ledger-server.ts'
import type { LedgerRow } from './ledger-server.ts'
import { LedgerSink } from './ledger-sink.ts'

/** A ledger of its own, which sinks reach through a proxy; with a bug in each of them, if one is named. */
export async function createLedgerStore(bug?: Bug): Promise<Required<StoreUnderTest>> {
  const server = new LedgerServer()
  await server.start()
  const proxy = await TcpProxy.start({ port: server.port })
  const withBug = bug === undefined ? {} : { bug }
  const inOrder = () =>
    [...server.stored.rows].sort((a: LedgerRow, b: LedgerRow) => a.partition - b.partition || a.offset - b.offset)
  return {
    maker: {
      module: new URL('ledger-sink.js', import.meta.url).href,
      options: { port: proxy.port, ...withBug },
    },
    rows: async () => inOrder().map(({ partition, offset }) => `${partition}/${offset}`),
    texts: async (column) => inOrder().map(({ values }) => values[column] ?? null),
    remove: async () => {
      proxy.stop()
      server.stop()
    },
    several: true,
    network: { proxy, loadBegins: '"do":"begin"', rowsBegin: '"do":"rows"', committed: '"COMMIT"' },
    refuseRows: async (offsets) => {
      server.refused = offsets
    },
    restart: async () => {
      server.stop()
      await server.start()
    },
    refuseAll: async () => {
      server.full = true
      return async () => {
        server.full = false
      }
    },
    backUp: async () => {
      const putBack = server.backUp()
      return async () => putBack()
    },
    unfit: async () => {
      server.forgetful = true
      return { 'a ledger that forgets': new LedgerSink({ port: server.port, ...withBug }, 'g') }
    },
  }
}
