import { Buffer } from 'node:buffer'
import type { Enum } from 'protobufjs'
import { ByNumber } from './by-number.ts'
import { enumNames } from './reflection.ts'

/** The names of an enum's values as the bytes that a column holds. */
export class EnumTexts {
  /** No text is longer. */
  readonly bytesMax: number
  readonly #texts = new ByNumber<Uint8Array>()

  /** `form` makes a name's text; a number that has none is decimal. */
  constructor(type: Enum, form = (name: string) => name) {
    // The decimal text of any 32-bit number has up to eleven bytes.
    let bytesMax = 11
    for (const [number, name] of enumNames(type)) {
      const text = new Uint8Array(Buffer.from(form(name)))
      bytesMax = Math.max(bytesMax, text.length)
      this.#texts.set(number, text)
    }
    this.bytesMax = bytesMax
  }

  /** Writes the text of `number` to `target[to]`, which has room for it, and returns where it ends. */
  write(number: number, target: Uint8Array, to: number): number {
    const written = this.#texts.get(number) ?? Buffer.from(String(number))
    for (let index = 0; index < written.length; index++) target[to + index] = written[index]!
    return to + written.length
  }
}
