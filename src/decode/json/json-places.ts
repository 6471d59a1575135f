import type { JsonField, JsonShape } from './json-shape.ts'
import { readUnsigned, skipField, unsigned } from '../wire-reader.ts'

const placesMin = 64
/** What is kept for a message that needed more is given up before the next text. */
const placesKept = 1 << 16

/**
 * Where the values of messages stand in a record, of all that are being written, one within the other. Of a single value:
 * where it begins after its tag. Of a list or map: where its first tag begins, plus 1, and where its last element ends. 0 is
 * nowhere.
 */
export class JsonPlaces {
  #places = new Int32Array(placesMin)
  #end = 0

  /** Forgets all messages. */
  clear(): void {
    this.#end = 0
    if (this.#places.length > placesKept) this.#places = new Int32Array(placesMin)
  }

  /**
   * Notes the places of the message `source[start .. end)`, and returns where they are kept; -1 when it is not as producers
   * write it: a message in two parts, a list or map whose elements lie apart, two arms of a oneof.
   */
  enter(shape: JsonShape, source: Uint8Array, start: number, end: number): number {
    const base = this.#end
    this.#end = base + shape.slots
    if (this.#end > this.#places.length) this.#grow()
    this.#places.fill(0, base, this.#end)
    for (let at = start; at < end;) {
      const tagAt = at
      at = readUnsigned(source, at, end)
      const tag = unsigned[0]!
      const field = shape.field(tag >>> 3)
      const valueAt = at
      at = skipField(source, tag, at, end, 0)
      if (field !== undefined && !this.#note(field, base, tagAt, valueAt, at)) return -1
    }
    return base
  }

  /** The place of the field, or of a list or map its first. */
  of(field: JsonField, base: number): number {
    return this.#places[base + field.slot]!
  }

  /** Where a list's or map's last element ends. */
  endOf(field: JsonField, base: number): number {
    return this.#places[base + field.slot + 1]!
  }

  /** Forgets the message whose places are kept from `base` on. */
  leave(base: number): void {
    this.#end = base
  }

  #note(field: JsonField, base: number, tagAt: number, valueAt: number, end: number): boolean {
    const places = this.#places
    const slot = base + field.slot
    if (field.form !== 'single') {
      if (places[slot] === 0) places[slot] = tagAt + 1
      else if (places[slot + 1] !== tagAt) return false
      places[slot + 1] = end
      return true
    }
    if (field.kind === 'message' && places[slot] !== 0) return false
    places[slot] = valueAt
    if (field.oneofSlot < 0) return true
    const arm = base + field.oneofSlot
    if (places[arm] !== 0 && places[arm] !== field.id) return false
    places[arm] = field.id
    return true
  }

  #grow(): void {
    const grown = new Int32Array(Math.max(this.#end, this.#places.length * 2))
    grown.set(this.#places)
    this.#places = grown
  }
}
