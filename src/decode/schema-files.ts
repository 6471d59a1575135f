import { readFile, realpath } from 'node:fs/promises'

/** The files of a schema as they were read once. Plain data: it crosses threads, and is there when the files have changed. */
export interface SchemaSnapshot {
  /** By the path that was looked for: the file that it leads to, or that there was none. */
  readonly paths: ReadonlyMap<string, string | undefined>
  /** By the file's real path. */
  readonly contents: ReadonlyMap<string, Uint8Array>
}

/**
 * Where the files of schemas are read: on the disk, each once, or in a snapshot of what was read there. A snapshot gives
 * every worker of a pool, at whatever time it starts, the one schema that the daemon has accepted.
 */
export class SchemaFiles {
  readonly #recorded: SchemaSnapshot | undefined
  readonly #paths = new Map<string, string | undefined>()
  readonly #contents = new Map<string, Uint8Array>()

  constructor(recorded?: SchemaSnapshot) {
    this.#recorded = recorded
  }

  /** All that was looked for and read so far. */
  get snapshot(): SchemaSnapshot {
    return this.#recorded ?? { paths: this.#paths, contents: this.#contents }
  }

  /** The first of the candidates that is there, by its real path. */
  async find(candidates: readonly string[]): Promise<string | undefined> {
    for (const candidate of candidates) {
      const found = this.#recorded === undefined ? await this.#look(candidate) : this.#recorded.paths.get(candidate)
      if (found !== undefined) return found
    }
    return undefined
  }

  /** Rejects with the error of the file system. */
  async read(path: string): Promise<Uint8Array> {
    const known = this.#recorded?.contents.get(path) ?? this.#contents.get(path)
    if (known !== undefined) return known
    if (this.#recorded !== undefined) throw new Error('it was not there when the schema was read')
    const bytes = new Uint8Array(await readFile(path))
    this.#contents.set(path, bytes)
    return bytes
  }

  async #look(candidate: string): Promise<string | undefined> {
    // Not here is no failure: what matters is whether it is anywhere, and the caller says where it was looked for.
    const found = await realpath(candidate).catch(() => undefined)
    this.#paths.set(candidate, found)
    return found
  }
}

/** Whether both hold the same files, byte for byte. */
export function sameFiles(one: SchemaSnapshot, other: SchemaSnapshot): boolean {
  if (one.contents.size !== other.contents.size) return false
  return [...one.contents].every(([path, bytes]) => {
    const others = other.contents.get(path)
    return others !== undefined && Buffer.compare(bytes, others) === 0
  })
}
