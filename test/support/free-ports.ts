import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:net'
import type { AddressInfo, Server } from 'node:net'

/**
 * Below the range from which systems give ports to outgoing connections: else one of those could sit on a server's port
 * while the server is down for a restart.
 */
export async function freePorts(count: number): Promise<number[]> {
  const held: Server[] = []
  while (held.length < count) {
    const server = createServer().listen(randomInt(20_000, 32_000), '127.0.0.1')
    // An error is a port that is taken: the next draw decides.
    await once(server, 'listening').then(
      () => held.push(server),
      () => undefined,
    )
  }
  const ports = held.map((server) => (server.address() as AddressInfo).port)
  await Promise.all(held.map((server) => once(server.close(), 'close')))
  return ports
}
