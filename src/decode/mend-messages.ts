import protobuf from 'protobufjs'

/** Mends what protobufjs 8.8 decodes wrongly in `type` and in all messages that it can hold. */
export function mendMessages(type: protobuf.Type): void {
  const seen = new Set([type])
  // A Set's iteration goes on to what is added meanwhile.
  for (const each of seen) {
    const fields = each.fieldsArray.map((field) => field.resolve())
    if (fields.length === 0) mendEmpty(each)
    else if (fields.some((field) => field.required || hasWideKeys(field))) mendFields(each, fields)
    for (const { resolvedType } of fields) if (resolvedType instanceof protobuf.Type) seen.add(resolvedType)
  }
}

/**
 * A message without fields fails at an unknown group in the way that protobufjs makes for it: it takes the group's tag for
 * its number. So it gets one of its own.
 */
function mendEmpty(type: protobuf.Type): void {
  // First, because protobufjs forgets `decode` when it makes the constructor.
  const { ctor } = type
  const decode = (
    reader: protobuf.Reader,
    length?: number,
    endTag?: number,
    depth = 0,
    message?: protobuf.Message,
  ): object => {
    const end = length === undefined ? reader.len : reader.pos + length
    const skip = reader.skipType.bind(reader) as (wireType: number, depth: number, id: number) => unknown
    while (reader.pos < end) {
      const tag = reader.uint32()
      if (tag === endTag) break
      skip(tag & 7, depth, tag >>> 3)
    }
    return message ?? new ctor()
  }
  type.decode = decode as unknown as protobuf.Type['decode']
}

/**
 * An entry without a key is one of key 0, and of two entries with one key the last counts. Protobufjs keeps 64-bit keys as
 * eight characters, but an absent one as `0`: two keys, of which nothing tells which came last. Where it knows of no default
 * for the type of a key, it makes the eight characters of 0 for it.
 *
 * And it asks a message for its required fields each time that a part of it comes; what they lack together, `requiredCheck`
 * finds. Where it takes them for optional, it asks for none.
 */
function mendFields(type: protobuf.Type, fields: readonly protobuf.Field[]): void {
  void type.ctor
  const defaults = protobuf.types.defaults as Record<string, unknown>
  const kept = fields.some(hasWideKeys) ? Object.entries(defaults).filter(([name]) => isWide(name)) : []
  const required = fields.filter((field) => field.required)
  for (const [name] of kept) delete defaults[name]
  // Over what their prototype says.
  for (const field of required) Object.defineProperty(field, 'required', { value: false, configurable: true })
  try {
    type.setup()
  } finally {
    Object.assign(defaults, Object.fromEntries(kept))
    for (const field of required) delete (field as { required?: boolean }).required
  }
}

function hasWideKeys(field: protobuf.Field): boolean {
  return field instanceof protobuf.MapField && isWide(field.keyType)
}

function isWide(type: string): boolean {
  return type.endsWith('64')
}
