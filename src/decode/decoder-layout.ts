import protobuf from 'protobufjs'
import { itemTypeOf } from './columns.ts'
import { hasPresence, realOneof } from './reflection.ts'
import type { Conversion, Part, TablePlan, ValuePart } from './table-plan.ts'
import { isAsDefined } from './well-known.ts'
import type { WireShapes } from './wire-shape.ts'

/** A column that is not compiled. */
export interface Ranged {
  readonly part: ValuePart
  /** The message that the field is in, and how deep that is nested. */
  readonly type: protobuf.Type
  readonly depth: number
}

/** Of a small integer of V8, so many bits are never a heap object. */
const bitsPerWord = 30

/**
 * V8 optimises no function of more than some 60 KB of bytecode, which about 200 columns reach; what is not optimised takes
 * ten times as long. A table of more columns than this is decoded by several functions, of so many fields each.
 *
 * A field still costs the more the wider the table: 1000 columns take about twice as long a field as 120, 2000 three times.
 * It is not the columns' memory: with 8 rows a load, which any cache holds, it is the same, and with numbers alone as with
 * texts. Nor is it the size of the functions, from 12 fields to 150. What is left is what a record goes through once: the code
 * of each field, its branches, and the objects of its arrays, more of them than a core keeps at hand until the next record.
 */
export interface SplitSizes {
  readonly columnsUnsplitMax: number
  readonly fieldsPerFunction: number
}

export const splitSizesDefault: SplitSizes = { columnsUnsplitMax: 100, fieldsPerFunction: 48 }

interface Bit {
  readonly word: number
  readonly mask: number
}

/** How the presence of a field is known. */
export type Presence =
  | { readonly kind: 'bit'; readonly bit: Bit }
  | { readonly kind: 'arm'; readonly oneof: number; readonly arm: number }
  | { readonly kind: 'implicit' }

/**
 * What the two halves of a decoder's source agree on: how each field's presence is known, which columns are compiled, which
 * variables a row has, and what is referred to by number.
 */
export class DecoderLayout {
  readonly plan: TablePlan
  readonly shapes: WireShapes
  readonly ranged = new Map<number, Ranged>()
  readonly enums = new Map<number, protobuf.Enum>()
  readonly closed: protobuf.Enum[] = []
  /** Variables that are 0 at the beginning of a record. */
  readonly kept = new Set<string>()
  /** Whether there are several functions; they share the variables of columns, and those that are kept. */
  readonly split: boolean
  /** The source of those beside the main one. */
  readonly functions: string[] = []
  readonly #fieldsPerFunction: number
  #functionCount = 0
  readonly #innerParts = new Map<ValuePart, readonly ValuePart[]>()
  /** By the part, or for a field that has no column by the field. */
  readonly #presence = new Map<Part | protobuf.Field, Presence>()
  #bitCount = 0
  #oneofCount = 0

  constructor(plan: TablePlan, shapes: WireShapes, { columnsUnsplitMax, fieldsPerFunction }: SplitSizes) {
    this.plan = plan
    this.shapes = shapes
    this.split = plan.columns.length > columnsUnsplitMax
    this.#fieldsPerFunction = fieldsPerFunction
    this.#assignPresence(plan.type, plan.parts)
  }

  compiledColumns(): number[] {
    return this.plan.columns.map((_, column) => column).filter((column) => !this.ranged.has(column))
  }

  isList(column: number): boolean {
    return itemTypeOf(this.plan.columns[column]!.type) !== undefined
  }

