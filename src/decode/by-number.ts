/** Numbers up to this are looked up in an array; beyond, a hostile schema would make it huge. */
const denseMax = 255

/** Values by their number in a schema: fields of a message, names of an enum. */
export class ByNumber<Value> {
  readonly #dense: (Value | undefined)[] = []
  readonly #sparse = new Map<number, Value>()

  set(number: number, value: Value): void {
    if (number < 0 || number > denseMax) this.#sparse.set(number, value)
    else {
      while (this.#dense.length <= number) this.#dense.push(undefined)
      this.#dense[number] = value
    }
  }

  get(number: number): Value | undefined {
    return number >= 0 && number < this.#dense.length ? this.#dense[number] : this.#sparse.get(number)
  }
}
