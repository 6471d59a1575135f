import protobuf from 'protobufjs'
import { ByNumber } from './by-number.ts'

/** How a value is written after its tag, and what must hold for it. */
export type WireKind =
  'bool' | 'int32' | 'uint32' | 'varint64' | 'fixed32' | 'fixed64' | 'string' | 'bytes' | 'message' | 'group' | 'map'

export interface WireField {
  readonly name: string
  readonly kind: WireKind
  readonly wireType: number
  /** May come packed as well as one by one, whichever the schema says. */
  readonly packable: boolean
  /** Of a message or group; of a map its entry, with the fields 1 and 2. */
  readonly shape: WireShape | undefined
}

/** The declared fields of a message, by number. */
export type WireShape = ByNumber<WireField>

/** Shapes of message types, each made once, since types may refer to each other in circles. */
export class WireShapes {
  readonly #known = new Map<protobuf.Type, WireShape>()

  of(type: protobuf.Type): WireShape {
    const known = this.#known.get(type)
    if (known !== undefined) return known
    const shape = new ByNumber<WireField>()
    this.#known.set(type, shape)
    for (const field of type.fieldsArray) {
      field.resolve()
      shape.set(field.id, field instanceof protobuf.MapField ? this.#map(field) : this.#single(field))
    }
    return shape
  }

  #single(field: protobuf.Field): WireField {
    const { resolvedType, name } = field
    if (resolvedType instanceof protobuf.Type) {
      const shape = this.of(resolvedType)
      if (field.delimited) return { name, kind: 'group', wireType: 3, packable: false, shape }
      return { name, kind: 'message', wireType: 2, packable: false, shape }
    }
    const scalar = resolvedType instanceof protobuf.Enum ? 'int32' : field.type
    return wireScalar(name, scalar, field.repeated)
  }

  #map(field: protobuf.MapField): WireField {
    const entry = new ByNumber<WireField>()
    const { resolvedType } = field
    entry.set(1, wireScalar('key', field.keyType, false))
    if (resolvedType instanceof protobuf.Type) {
      entry.set(2, { name: 'value', kind: 'message', wireType: 2, packable: false, shape: this.of(resolvedType) })
    } else {
      entry.set(2, wireScalar('value', resolvedType instanceof protobuf.Enum ? 'int32' : field.type, false))
    }
    return { name: field.name, kind: 'map', wireType: 2, packable: false, shape: entry }
  }
}

const scalarKinds: Readonly<Record<string, WireKind>> = {
  bool: 'bool',
  int32: 'int32',
  sint32: 'uint32',
  uint32: 'uint32',
  int64: 'varint64',
  sint64: 'varint64',
  uint64: 'varint64',
  fixed32: 'fixed32',
  sfixed32: 'fixed32',
  float: 'fixed32',
  fixed64: 'fixed64',
  sfixed64: 'fixed64',
  double: 'fixed64',
  string: 'string',
  bytes: 'bytes',
}

const wireTypes: Readonly<Partial<Record<WireKind, number>>> = { fixed64: 1, string: 2, bytes: 2, fixed32: 5 }

function wireScalar(name: string, type: string, repeated: boolean): WireField {
  const kind = scalarKinds[type]
  if (kind === undefined) throw new TypeError(`unknown scalar type ${type}`)
  return {
    name,
    kind,
    wireType: wireTypes[kind] ?? 0,
    packable: repeated && kind !== 'string' && kind !== 'bytes',
    shape: undefined,
  }
}
