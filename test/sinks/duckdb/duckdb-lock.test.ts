import assert from 'node:assert/strict'
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { Worker } from 'node:worker_threads'
import { once } from 'node:events'
import { SinkRefusedError } from '../../../src/errors.ts'
import { DuckDbLock } from '../../../src/sinks/duckdb/duckdb-lock.ts'
import type { ThreadTask } from '../../support/sink-thread.ts'

const gonePid = 2 ** 22 + 1
const goneHolder = JSON.stringify({ pid: gonePid, thread: gonePid, startedAt: '1', token: 'gone' })
const endedThreadOfOurs = JSON.stringify({ pid: process.pid, thread: gonePid, startedAt: '1', token: 'ended' })

describe('DuckDbLock', () => {
  let folder: string
  let files = 0
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'millrace-lock-'))
  })
  after(() => rmSync(folder, { recursive: true, force: true }))
  const filesOf = (path: string) => readdirSync(folder).filter((name) => join(folder, name).startsWith(`${path}.`))
  const newPath = () => join(folder, `${++files}.duckdb`)

  test('a second opener is refused with the name of the first, until that one is done', () => {
    const path = newPath()
    const first = new DuckDbLock(path)
    assert.throws(() => new DuckDbLock(path), SinkRefusedError)
    assert.throws(() => new DuckDbLock(path), /this very process/)
    first.release()
    new DuckDbLock(path).release()
  })

  test('another thread of the process is a second opener too', async () => {
    const path = newPath()
    const lock = new DuckDbLock(path)
    const module = new URL('../../../src/sinks/duckdb/duckdb-lock.js', import.meta.url).href
    const source = `import(${JSON.stringify(module)}).then(({ DuckDbLock }) => new DuckDbLock(${JSON.stringify(path)}))
      .then(() => 'taken', (error) => error.message).then((said) => require('node:worker_threads').parentPort.postMessage(said))`
    const [said] = (await once(new Worker(source, { eval: true }), 'message')) as [string]
    assert.match(said, /this very process/)
    lock.release()
  })

  test('another name of the file is the same file', () => {
    const path = newPath()
    const alias = join(folder, 'alias')
    mkdirSync(join(folder, 'real'))
    symlinkSync(join(folder, 'real'), alias)
    writeFileSync(path, '')
    symlinkSync(path, join(folder, 'real', 'link.duckdb'))
    const lock = new DuckDbLock(path)
    assert.throws(() => new DuckDbLock(join(alias, 'link.duckdb')), SinkRefusedError)
    lock.release()
  })

  // Where a lock can be taken twice, one start in a hundred shows it.
  for (const { name, before } of [
    { name: 'a free lock', before: undefined },
    { name: 'a leftover', before: goneHolder },
  ]) {
    test(`of two threads that want ${name} at the same moment one gets it`, async () => {
      const started = new SharedArrayBuffer(4)
      const workerData: ThreadTask = { kind: 'race', started, racers: 2 }
      const script = new URL('../../support/sink-thread.js', import.meta.url)
      const racers = [0, 1].map(() => new Worker(script, { workerData }))
      const path = newPath()
      for (let round = 0; round < 500; round++) {
        rmSync(`${path}.lock`, { force: true })
        if (before !== undefined) writeFileSync(`${path}.lock`, before)
        const said = racers.map((racer) => once(racer, 'message'))
        for (const racer of racers) racer.postMessage(path)
        const [one, other] = (await Promise.all(said)).map(([word]) => word as string)
        const loser = one === 'taken' ? other : one
        assert.ok(one === 'taken' || other === 'taken', `${one}; ${other}`)
        assert.match(loser!, /this very process/, `round ${round}: both got it`)
      }
      await Promise.all(racers.map((racer) => racer.terminate()))
    })
  }

  const leftovers: { name: string; holder: string }[] = [
    { name: 'a process that is gone', holder: goneHolder },
    {
      name: 'a process whose pid another one has now',
      holder: JSON.stringify({ pid: process.pid, thread: process.pid, startedAt: '1', token: 'x' }),
    },
    { name: 'a thread of this process that ended', holder: endedThreadOfOurs },
    { name: 'a power cut in the middle of writing it', holder: '{"pid":' },
  ]
  for (const { name, holder } of leftovers) {
    test(`the lock of ${name} is taken over, and nothing is left of it`, () => {
      const path = newPath()
      writeFileSync(`${path}.lock`, holder)
      const lock = new DuckDbLock(path)
      assert.equal((JSON.parse(readFileSync(`${path}.lock`, 'utf8')) as { pid: number }).pid, process.pid)
      assert.throws(() => new DuckDbLock(path), /this very process/)
      lock.release()
      assert.deepEqual(filesOf(path), [])
    })
  }

  test('a lock is taken over too from one that was killed while it took it over', () => {
    const path = newPath()
    writeFileSync(`${path}.lock`, goneHolder)
    writeFileSync(`${path}.lock.after-gone`, goneHolder.replace('"gone"', '"gone-too"'))
    const lock = new DuckDbLock(path)
    assert.throws(() => new DuckDbLock(path), /this very process/)
    lock.release()
    assert.deepEqual(filesOf(path), [])
  })

  test('a lock that another is taking over just now is his', () => {
    const path = newPath()
    const taking = new DuckDbLock(`${path}.other`)
    const live = readFileSync(`${path}.other.lock`)
    writeFileSync(`${path}.lock`, goneHolder)
    writeFileSync(`${path}.lock.after-gone`, live)
    assert.throws(() => new DuckDbLock(path), /this very process/)
    taking.release()
  })

  test('while this process has the database open, the lock of an ended thread of ours is no leftover', () => {
    const path = newPath()
    writeFileSync(`${path}.lock`, endedThreadOfOurs)
    const descriptor = openSync(path, 'w')
    assert.throws(() => new DuckDbLock(path), /this very process/)
    closeSync(descriptor)
    new DuckDbLock(path).release()
  })

  test('a folder that is not there is named', () => {
    assert.throws(() => new DuckDbLock(join(folder, 'nowhere', 'x.duckdb')), /nowhere cannot be entered/)
  })
})
