import type { Deletes } from '../decode/columns.ts'
import type { SlabView } from '../kafka/slab.ts'

/** The records without a value of one lane's slabs: Kafka's way of saying that their keys are deleted. */
export interface Tombstones {
  readonly deletes: Deletes
  /** The places of those without a key, which delete nothing: the slab's index and the record's in it. */
  readonly keyless: readonly { readonly slab: number; readonly record: number }[]
}

export function collectDeletes(views: readonly SlabView[]): Tombstones {
  const found: { offset: number; key: Uint8Array }[] = []
  const keyless: { slab: number; record: number }[] = []
  for (const [slab, view] of views.entries()) {
    for (let record = 0; record < view.count; record++) {
      if (view.valueBytes(record) >= 0) continue
      const key = view.key(record)
      if (key === null) keyless.push({ slab, record })
      else found.push({ offset: view.offset(record), key })
    }
  }
  const offsets = new Uint32Array(found.length + 1)
  found.forEach(({ key }, index) => (offsets[index + 1] = offsets[index]! + key.length))
  const bytes = Buffer.concat(found.map(({ key }) => key))
  return {
    deletes: {
      offsets: Float64Array.from(found, ({ offset }) => offset),
      keys: { kind: 'variable', offsets, bytes, validity: undefined },
    },
    keyless,
  }
}

/** Those below an offset. */
export function deletesBefore({ offsets, keys }: Deletes, end: number): Deletes {
  return { offsets: offsets.filter((offset) => offset < end), keys }
}
