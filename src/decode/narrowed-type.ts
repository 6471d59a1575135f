import protobuf from 'protobufjs'

/**
 * `type` as if it had been declared with these fields only; all others are unknown to it. protobufjs has no such thing, but
 * makes its own variants of a type in this way: an object that inherits from it.
 */
export function narrowedType(type: protobuf.Type, fields: readonly protobuf.Field[]): protobuf.Type {
  const own = {
    _fieldsArray: [...fields],
    _fieldsById: Object.fromEntries(fields.map((field) => [field.id, field])),
    _ctor: null,
  }
  const narrowed = Object.assign(Object.create(type) as protobuf.Type, own)
  // At once, because what protobufjs would do at the first message it may have done for the type that we inherit from.
  return narrowed.setup()
}

/** `field` as if its message were of `type`. */
export function fieldOfType(field: protobuf.Field, type: protobuf.Type): protobuf.Field {
  return Object.assign(Object.create(field.resolve()) as protobuf.Field, { resolvedType: type })
}
