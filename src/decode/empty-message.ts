import protobuf from 'protobufjs'

/**
 * Gives all messages without fields, among those that `type` can hold, a way of their own to be decoded. The one that
 * protobufjs 8.8 makes for them fails at an unknown group: it takes the group's tag for its number.
 */
export function mendEmptyMessages(type: protobuf.Type): void {
  const seen = new Set([type])
  // A Set's iteration goes on to what is added meanwhile.
  for (const each of seen) {
    if (each.fieldsArray.length === 0) mend(each)
    for (const { resolvedType } of each.fieldsArray.map((field) => field.resolve())) {
      if (resolvedType instanceof protobuf.Type) seen.add(resolvedType)
    }
  }
}

function mend(type: protobuf.Type): void {
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
