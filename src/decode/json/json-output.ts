import type { VariableColumnBuilder } from '../column-builder.ts'
import { charactersMax } from './json-mapping.ts'

/** The text of a row that is written in place into its column; the column has it only when it ends. */
export class JsonOutput {
  bytes: Uint8Array = new Uint8Array(0)
  view = new DataView(this.bytes.buffer)
  /** Where the text goes on in `bytes`. */
  to = 0
  #start = 0
  #column: VariableColumnBuilder | undefined

  begin(column: VariableColumnBuilder): void {
    this.#column = column
    this.#start = column.byteCount
    this.to = this.#start
    this.#follow(column)
  }

  /** Ends the row; false, and no row, when its text is beyond the bound. */
  end(): boolean {
    if (this.to - this.#start > charactersMax) return false
    this.#column!.appendWritten(this.to)
    return true
  }

  /** Makes room for `more` bytes; false when the text would grow beyond its bound. */
  room(more: number): boolean {
    if (this.to + more <= this.bytes.length) return true
    if (this.to + more - this.#start > charactersMax) return false
    this.#column!.makeRoom(this.to, more)
    this.#follow(this.#column!)
    return true
  }

  /** Writes a byte, for which there is room. */
  put(byte: number): void {
    this.bytes[this.to++] = byte
  }

  /** Writes a text; false when there is no room for it. */
  putAll(text: Uint8Array): boolean {
    if (!this.room(text.length)) return false
    const { bytes } = this
    let { to } = this
    for (let index = 0; index < text.length; index++) bytes[to++] = text[index]!
    this.to = to
    return true
  }

  #follow({ bytes, view }: VariableColumnBuilder): void {
    this.bytes = bytes
    this.view = view
  }
}
