import type { Lane } from './lane.ts'

/** The lanes of the present assignment, least recently served first. */
export class LaneSet {
  readonly #lanes = new Map<string, Lane>()

  get size(): number {
    return this.#lanes.size
  }

  get(topic: string, partition: number): Lane | undefined {
    return this.#lanes.get(key(topic, partition))
  }

  add(lane: Lane): void {
    this.#lanes.set(key(lane.topic, lane.partition), lane)
  }

  /** Takes a lane out, unless a newer one has its place already. */
  delete(lane: Lane): void {
    if (this.get(lane.topic, lane.partition) === lane) this.#lanes.delete(key(lane.topic, lane.partition))
  }

  /** Moves a lane behind all others: it was just served. */
  served(lane: Lane): void {
    if (this.get(lane.topic, lane.partition) !== lane) return
    this.delete(lane)
    this.add(lane)
  }

  [Symbol.iterator](): IterableIterator<Lane> {
    return this.#lanes.values()
  }

  /** Bytes of slabs in lanes and in flight. */
  get bufferedBytes(): number {
    let bytes = 0
    for (const lane of this.#lanes.values()) bytes += lane.bufferedBytes + lane.inFlightBytes
    return bytes
  }
}

const key = (topic: string, partition: number): string => `${topic}/${partition}`
