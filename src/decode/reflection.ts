import protobuf from 'protobufjs'

/** The message type of that full name, without a leading dot, and only that: no search outwards as in .proto files. */
export function findType(root: protobuf.Root, name: string): protobuf.Type | undefined {
  let at: protobuf.ReflectionObject | null = root
  for (const part of name.split('.')) {
    at = at instanceof protobuf.Namespace ? at.get(part) : null
    if (at === null) return undefined
  }
  return at instanceof protobuf.Type ? at : undefined
}

/** The name of each number of an enum: the one declared first, where aliases share a number. */
export function enumNames(type: protobuf.Enum): ReadonlyMap<number, string> {
  const names = new Map<number, string>()
  for (const [name, number] of Object.entries(type.values)) if (!names.has(number)) names.set(number, name)
  return names
}

/** Whether the field can be absent. protobufjs' own `hasPresence` says no of a proto3 message, which can. */
export function hasPresence(field: protobuf.Field): boolean {
  if (field.repeated || field.map) return false
  return field.resolvedType instanceof protobuf.Type || Boolean(field.hasPresence)
}