  /** Whether the column's values, or the items of its lists, are bytes. */
  isVariable(column: number): boolean {
    return ['string', 'bytes', 'json'].includes(this.#valueType(column))
  }

  isWide(column: number): boolean {
    return ['int64', 'uint64', 'timestamp', 'timestampNanos', 'duration'].includes(this.#valueType(column))
  }

  #valueType(column: number): string {
    const { type } = this.plan.columns[column]!
    return itemTypeOf(type) ?? type
  }

  /** Where the arrays are of the column's values or items. */
  arraysOf(column: number): string {
    return `columns[${column}]${this.isList(column) ? '.items' : ''}`
  }

  /** Where the next value or item goes in them. */
  placeIn(column: number): string {
    return this.isList(column) ? `i${column}` : 'row'
  }

  keep(name: string): string {
    this.kept.add(name)
    return name
  }

  /** Makes a function of the lines, and returns its name. */
  addFunction(parameters: string, lines: readonly string[]): string {
    const name = `part${this.#functionCount++}`
    this.functions.push(`function ${name}(${parameters}) {`, ...lines, '}')
    return name
  }

  /** `items` in runs of which each is a function of its own; one run when nothing is split. */
  runsOf<Item>(items: readonly Item[]): Item[][] {
    const size = this.split ? this.#fieldsPerFunction : items.length
    const runs: Item[][] = []
    for (let from = 0; from < items.length; from += size) runs.push(items.slice(from, from + size))
    return runs
  }

  presenceOf(key: Part | protobuf.Field): Presence | undefined {
    return this.#presence.get(key)
  }

  setPresent(key: Part | protobuf.Field): string[] {
    const presence = this.#presence.get(key)!
    if (presence.kind === 'implicit') return []
    return presence.kind === 'arm'
      ? [`w${presence.oneof} = ${presence.arm}`]
      : [`p${presence.bit.word} |= ${presence.bit.mask}`]
  }

  isPresent(key: Part): string | undefined {
    const presence = this.#presence.get(key)!
    if (presence.kind === 'implicit') return undefined
    if (presence.kind === 'arm') return `w${presence.oneof} === ${presence.arm}`
    return `(p${presence.bit.word} & ${presence.bit.mask}) !== 0`
  }

  /** Maps and whatever becomes JSON; and well-known types that are not as Google defines them. */
  isRanged(part: Part | undefined): boolean {
    if (part?.kind !== 'value') return false
    if (part.conversion === 'json') return true
    return isTime(part) || part.conversion === 'wrapper'
      ? !isAsDefined(part.field.resolvedType as protobuf.Type)
      : false
  }

  /** Of a Timestamp, a Duration or a wrapper: its fields, as if they had columns. */
  partsWithin(part: Part | undefined): readonly Part[] {
    if (part === undefined) return []
    if (part.kind === 'message') return part.parts
    let parts = this.#innerParts.get(part)
    if (parts === undefined) {
      const { column } = part
      parts = (part.field.resolvedType as protobuf.Type).fieldsArray.map((field) => {
        return { kind: 'value', field: field.resolve(), column, conversion: 'scalar' }
      })
      this.#innerParts.set(part, parts)
    }
    return parts
  }

  /** What takes back what was written to the column in the row. */
  rewind(column: number): string[] {
    if (this.isList(column) || this.isVariable(column)) return this.toRowStart(column)
    return this.isWide(column) ? [`c${column}[row * 2] = 0`, `c${column}[row * 2 + 1] = 0`] : [`c${column}[row] = 0`]
  }

  /** What sets the ends of a column whose rows are of no fixed length to where the row begins. */
  toRowStart(column: number): string[] {
    const place = this.placeIn(column)
    return [
      ...(this.isList(column) ? [`i${column} = l${column}[row]`] : []),
      ...(this.isVariable(column) ? [`n${column} = o${column}[${place}]`] : []),
    ]
  }

  /** Makes room for `more` bytes in the column, where it is needed. */
  roomFor(column: number, more: string): string {
    const arrays = this.arraysOf(column)
    const grow = `${arrays}.grow(n${column}, ${more}); b${column} = ${arrays}.bytes; d${column} = ${arrays}.view`
    return `if (n${column} + ${more} > b${column}.length) { ${grow} }`
  }

  /** Makes room for one more item of a list. */
  roomForItem(column: number): string {
    const grow = `${this.arraysOf(column)}.growRows()`
    if (this.isVariable(column)) {
      return `if (i${column} + 1 === o${column}.length) { ${grow}; o${column} = ${this.arraysOf(column)}.offsets }`
    }
    const used = this.isWide(column) ? `i${column} * 2` : `i${column}`
    return `if (${used} === c${column}.length) { ${grow}; c${column} = ${this.arraysOf(column)}.slots }`
  }

  #assignPresence(type: protobuf.Type, parts: readonly Part[]): void {
    const oneofs = new Map<protobuf.OneOf, number>()
    for (const field of type.fieldsArray) {
      const key = partOf(field, parts) ?? field
      const oneof = realOneof(field)
      if (oneof !== undefined) {
        if (!oneofs.has(oneof)) oneofs.set(oneof, this.#oneofCount++)
        const number = oneofs.get(oneof)!
        this.keep(`w${number}`)
        this.#presence.set(key, { kind: 'arm', oneof: number, arm: field.id })
      } else if (hasPresence(field)) {
        const index = this.#bitCount++
        const bit = { word: Math.floor(index / bitsPerWord), mask: 2 ** (index % bitsPerWord) }
        this.keep(`p${bit.word}`)
        this.#presence.set(key, { kind: 'bit', bit })
      } else {
        this.#presence.set(key, { kind: 'implicit' })
      }
      const inner = field.resolvedType
      if (inner instanceof protobuf.Type && !this.isRanged(key as Part)) {
        this.#assignPresence(inner, this.partsWithin(partOf(field, parts)))
      }
    }
  }
}

/** Whether the part's seconds and nanoseconds meet in one column. */
export function isTime({ conversion }: ValuePart): boolean {
  return conversion in timeTools
}

/** What brings them together, by the conversion. */
export const timeTools: Readonly<Partial<Record<Conversion, string>>> = {
  timestamp: 'putTimestamp',
  timestampNanos: 'putNanoseconds',
  duration: 'putDuration',
}

/** The part of the plan that shows a field; undefined where none does. */
export function partOf(field: protobuf.Field, parts: readonly Part[]): Part | undefined {
  return parts.find((part) => part.field === field)
}
