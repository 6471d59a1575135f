import type { DeadLetter } from '../../src/kafka/dead-letter-slab.ts'
import { encodeHeaders, packSlab, SlabView } from '../../src/kafka/slab.ts'
import type { Header, RecordToPack } from '../../src/kafka/slab.ts'

export type LetterParts = Omit<DeadLetter, 'slab' | 'index'> &
  Pick<RecordToPack, 'timestamp' | 'key' | 'value'> & { readonly headers: readonly Header[] }

/** A dead letter whose record lies in a slab of its own. */
export function deadLetterOf({ timestamp, key, value, headers, ...letter }: LetterParts): DeadLetter {
  const { offset } = letter
  const slab = new SlabView(packSlab([{ offset, timestamp, key, value, headers: encodeHeaders(headers) }]))
  return { ...letter, slab, index: 0 }
}
