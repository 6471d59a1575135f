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

/** The oneof that a field is an arm of. Of proto3's `optional`, protobuf makes one with a single arm: that is none. */
export function realOneof(field: protobuf.Field): protobuf.OneOf | undefined {
  return field.partOf !== null && field.partOf.oneof.length > 1 ? field.partOf : undefined
}

/** The field's part of a column's name; that of an extension is its full name, with `_` for dots. */
export function columnNameOf(field: protobuf.Field): string {
  return field.name.replace(/^\./, '').replaceAll('.', '_')
}

/** Whether an enum takes only the numbers it declares, as those of proto2 do; others are unknown fields then. */
export function isClosed(type: protobuf.Enum): boolean {
  return (type as unknown as { readonly _features: { readonly enum_type?: string } })._features.enum_type === 'CLOSED'
}
