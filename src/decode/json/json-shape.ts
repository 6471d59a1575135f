import protobuf from 'protobufjs'
import { ByNumber } from '../by-number.ts'
import { EnumTexts } from '../enum-texts.ts'
import { jsonNameOf } from './json-mapping.ts'
import { enumNames, isClosed, realOneof } from '../reflection.ts'
import type { EnumForm } from '../table-plan.ts'
import { fieldOf, isAsDefined, isNullValue, wellKnown } from '../well-known.ts'

/** How a value is read and written. */
export type JsonKind =
  | 'bool'
  | 'int32'
  | 'sint32'
  | 'uint32'
  | 'fixed32'
  | 'sfixed32'
  | 'int64'
  | 'sint64'
  | 'uint64'
  | 'fixed64'
  | 'sfixed64'
  | 'float'
  | 'double'
  | 'string'
  | 'bytes'
  | 'enum'
  | 'null'
  | 'message'

/** A field as `JsonWriter` goes through it. */
export interface JsonField {
  readonly id: number
  readonly kind: JsonKind
  readonly form: 'single' | 'list' | 'map'
  /** `"name":` */
  readonly key: Uint8Array
  /** Where the place of its value is kept, from where those of its message begin; of lists and maps two. */
  readonly slot: number
  /** Where the number of the arm that came is kept; -1 outside of a oneof. */
  readonly oneofSlot: number
  /** Whether its default value is as good as absent. */
  readonly implicit: boolean
  readonly required: boolean
  readonly shape: JsonShape | undefined
  readonly enumTexts: EnumTexts | undefined
  /** What a closed enum knows: a record with another number is not written here. */
  readonly known: ReadonlySet<number> | undefined
  /** Of a map. */
  readonly entryKey: JsonKind
}

/**
 * What is written of a message: an object of its fields; the value of its only field; the arm of a Value; a time. `other`
 * is written by `JsonMapping` alone.
 */
export type JsonForm = 'object' | 'only' | 'value' | 'timestamp' | 'duration' | 'empty' | 'other'

/** A message type as `JsonWriter` goes through it. */
export class JsonShape {
  readonly form: JsonForm
  /** In the order of their declaration. */
  fields: readonly JsonField[] = []
  /** How many places a message of it needs. */
  slots = 0
  readonly #byId = new ByNumber<JsonField>()

  constructor(form: JsonForm) {
    this.form = form
  }

  fill(fields: readonly JsonField[], slots: number): void {
    this.fields = fields
    this.slots = slots
    for (const field of fields) this.#byId.set(field.id, field)
  }

  field(id: number): JsonField | undefined {
    return this.#byId.get(id)
  }
}

/** Shapes of message types, each made once, since types may refer to each other in circles. */
export class JsonShapes {
  readonly #enums: EnumForm
  readonly #known = new Map<protobuf.Type, JsonShape>()

  constructor(enums: EnumForm) {
    this.#enums = enums
  }

  /** `field` as the only one of its message. */
  column(field: protobuf.Field): JsonField {
    return this.#field(field, 0, -1)
  }

  #of(type: protobuf.Type): JsonShape {
    const known = this.#known.get(type)
    if (known !== undefined) return known
    const shape = new JsonShape(formOf(type))
    this.#known.set(type, shape)
    const oneofs = new Map<protobuf.OneOf, number>()
    let slots = 0
    const fields = type.fieldsArray.map((field) => {
      const slot = slots
      slots += field.resolve().repeated || field.map ? 2 : 1
      const oneof = realOneof(field)
      if (oneof !== undefined && !oneofs.has(oneof)) oneofs.set(oneof, slots++)
      return this.#field(field, slot, oneof === undefined ? -1 : oneofs.get(oneof)!)
    })
    shape.fill(fields, slots)
    return shape
  }

  #field(field: protobuf.Field, slot: number, oneofSlot: number): JsonField {
    const { id, resolvedType, map, repeated, required } = field.resolve()
    const type = resolvedType instanceof protobuf.Type ? resolvedType : undefined
    const byName = resolvedType instanceof protobuf.Enum && this.#enums === 'name'
    return {
      id,
      kind: kindOf(field),
      form: map ? 'map' : repeated ? 'list' : 'single',
      key: new Uint8Array(Buffer.from(`${JSON.stringify(jsonNameOf(field))}:`)),
      slot,
      oneofSlot,
      implicit: !field.hasPresence && type === undefined && !map && !repeated,
      required,
      shape: type && (field.delimited ? new JsonShape('other') : this.#of(type)),
      enumTexts: byName ? new EnumTexts(resolvedType, JSON.stringify) : undefined,
      known:
        resolvedType instanceof protobuf.Enum && isClosed(resolvedType)
          ? new Set(enumNames(resolvedType).keys())
          : undefined,
      entryKey: field instanceof protobuf.MapField ? (field.keyType as JsonKind) : 'string',
    }
  }
}

function kindOf(field: protobuf.Field): JsonKind {
  if (field.resolvedType instanceof protobuf.Type) return 'message'
  if (field.resolvedType instanceof protobuf.Enum) return isNullValue(field) ? 'null' : 'enum'
  return field.type as JsonKind
}

/** A well-known type that is not as Google defines it is left to `JsonMapping`, and so is an enum whose default is not 0. */
function formOf(type: protobuf.Type): JsonForm {
  const meaning = wellKnown(type)
  const fields = type.fieldsArray.map((field) => field.resolve())
  switch (meaning) {
    case undefined:
      return fields.some(hasStrangeDefault) ? 'other' : 'object'
    case 'timestamp':
    case 'duration':
      return isAsDefined(type) ? meaning : 'other'
    case 'wrapper':
      return isAsDefined(type) ? 'only' : 'other'
    case 'struct':
    case 'list':
      return fields.length === 1 && fieldOf(type, 1)[meaning === 'struct' ? 'map' : 'repeated'] ? 'only' : 'other'
    case 'value':
      return fields.every((field) => realOneof(field) !== undefined) ? 'value' : 'other'
    case 'empty':
      return 'empty'
    case 'any':
    case 'fieldMask':
      return 'other'
  }
}

function hasStrangeDefault(field: protobuf.Field): boolean {
  if (!(field.resolvedType instanceof protobuf.Enum) || field.hasPresence || field.repeated || field.map) return false
  return field.typeDefault !== 0
}
