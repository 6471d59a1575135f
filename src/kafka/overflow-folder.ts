import { createHash } from 'node:crypto'
import { mkdir, open, rename } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { DeadLetterStoreError } from '../errors.ts'
import type { UnpackedLetter } from './dead-letter-slab.ts'

/** What the topic gets in place of a record that is too large for it. */
export interface ClaimCheck {
  readonly file: string
  readonly bytes: number
  /** Of the file, in hexadecimal. */
  readonly sha256: string
}

/**
 * Dead letters that are too large for their topic: a JSON file each, named for the record's place, so that a repetition
 * replaces it. Bytes are in base64.
 */
export class OverflowFolder {
  readonly #path: string

  constructor(path: string) {
    this.#path = path
  }

  /** Resolves when the file and its name are on disk. Rejects with DeadLetterStoreError. */
  async keep(letter: UnpackedLetter): Promise<ClaimCheck> {
    const { topic, partition, offset } = letter
    // A topic's name has no slash, and `..` is none.
    const file = join(this.#path, `${topic}-${partition}-${offset}.json`)
    const content = Buffer.from(JSON.stringify(describe(letter)))
    try {
      await mkdir(this.#path, { recursive: true })
      await writeThrough(`${file}.part`, content)
      await rename(`${file}.part`, file)
      await syncFolder(dirname(file))
    } catch (cause) {
      throw new DeadLetterStoreError(`deadLetters.overflowPath: ${file} cannot be written`, { cause })
    }
    return { file, bytes: content.length, sha256: createHash('sha256').update(content).digest('hex') }
  }
}

function describe({ key, value, headers, slab: _, index: __, ...rest }: UnpackedLetter): object {
  const text = (bytes: Uint8Array | null) => bytes && Buffer.from(bytes).toString('base64')
  return {
    ...rest,
    key: text(key),
    value: text(value),
    headers: headers.map((header) => ({ name: header.name, value: text(header.value) })),
  }
}

async function writeThrough(file: string, content: Buffer): Promise<void> {
  const handle = await open(file, 'w', 0o600)
  try {
    await handle.writeFile(content)
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** Without it the name of a new file may be gone after a crash of the machine, though its content is there. */
async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
