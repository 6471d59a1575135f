import { DuckDBInstance } from '@duckdb/node-api'
import type { DuckDBConnection } from '@duckdb/node-api'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Bound, Store } from './store.ts'
import type { SinkPlace } from './target.ts'

const diskMegabytes = 3000

/** A DuckDB file on a disk of its own where the system lets us mount one, so that it can be full. */
export class DuckDbStore implements Store {
  readonly place: SinkPlace
  readonly proxy = undefined
  readonly #path: string
  readonly #disk: string
  readonly #mounted: boolean

  constructor(folder: string) {
    this.#disk = join(folder, 'disk')
    mkdirSync(this.#disk)
    this.#mounted = mount('size', diskMegabytes, this.#disk)
    this.#path = join(this.#disk, 'sink.duckdb')
    this.place = { type: 'duckdb', path: this.#path }
  }

  get canBeFull(): boolean {
    return this.#mounted
  }

  /** No byte more fits until `makeRoom`. */
  fill(): void {
    const { stdout } = spawnSync('df', ['--output=used', '--block-size=1M', this.#disk], { encoding: 'utf8' })
    mount('remount,size', Math.max(1, Number(stdout.trim().split('\n').at(-1))), this.#disk)
  }

  makeRoom(): void {
    mount('remount,size', diskMegabytes, this.#disk)
  }

  /** Only while no daemon has the file open. */
  async countBelow(bounds: readonly Bound[]): Promise<number[] | undefined> {
    if (!existsSync(this.#path)) return undefined
    let instance: DuckDBInstance
    try {
      instance = await DuckDBInstance.create(this.#path, { access_mode: 'READ_ONLY' })
    } catch (error) {
      if (/lock on file|IO Error/.test((error as Error).message)) return undefined
      throw error
    }
    const connection = await instance.connect()
    try {
      const counted = await connection.runAndReadAll(
        `select bound.i, count(entries._offset) from (values ${bounds
          .map(({ topic, partition, offset }, index) => `(${index}, '${topic}', ${partition}, ${offset})`)
          .join(', ')}) bound(i, topic, part, below)
         left join entries on _topic = bound.topic and _partition = bound.part and _offset < bound.below
         group by bound.i order by bound.i`,
      )
      return (counted.getRows() as [number, bigint][]).map(([, count]) => Number(count))
    } catch (error) {
      // The first life was ended before it had made the table.
      if (/entries does not exist/.test((error as Error).message)) return bounds.map(() => 0)
      throw error
    } finally {
      connection.closeSync()
      instance.closeSync()
    }
  }

  async collect(checker: DuckDBConnection): Promise<void> {
    await checker.run(`attach '${this.#path}' as store (read_only)`)
    await checker.run(`create table sink as select _topic as topic, _partition as part, _offset as place, key,
      sequence::bigint as sequence, checksum::bigint as checksum, note, half, rowid as arrival from store.entries`)
    await checker.run('detach store')
  }

  async stop(): Promise<void> {
    if (this.#mounted) spawnSync('umount', ['--lazy', this.#disk])
  }
}

function mount(option: string, megabytes: number, folder: string): boolean {
  const args = ['-t', 'tmpfs', '-o', `${option}=${megabytes}m`, 'tmpfs', folder]
  return spawnSync('mount', args, { stdio: 'ignore' }).status === 0
}
