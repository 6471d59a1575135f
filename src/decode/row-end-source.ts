import { type DecoderLayout, isTime, timeTools } from './decoder-layout.ts'
import type { Part } from './table-plan.ts'

/** The source that ends a row when its record was read: nulls, times, names, metadata. See `decoderSource`. */
export function rowEndSource(layout: DecoderLayout): readonly string[] {
  return new RowEndSource(layout).write()
}

class RowEndSource {
  readonly #layout: DecoderLayout
  readonly #lines: string[] = []

  constructor(layout: DecoderLayout) {
    this.#layout = layout
  }

  write(): readonly string[] {
    this.#finishMessage(this.#layout.plan.parts)
    this.#lines.push('const offset = slab.offset(record)')
    this.#metadata()
    return this.#lines
  }

  #finishMessage(parts: readonly Part[]): void {
    this.#inRuns(parts, (run) => this.#finishParts(run))
  }

  /** Writes what `write` does of each run, as a function where there are several. */
  #inRuns(parts: readonly Part[], write: (run: readonly Part[]) => void): void {
    const runs = this.#layout.runsOf(parts)
    if (runs.length <= 1) return write(parts)
    for (const run of runs) {
      const lines = this.#section(() => write(run))
      const name = this.#layout.addFunction('bytes, row', ['one: {', ...lines, 'return true', '}', 'return false'])
      this.#lines.push(`if (!${name}(bytes, row)) break one`)
    }
  }

  #finishParts(parts: readonly Part[]): void {
    for (const part of parts) {
      const present = this.#layout.isPresent(part)
      if (present === undefined) {
        this.#finishPart(part)
        continue
      }
      const there = this.#section(() => this.#finishPart(part))
      // Required: that it is there has been seen to.
      const absent = part.field.required ? [] : this.#section(() => this.#absent(part))
      if (part.field.required) this.#lines.push(...there)
      else if (there.length === 0) this.#lines.push(`if (!(${present})) {`, ...absent, '}')
      else this.#lines.push(`if (${present}) {`, ...there, '} else {', ...absent, '}')
    }
  }

  #finishPart(part: Part): void {
    if (part.kind === 'message') return this.#finishMessage(part.parts)
    const { column, conversion } = part
    if (this.#layout.isRanged(part)) this.#lines.push(`if (!r${column}.append(bytes)) break one`)
    else if (conversion === 'list') this.#lines.push(`l${column}[row + 1] = i${column}`)
    else if (conversion === 'enumName') {
      this.#lines.push(this.#layout.roomFor(column, `t${column}.bytesMax`))
      this.#layout.enums.set(column, part.field.resolvedType as protobuf.Enum)
      this.#lines.push(`n${column} = t${column}.write(${this.#layout.keep(`v${column}`)}, b${column}, n${column})`)
      this.#lines.push(`o${column}[row + 1] = n${column}`)
    } else if (isTime(part)) {
      this.#lines.push(`if (!${timeTools[conversion]}(c${column}, row, ${this.#layout.keep(`v${column}`)})) break one`)
    } else if (this.#layout.isVariable(column)) this.#lines.push(`o${column}[row + 1] = n${column}`)
  }

  /** Nulls for the part's columns. `stale`: something may have been written before another arm of a oneof came. */
  #absent(part: Part, stale = false): void {
    const staleHere = stale || this.#layout.presenceOf(part)?.kind === 'arm'
    if (part.kind === 'message') {
      return this.#inRuns(part.parts, (run) => {
        for (const inner of run) this.#absent(inner, staleHere)
      })
    }
    const { column } = part
    if (this.#layout.isRanged(part)) {
      if (staleHere) this.#lines.push(`if (!r${column}.discard(bytes)) break one`)
      this.#lines.push(`r${column}.appendNull()`)
      return
    }
    if (staleHere) this.#lines.push(...this.#layout.rewind(column))
    if (this.#layout.isList(column)) this.#lines.push(`l${column}[row + 1] = i${column}`)
    else if (this.#layout.isVariable(column)) this.#lines.push(`o${column}[row + 1] = n${column}`)
    this.#lines.push(`m${column}[row >> 3] &= ~(1 << (row & 7))`)
  }

  #metadata(): void {
    const first = this.#layout.plan.columns.length - this.#layout.plan.metadata.length
    let headers = 0
    this.#layout.plan.metadata.forEach((metadata, index) => {
      const column = first + index
      if (typeof metadata !== 'string') return this.#header(column, headers++)
      switch (metadata) {
        case 'topic':
          this.#lines.push(this.#layout.roomFor(column, 'topic.length'))
          this.#lines.push(
            `n${column} = copyBytes(topic, topicView, 0, topic.length, b${column}, d${column}, n${column})`,
          )
          return this.#lines.push(`o${column}[row + 1] = n${column}`)
        case 'partition':
          return this.#lines.push(`c${column}[row] = partition`)
        case 'offset':
          return this.#lines.push(`c${column}[row * 2 + 1] = offset / 4294967296`, `c${column}[row * 2] = offset`)
        case 'timestamp':
          return this.#lines.push(
            `const milliseconds = slab.timestamp(record)`,
            `if (milliseconds === -1) m${column}[row >> 3] &= ~(1 << (row & 7))`,
            `else if (!putMilliseconds(c${column}, row, milliseconds)) break one`,
          )
        case 'key':
          this.#lines.push('length = slab.keyBytes(record)')
          this.#lines.push(`if (length < 0) m${column}[row >> 3] &= ~(1 << (row & 7))`, 'else {')
          this.#lines.push(this.#layout.roomFor(column, 'length'))
          this.#lines.push(
            `n${column} = copyBytes(bytes, view, slab.keyStart(record), length, b${column}, d${column}, n${column})`,
          )
          return this.#lines.push('}', `o${column}[row + 1] = n${column}`)
      }
    })
  }

  /** Where the value is, `findHeaders` has found. */
  #header(column: number, index: number): void {
    this.#lines.push(`length = places[${index * 2 + 1}]`)
    this.#lines.push(`if (length < 0) m${column}[row >> 3] &= ~(1 << (row & 7))`, 'else {')
    this.#lines.push(this.#layout.roomFor(column, 'length'))
    this.#lines.push(
      `n${column} = copyText(bytes, view, places[${index * 2}], length, b${column}, d${column}, n${column})`,
      `if (n${column} < 0) break one`,
    )
    this.#lines.push('}', `o${column}[row + 1] = n${column}`)
  }

  #section(write: () => void): string[] {
    const from = this.#lines.length
    write()
    return this.#lines.splice(from)
  }
}
