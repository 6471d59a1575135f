import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { Worker } from 'node:worker_threads'
import { once } from 'node:events'
import { SinkRefusedError } from '../../../src/errors.ts'
import { DuckDbLock } from '../../../src/sinks/duckdb/duckdb-lock.ts'

describe('DuckDbLock', () => {
  let folder: string
  let files = 0
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'millrace-lock-'))
  })
  after(() => rmSync(folder, { recursive: true, force: true }))
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

  const gone: { name: string; holder: string }[] = [
    { name: 'a process that is gone', holder: JSON.stringify({ pid: 2 ** 22 + 1, token: 'x' }) },
    {
      name: 'a process whose pid another one has now',
      holder: JSON.stringify({ pid: process.pid, startedAt: '1', token: 'x' }),
    },
    { name: 'a crash in the middle of writing it', holder: '{"pid":' },
  ]
  for (const { name, holder } of gone) {
    test(`the lock of ${name} is taken over`, () => {
      const path = newPath()
      writeFileSync(`${path}.lock`, holder)
      const lock = new DuckDbLock(path)
      assert.equal((JSON.parse(readFileSync(`${path}.lock`, 'utf8')) as { pid: number }).pid, process.pid)
      lock.release()
      assert.throws(() => readFileSync(`${path}.lock`), /ENOENT/)
    })
  }

  test('a folder that is not there is named', () => {
    assert.throws(() => new DuckDbLock(join(folder, 'nowhere', 'x.duckdb')), /nowhere cannot be entered/)
  })
})
