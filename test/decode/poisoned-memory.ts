import { ColumnMemory } from '../../src/decode/column-memory.ts'

/**
 * Memory whose buffers hold rubbish when they are taken, and other rubbish once they are given back: who relies on what was
 * there, or reads what is no longer his, shows.
 */
export class PoisonedMemory extends ColumnMemory {
  override take(bytes: number): ArrayBuffer {
    const buffer = super.take(bytes)
    new Uint8Array(buffer).fill(0xa5)
    return buffer
  }

  protected override keep(buffer: ArrayBuffer): void {
    if (buffer.byteLength > 0) new Uint8Array(buffer).fill(0x5a)
    super.keep(buffer)
  }
}
