import protobuf from 'protobufjs'
import { type DecoderLayout, isTime, partOf, timeTools } from './decoder-layout.ts'
import { isClosed } from './reflection.ts'
import type { Part, ValuePart } from './table-plan.ts'

/** The source that reads a record's fields, see `decoderSource`. */
export function wireSource(layout: DecoderLayout): readonly string[] {
  return new WireSource(layout).write()
}

class WireSource {
  readonly #layout: DecoderLayout
  readonly #lines: string[] = []
  #labelCount = 0
  #endCount = 0

  constructor(layout: DecoderLayout) {
    this.#layout = layout
  }

  write(): readonly string[] {
    this.#fields(this.#layout.plan.type, this.#layout.plan.parts, 'end', 0)
    this.#requireFields(this.#layout.plan.type, this.#layout.plan.parts)
    return this.#lines
  }

  /** Reads fields of a message until `end`, or until the tag `endTag` of a group. */
  #fields(type: protobuf.Type, parts: readonly Part[], end: string, depth: number, endTag?: number): void {
    const label = `g${this.#labelCount++}`
    if (endTag !== undefined) this.#lines.push(`${label}: {`)
    this.#lines.push(`while (at < ${end}) {`)
    // Where a field begins is needed only to note its range.
    const begins = type.fieldsArray.some((field) => this.#layout.isRanged(partOf(field, parts)))
    if (begins) this.#lines.push('start = at')
    this.#lines.push('tag = bytes[at++]')
    this.#lines.push(
      `if (tag >= 128) { at = readUnsigned(bytes, at - 1, ${end}); if (at < 0) break one; tag = unsigned[0] | 0 }`,
    )
    if (endTag !== undefined) this.#lines.push(`if (tag === ${endTag}) break ${label}`)
    const byNumber = [...type.fieldsArray].sort((one, other) => one.id - other.id)
    const runs = this.#layout.runsOf(byNumber)
    if (runs.length <= 1) this.#cases(type, runs[0] ?? [], parts, end, depth)
    else {
      const calls = runs.map((fields) => this.#apart(type, fields, parts, end, depth))
      this.#lines.push(
        `at = ${dispatch(calls)}(bytes, view, row, tag, at, ${begins ? 'start' : 'at'}, ${end})`,
        'if (at < 0) break one',
      )
    }
    this.#lines.push('}')
    // The bytes ended, the group did not.
    if (endTag !== undefined) this.#lines.push('break one', '}')
  }

  #cases(
    type: protobuf.Type,
    fields: readonly protobuf.Field[],
    parts: readonly Part[],
    end: string,
    depth: number,
  ): void {
    // By the number alone: numbers lie close together, so that V8 makes a table of the cases and not a chain of questions.
    this.#lines.push('switch (tag >>> 3) {')
    for (const field of fields) {
      this.#lines.push(`case ${field.id}: {`)
      this.#field(type, field, partOf(field, parts), end, depth)
      // A declared field in a wire type that is not its own.
      this.#lines.push('break one', '}')
    }
    this.#lines.push(`default: at = skipField(bytes, tag, at, ${end}, ${depth})`, 'if (at < 0) break one', '}')
  }

  /** A function that reads one of these fields, and returns where it ends, or -1. */
  #apart(
    type: protobuf.Type,
    fields: readonly protobuf.Field[],
    parts: readonly Part[],
    end: string,
    depth: number,
  ): Call {
    const from = this.#lines.length
    // A loop of one round, in which a case that is done can go on with the next round as in a loop of many.
    this.#lines.push('let length = 0, value = 0', 'one: {', 'do {')
    this.#cases(type, fields, parts, end, depth)
    this.#lines.push('} while (false)', 'return at', '}', 'return -1')
    const lines = this.#lines.splice(from)
    return { idFrom: fields[0]!.id, name: this.#layout.addFunction(`bytes, view, row, tag, at, start, ${end}`, lines) }
  }

  /** Asked when the record has ended: a message may come again, with the field that it lacked. */
  #requireFields(type: protobuf.Type, parts: readonly Part[]): void {
    const masks = new Map<number, number>()
    for (const field of type.fieldsArray) {
      const presence = this.#layout.presenceOf(partOf(field, parts) ?? field)
      if (!field.required || presence?.kind !== 'bit') continue
      masks.set(presence.bit.word, (masks.get(presence.bit.word) ?? 0) | presence.bit.mask)
    }
    for (const [word, mask] of masks) this.#lines.push(`if ((p${word} & ${mask}) !== ${mask}) break one`)
    for (const part of parts) {
      if (part.kind !== 'message') continue
      const from = this.#lines.length
      this.#requireFields(part.field.resolvedType as protobuf.Type, part.parts)
      const lines = this.#lines.splice(from)
      if (lines.length > 0) this.#lines.push(`if (${this.#layout.isPresent(part)}) {`, ...lines, '}')
    }
  }

  #field(type: protobuf.Type, field: protobuf.Field, part: Part | undefined, end: string, depth: number): void {
    const key = part ?? field
    if (part?.kind === 'value' && this.#layout.isRanged(part)) this.#rangedField(type, part, end, depth)
    else if (part?.kind === 'value' && part.conversion === 'list') this.#listField(type, part, end)
    else if (field.resolvedType instanceof protobuf.Type) {
      const group = field.delimited
      this.#lines.push(`if (tag === ${tagOf(field.id, group ? 3 : 2)}) {`)
      if (part !== undefined) this.#freshen(part)
      if (group) this.#message(field, part, end, depth + 1, tagOf(field.id, 4))
      else {
        const inner = `end${this.#endCount++}`
        this.#length(end)
        this.#lines.push(`const ${inner} = at + length`)
        this.#message(field, part, inner, depth + 1)
      }
      this.#lines.push(...this.#layout.setPresent(key), 'continue', '}')
    } else {
      this.#lines.push(`if (tag === ${tagOf(field.id, this.#layout.shapes.of(type).get(field.id)!.wireType)}) {`)
      this.#scalar(field, part as ValuePart | undefined, end, this.#layout.setPresent(key))
      this.#lines.push('continue', '}')
    }
  }

  #message(field: protobuf.Field, part: Part | undefined, end: string, depth: number, endTag?: number): void {
    this.#fields(field.resolvedType as protobuf.Type, this.#layout.partsWithin(part), end, depth, endTag)
  }

  #rangedField(type: protobuf.Type, part: ValuePart, end: string, depth: number): void {
    const { field, column } = part
    this.#layout.ranged.set(column, { part, depth, type })
    const { wireType, packable } = this.#layout.shapes.of(type).get(field.id)!
    const tags = (packable ? [wireType, 2] : [wireType]).map((each) => `tag === ${tagOf(field.id, each)}`)
    this.#lines.push(`if (${tags.join(' || ')}) {`)
    this.#lines.push(`at = skipField(bytes, tag, at, ${end}, ${depth})`, 'if (at < 0) break one')
    this.#freshen(part)
    this.#lines.push(`r${column}.add(start, at)`, ...this.#layout.setPresent(part), 'continue', '}')
  }

  /** Each value is the next item, whether it comes alone or packed with others. */
  #listField(type: protobuf.Type, part: ValuePart, end: string): void {
    const { field } = part
    const { wireType, packable } = this.#layout.shapes.of(type).get(field.id)!
    this.#lines.push(`if (tag === ${tagOf(field.id, wireType)}) {`)
    this.#scalar(field, part, end, [])
    this.#lines.push('continue', '}')
    if (!packable) return
    const inner = `end${this.#endCount++}`
    this.#lines.push(`if (tag === ${tagOf(field.id, 2)}) {`)
    this.#length(end)
    this.#lines.push(`const ${inner} = at + length`, `while (at < ${inner}) {`)
    this.#scalar(field, part, inner, [])
    this.#lines.push('}', 'continue', '}')
  }

  /** A message that is an arm of a oneof merges with an earlier one only if no other arm came between. */
  #freshen(part: Part): void {
    const presence = this.#layout.presenceOf(part)!
    if (presence.kind !== 'arm') return
    this.#lines.push(`if (w${presence.oneof} !== ${presence.arm}) {`)
    this.#reset(part)
    this.#lines.push('}')
  }

  /** Takes back what a part has written in this row. */
  #reset(part: Part): void {
    if (part.kind === 'message') {
      for (const inner of part.parts) {
        this.#resetPresence(inner)
        this.#reset(inner)
      }
      return
    }
    const { column, conversion } = part
    if (this.#layout.isRanged(part)) this.#lines.push(`if (!r${column}.discard(bytes)) break one`)
    else if (conversion === 'enumName') this.#lines.push(`${this.#layout.keep(`v${column}`)} = 0`)
    else this.#lines.push(...this.#layout.rewind(column))
    if (isTime(part)) this.#lines.push(`${this.#layout.keep(`v${column}`)} = 0`)
  }

  #resetPresence(part: Part): void {
    const presence = this.#layout.presenceOf(part)!
    if (presence.kind === 'bit') this.#lines.push(`p${presence.bit.word} &= ${~presence.bit.mask}`)
    if (presence.kind === 'arm') this.#lines.push(`w${presence.oneof} = 0`)
  }

  #length(end: string): void {
    this.#lines.push(`if (at >= ${end}) break one`, 'length = bytes[at++]')
    this.#lines.push(
      `if (length >= 128) { at = readUnsigned(bytes, at - 1, ${end}); if (at < 0) break one; length = unsigned[0] }`,
    )
    this.#lines.push(`if (length > ${end} - at) break one`)
  }

  /** Reads a scalar and stores it in the part's column; without a part it is only checked. */
  #scalar(field: protobuf.Field, part: ValuePart | undefined, end: string, present: string[]): void {
    const column = part?.column
    const type = field.resolvedType instanceof protobuf.Enum ? 'enum' : field.type
    switch (type) {
      case 'string':
      case 'bytes':
        this.#bytes(type, column, end)
        break
      case 'float':
        this.#fixed(4, column, end, ['view.getFloat32(at, true)'])
        break
      case 'fixed32':
      case 'sfixed32':
        this.#fixed(4, column, end, ['view.getInt32(at, true)'])
        break
      case 'double':
        this.#fixed(8, column, end, ['view.getFloat64(at, true)'])
        break
      case 'fixed64':
      case 'sfixed64':
        this.#fixed(8, column, end, ['view.getInt32(at, true)', 'view.getInt32(at + 4, true)'])
        break
      default:
        return this.#varint(type, field, part, end, present)
    }
    this.#lines.push(...present)
  }

  #fixed(size: number, column: number | undefined, end: string, words: readonly string[]): void {
    this.#lines.push(`if (${end} - at < ${size}) break one`)
    if (column !== undefined) this.#store(column, words)
    this.#lines.push(`at += ${size}`)
  }

  /** Stores a value of one slot or two: in the row, or as the list's next item. */
  #store(column: number, [low, high]: readonly string[]): void {
    const place = this.#layout.placeIn(column)
    const list = this.#layout.isList(column)
    if (list) this.#lines.push(this.#layout.roomForItem(column))
    if (high === undefined) this.#lines.push(`c${column}[${place}] = ${low}`)
    else this.#lines.push(`c${column}[${place} * 2] = ${low}`, `c${column}[${place} * 2 + 1] = ${high}`)
    if (list) this.#lines.push(`i${column}++`)
  }

  #bytes(type: string, column: number | undefined, end: string): void {
    this.#length(end)
    if (column === undefined) {
      if (type === 'string') this.#lines.push('if (!tools.isUtf8Text(bytes, at, at + length)) break one')
    } else {
      const copy = type === 'string' ? 'copyText' : 'copyBytes'
      const list = this.#layout.isList(column)
      this.#lines.push(list ? this.#layout.roomForItem(column) : `n${column} = o${column}[row]`)
      this.#lines.push(this.#layout.roomFor(column, 'length'))
      this.#lines.push(`n${column} = ${copy}(bytes, view, at, length, b${column}, d${column}, n${column})`)
      if (type === 'string') this.#lines.push(`if (n${column} < 0) break one`)
      if (list) this.#lines.push(`o${column}[++i${column}] = n${column}`)
    }
    this.#lines.push('at += length')
  }

  /** One byte is read here, more are by a call. */
  #varint(type: string, field: protobuf.Field, part: ValuePart | undefined, end: string, present: string[]): void {
    this.#lines.push(`if (at >= ${end}) break one`, 'value = bytes[at]')
    const wide = type.endsWith('64')
    this.#lines.push('if (value < 128) {', 'at++')
    if (wide) this.#lines.push('words[0] = value', 'words[1] = 0')
    this.#lines.push('} else {', `at = readVarint(bytes, at, ${end})`, 'if (at < 0) break one')
    if (type === 'bool') this.#lines.push('value = words[0] | words[1]')
    else if (!wide) {
      this.#lines.push(`if (words[1] !== ${type === 'uint32' || type === 'sint32' ? '0' : 'words[0] >> 31'}) break one`)
      this.#lines.push('value = words[0]')
    }
    this.#lines.push('}')
    if (type === 'enum' && isClosed(field.resolvedType as protobuf.Enum)) {
      // The standard: such a number is an unknown field, the field stays as it was.
      const index = this.#layout.closed.push(field.resolvedType as protobuf.Enum) - 1
      this.#lines.push(`if (!k${index}.has(value)) continue`)
    }
    if (part !== undefined) this.#storeVarint(type, field, part)
    this.#lines.push(...present)
  }

  #storeVarint(type: string, field: protobuf.Field, part: ValuePart): void {
    const { column, conversion } = part
    const columnType = this.#layout.plan.columns[column]!.type
    if (type === 'enum' && this.#layout.isVariable(column)) {
      this.#layout.enums.set(column, field.resolvedType as protobuf.Enum)
      if (conversion === 'list') this.#nameItem(column)
      else this.#lines.push(`${this.#layout.keep(`v${column}`)} = value`)
    } else if (columnType in timeTools && type === 'int32') {
      this.#lines.push(`${this.#layout.keep(`v${column}`)} = value`)
    } else if (type === 'sint64') {
      this.#lines.push('value = -(words[0] & 1)')
      this.#store(column, ['((words[0] >>> 1) | (words[1] << 31)) ^ value', '(words[1] >>> 1) ^ value'])
    } else if (type.endsWith('64')) this.#store(column, ['words[0]', 'words[1]'])
    else if (type === 'sint32') this.#store(column, ['(value >>> 1) ^ -(value & 1)'])
    else this.#store(column, [type === 'bool' ? 'value !== 0 ? 1 : 0' : 'value'])
  }

  #nameItem(column: number): void {
    this.#lines.push(this.#layout.roomForItem(column), this.#layout.roomFor(column, `t${column}.bytesMax`))
    this.#lines.push(`n${column} = t${column}.write(value, b${column}, n${column})`)
    this.#lines.push(`o${column}[++i${column}] = n${column}`)
  }
}

/** A function for the fields from this number on. */
interface Call {
  readonly idFrom: number
  readonly name: string
}

/** An expression for the function that has the field of the tag. */
function dispatch(calls: readonly Call[]): string {
  if (calls.length === 1) return calls[0]!.name
  const middle = calls.length >> 1
  const [lower, upper] = [calls.slice(0, middle), calls.slice(middle)]
  return `(tag >>> 3 < ${upper[0]!.idFrom} ? ${dispatch(lower)} : ${dispatch(upper)})`
}

/** As a signed integer, as which they are compared. */
function tagOf(id: number, wireType: number): number {
  return (id << 3) | wireType
}
