/** What is kept for a map that needed more is given up before the next text. */
const keptMax = 1 << 16

/** How many numbers an entry has: where its key's text begins and ends, and where its value stands. */
const entrySize = 3
const entriesMin = 32

/** What a map's entries and their texts come after. */
export interface Mark {
  readonly entry: number
  readonly text: number
}

/**
 * The entries of the maps that are being written, one within the other: the texts of their keys, and the places of their
 * values. An entry is known by where it stands; those of a map follow one another.
 */
export class JsonMapKeys {
  texts = new Uint8Array(256)
  view = new DataView(this.texts.buffer)
  #textsEnd = 0
  #entries = new Int32Array(entriesMin * entrySize)
  #end = 0

  /** Forgets all maps. */
  clear(): void {
    this.#end = 0
    this.#textsEnd = 0
    if (this.#entries.length > keptMax) this.#entries = new Int32Array(entriesMin * entrySize)
    if (this.texts.length > keptMax) this.#setTexts(new Uint8Array(256))
  }

  /** Before the first entry of a map. */
  mark(): Mark {
    return { entry: this.#end, text: this.#textsEnd }
  }

  /** Adds an entry, of which `source[from .. to)` is the key's text. */
  add(source: Uint8Array, from: number, to: number, value: number): void {
    if (this.#textsEnd + to - from > this.texts.length) this.#growTexts(to - from)
    if (this.#end === this.#entries.length) this.#growEntries()
    const entry = this.#end
    this.#entries[entry] = this.#textsEnd
    for (let at = from; at < to; at++) this.texts[this.#textsEnd++] = source[at]!
    this.#entries[entry + 1] = this.#textsEnd
    this.#entries[entry + 2] = value
    this.#end = entry + entrySize
  }

  /**
   * Where the first entry after the mark stands, where they end, and how far one is from the next: in the order of their
   * keys as UTF-16, and of equal keys the last one only.
   */
  inOrder(mark: Mark): { readonly first: number; readonly end: number; readonly step: number } {
    if (!this.#isInOrder(mark.entry)) this.#sort(mark.entry)
    return { first: mark.entry, end: this.#end, step: entrySize }
  }

  textStart(entry: number): number {
    return this.#entries[entry]!
  }

  textEnd(entry: number): number {
    return this.#entries[entry + 1]!
  }

  value(entry: number): number {
    return this.#entries[entry + 2]!
  }

  /** Forgets what was added since. */
  leave({ entry, text }: Mark): void {
    this.#end = entry
    this.#textsEnd = text
  }

  #isInOrder(first: number): boolean {
    for (let entry = first + entrySize; entry < this.#end; entry += entrySize) {
      if (this.#compare(entry - entrySize, entry) >= 0) return false
    }
    return true
  }

  #sort(first: number): void {
    const entries: number[] = []
    for (let entry = first; entry < this.#end; entry += entrySize) entries.push(entry)
    // A stable sort: of equal keys the one that came last stands last.
    entries.sort((one, other) => this.#compare(one, other))
    const kept = entries.filter((entry, index) => {
      return index + 1 === entries.length || this.#compare(entry, entries[index + 1]!) !== 0
    })
    const sorted = new Int32Array(kept.length * entrySize)
    kept.forEach((entry, index) => {
      sorted.set(this.#entries.subarray(entry, entry + entrySize), index * entrySize)
    })
    this.#entries.set(sorted, first)
    this.#end = first + sorted.length
  }

  /** Below 0, 0 or above 0, as the one's text comes before the other's, is the same, or comes after it. */
  #compare(one: number, other: number): number {
    const { texts } = this
    const oneStart = this.textStart(one)
    const otherStart = this.textStart(other)
    const oneLength = this.textEnd(one) - oneStart
    const otherLength = this.textEnd(other) - otherStart
    for (let index = 0; index < oneLength && index < otherLength; index++) {
      const oneByte = texts[oneStart + index]!
      const otherByte = texts[otherStart + index]!
      if (oneByte !== otherByte) return rankOf(oneByte) - rankOf(otherByte)
    }
    return oneLength - otherLength
  }

  #growTexts(more: number): void {
    const grown = new Uint8Array(Math.max(this.#textsEnd + more, this.texts.length * 2))
    grown.set(this.texts)
    this.#setTexts(grown)
  }

  #setTexts(texts: Uint8Array<ArrayBuffer>): void {
    this.texts = texts
    this.view = new DataView(texts.buffer)
  }

  #growEntries(): void {
    const grown = new Int32Array(this.#entries.length * 2)
    grown.set(this.#entries)
    this.#entries = grown
  }
}

/**
 * UTF-8's order is that of code points, and so is UTF-16's but for one thing: what is above U+FFFF (a first byte of 0xf0 and
 * more) begins with a surrogate there, which comes before U+E000 (0xee) and after U+D7FF.
 */
function rankOf(byte: number): number {
  if (byte < 0xee) return byte
  return byte < 0xf0 ? byte + 0x10 : byte - 2
}
