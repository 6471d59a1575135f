import { createServer } from 'node:http'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Registry } from 'prom-client'
import { ConfigError } from '../errors.ts'

/** What the probes and the status page tell of the daemon. */
export interface Health {
  /** Sets the gauges: asked when someone looks at them, because setting a thousand lanes' each second is work for nobody. */
  measure(): void
  /** Why the process should be restarted, in sentences: it makes no progress outside a named waiting state. Else empty. */
  stalls(): readonly string[]
  /** Why it is not ready, in sentences: empty once the group is joined, no route is refused and no lane stands still. */
  unready(): readonly string[]
  /** Plain data without secrets or payload, for /api/status. */
  status(): unknown
}

/**
 * The one admin port: /metrics for Prometheus, /live and /ready for probes, /api/status for people. Only reads; loopback
 * by default. Requests with another Host than the one bound to are refused on loopback, against DNS rebinding.
 */
export class AdminServer {
  readonly #server: Server

  constructor(registry: Registry, health: Health) {
    this.#server = createServer({ requestTimeout: 10_000, headersTimeout: 5_000 }, (request, response) => {
      const send = (status: number, type: string, body: string) => {
        response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store' }).end(body)
      }
      const probe = (word: string, faults: readonly string[]) => {
        if (faults.length === 0) send(200, 'text/plain', `${word}\n`)
        else send(503, 'text/plain', `not ${word}\n${faults.map((fault) => `${fault}\n`).join('')}`)
      }
      if (request.method !== 'GET' && request.method !== 'HEAD') return send(405, 'text/plain', 'only GET\n')
      if (!this.#hostAllowed(request.headers.host)) return send(403, 'text/plain', 'this Host is not served\n')
      switch (new URL(request.url ?? '/', 'http://admin').pathname) {
        case '/metrics':
          health.measure()
          registry.metrics().then(
            (text) => send(200, registry.contentType, text),
            (error: Error) => send(500, 'text/plain', `${error.message}\n`),
          )
          return
        case '/live':
          return probe('live', health.stalls())
        case '/ready':
          return probe('ready', health.unready())
        case '/api/status':
          return send(200, 'application/json', `${JSON.stringify(health.status())}\n`)
        default:
          return send(404, 'text/plain', 'there are /metrics, /live, /ready and /api/status\n')
      }
    })
  }

  /** Resolves with the port in use. Rejects with a ConfigError when it can't be bound. */
  async listen(host: string, port: number): Promise<number> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', (cause: NodeJS.ErrnoException) => {
        const message = `${host}:${port} cannot be listened on (${cause.code}); choose another port, or 0 for any free one`
        reject(new ConfigError('configuration', [{ path: 'admin.port', message }]))
      })
      this.#server.listen(port, host, resolve)
    })
    // The probes and the scraper must not keep a process alive that is done.
    this.#server.unref()
    return (this.#server.address() as AddressInfo).port
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise<void>((resolve) => this.#server.close(() => resolve()))
  }

  #hostAllowed(host: string | undefined): boolean {
    const address = this.#server.address() as AddressInfo | null
    if (address === null || !/^(127\.|::1$)/.test(address.address)) return true
    return /^(localhost|127\.0\.0\.\d+|\[::1\])(:\d+)?$/.test(host ?? '')
  }
}
