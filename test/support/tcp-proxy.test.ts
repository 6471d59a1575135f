import assert from 'node:assert/strict'
import { EventEmitter, once } from 'node:events'
import { connect, createServer } from 'node:net'
import type { AddressInfo, Server, Socket } from 'node:net'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { TcpProxy } from './tcp-proxy.ts'

/** A server that answers with what it is sent, and keeps it. */
class Echo {
  readonly sockets: Socket[] = []
  received = ''
  readonly #news = new EventEmitter()
  readonly #server: Server
  readonly #prefix: string

  constructor(prefix = '') {
    this.#prefix = prefix
    this.#server = createServer({ noDelay: true }, (socket) => {
      this.sockets.push(socket)
      socket.on('error', () => undefined)
      socket.on('data', (bytes) => {
        this.received += bytes.toString('latin1')
        this.#news.emit('data')
        socket.write(this.#prefix + bytes.toString('latin1'), 'latin1')
      })
    })
  }

  async start(): Promise<{ port: number }> {
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
    return { port: (this.#server.address() as AddressInfo).port }
  }

  async got(text: string): Promise<void> {
    while (this.received.length < text.length) await once(this.#news, 'data')
    assert.equal(this.received, text)
  }

  stop(): void {
    this.#server.close()
    for (const socket of this.sockets) socket.destroy()
  }
}

/** A client that keeps what it gets, and lets a test wait for it. */
class Client {
  readonly socket: Socket
  received = ''
  error: NodeJS.ErrnoException | undefined

  constructor(port: number) {
    this.socket = connect({ port, host: '127.0.0.1', noDelay: true })
    this.socket.on('error', (error: NodeJS.ErrnoException) => (this.error = error))
    this.socket.on('data', (bytes) => (this.received += bytes.toString('latin1')))
  }

  async got(text: string): Promise<void> {
    while (this.received.length < text.length) await once(this.socket, 'data')
    assert.equal(this.received, text)
  }

  async gone(): Promise<void> {
    if (!this.socket.closed) await once(this.socket, 'close').catch(() => undefined)
    if (!this.socket.closed) await once(this.socket, 'close')
  }
}

describe('TcpProxy', { timeout: 20_000 }, () => {
  let echo: Echo
  let proxy: TcpProxy
  const clients: Client[] = []

  beforeEach(async () => {
    echo = new Echo()
    proxy = await TcpProxy.start(await echo.start())
  })
  afterEach(() => {
    proxy.stop()
    echo.stop()
    for (const { socket } of clients.splice(0)) socket.destroy()
  })

  function newClient(): Client {
    const client = new Client(proxy.port)
    clients.push(client)
    return client
  }

  test('bytes go both ways, and an end is passed on', async () => {
    const client = newClient()
    client.socket.write('hello')
    await client.got('hello')
    client.socket.end()
    await client.gone()
    assert.deepEqual([client.error, client.received, proxy.connections], [undefined, 'hello', 0])
  })

  test('more bytes than any buffer holds arrive in order and whole', async () => {
    const client = newClient()
    const block = '0123456789abcdef'.repeat(4096)
    for (let count = 0; count < 64; count++) client.socket.write(block)
    await client.got(block.repeat(64))
  })

  test('a delay is for its direction, and keeps the order', async () => {
    const client = newClient()
    proxy.delayMs.fromServer = 120
    const started = performance.now()
    client.socket.write('one')
    await echo.got('one')
    proxy.hook = ({ bytes }) => {
      if (bytes.includes('two')) proxy.delayMs.fromServer = 0
      return 'pass'
    }
    client.socket.write('two')
    await client.got('onetwo')
    assert.ok(performance.now() - started >= 119)
  })

  for (const { direction, arrives } of [
    { direction: 'fromClient', arrives: 'abc' },
    { direction: 'fromServer', arrives: 'abcdef' },
  ] as const) {
    test(`a cut after 3 bytes ${direction} lets just those through, once`, async () => {
      const cut = proxy.cutAfter(direction, 3)
      const client = newClient()
      client.socket.write('abcdef')
      await Promise.all([cut, client.gone(), echo.got(arrives)])
      if (direction === 'fromServer') assert.equal(client.received, 'abc')
      const second = newClient()
      second.socket.write('abcdef')
      await second.got('abcdef')
    })
  }

  test('bytes that are cut at are seen though they come in pieces, and the last of them is not passed on', async () => {
    const cut = proxy.cutBefore('fromServer', 'COMMIT')
    const client = newClient()
    client.socket.write('begin; COM')
    await client.got('begin; COM')
    client.socket.write('MIT; more')
    await Promise.all([cut, client.gone()])
    assert.deepEqual([echo.received, client.received], ['begin; COMMIT; more', 'begin; COM'])
  })

  test('what is held back comes after release, in order, while other connections go on', async () => {
    const held = proxy.holdBefore('fromClient', 'update')
    const [one, other] = [newClient(), newClient()]
    one.socket.write('begin;')
    await one.got('begin;')
    one.socket.write('update;')
    await held
    one.socket.write('commit;')
    other.socket.write('hello')
    await other.got('hello')
    assert.equal(echo.received, 'begin;hello')
    proxy.release()
    await one.got('begin;update;commit;')
  })

  test('a black hole swallows and keeps the connection; after it new ones work, and the old one stays lost', async () => {
    const [old, other] = [newClient(), newClient()]
    old.socket.write('x')
    await old.got('x')
    other.socket.write('y')
    await other.got('y')
    proxy.blackHole()
    old.socket.write('lost')
    const during = newClient()
    during.socket.write('lost too')
    await once(during.socket, 'connect')
    proxy.heal()
    const after = newClient()
    after.socket.write('fine')
    await after.got('fine')
    old.socket.write('lost still')
    after.socket.write('!')
    await after.got('fine!')
    assert.equal(echo.received, 'xyfine!')
    assert.deepEqual([old.received, during.received, old.socket.destroyed], ['x', '', false])
  })

  test('a hole in one direction only lets the request through and loses the reply', async () => {
    proxy.blackHole('fromServer')
    const client = newClient()
    client.socket.write('insert')
    await echo.got('insert')
    assert.equal(client.received, '')
  })

  test('all connections can be cut, refused, and let in again on the same port', async () => {
    const client = newClient()
    client.socket.write('x')
    await client.got('x')
    const { port } = proxy
    proxy.refuse()
    proxy.cut()
    await client.gone()
    const refused = newClient()
    await refused.gone()
    assert.deepEqual([client.error?.code, refused.error?.code], ['ECONNRESET', 'ECONNREFUSED'])
    await proxy.reopen()
    assert.equal(proxy.port, port)
    const again = newClient()
    again.socket.write('y')
    await again.got('y')
  })

  test('a new target is for new connections', async () => {
    const client = newClient()
    client.socket.write('x')
    await client.got('x')
    const standby = new Echo('standby: ')
    proxy.target = await standby.start()
    const moved = newClient()
    moved.socket.write('y')
    await moved.got('standby: y')
    client.socket.write('z')
    await client.got('xz')
    standby.stop()
  })

  test('a server that is not there breaks the connection', async () => {
    echo.stop()
    const client = newClient()
    await client.gone()
    assert.equal(client.error?.code, 'ECONNRESET')
  })
})
