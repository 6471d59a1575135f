import protobuf from 'protobufjs'
import {
  type AnyColumnBuilder,
  type ListColumnBuilder,
  type NumberColumnBuilder,
  VariableColumnBuilder,
  type WideColumnBuilder,
} from './column-builder.ts'
import { JsonMapping } from './json/json-mapping.ts'
import type { Message } from './message-reader.ts'
import { RecordFault } from './record-fault.ts'
import type { MessagePart, Part, TablePlan, ValuePart } from './table-plan.ts'
import { enumNames, hasPresence } from './reflection.ts'
import { durationFault, fieldOf, refuse, secondsAndNanos, timestampFault, type Words } from './well-known.ts'
import type { WireShapes } from './wire-shape.ts'

/** Appends one row: a value or a null to every column of the message's fields. May throw a RecordFault half way. */
export type AppendMessage = (message: Message) => void

/** Appends a value that is there. */
type Append = (value: unknown) => void

export function messageAppender(
  plan: TablePlan,
  builders: readonly AnyColumnBuilder[],
  shapes: WireShapes,
): AppendMessage {
  const json = new JsonMapping(plan.type.root, plan.enums, shapes)
  return partsAppender(plan.parts, builders, json)
}

function partsAppender(
  parts: readonly Part[],
  builders: readonly AnyColumnBuilder[],
  json: JsonMapping,
): AppendMessage {
  const appenders = parts.map((part) =>
    part.kind === 'message' ? nestedAppender(part, builders, json) : fieldAppender(part, builders[part.column]!, json),
  )
  return (message) => {
    for (const append of appenders) append(message)
  }
}

function nestedAppender(part: MessagePart, builders: readonly AnyColumnBuilder[], json: JsonMapping): AppendMessage {
  const { name } = part.field
  const append = partsAppender(part.parts, builders, json)
  const own = builders.slice(part.firstColumn, part.endColumn)
  return (message) => {
    if (Object.hasOwn(message, name)) withinField(name, append, message[name] as Message)
    else for (const builder of own) builder.appendNull()
  }
}

/** Appends the part's field of a message that has it or not. */
export function fieldAppender(part: ValuePart, builder: AnyColumnBuilder, json: JsonMapping): AppendMessage {
  const { field } = part
  const { name } = field
  const append = valueAppender(part, builder, json)
  // Only conversions can find fault with a value; plain ones need no place to name.
  const mayFail = part.conversion !== 'scalar'
  if (!hasPresence(field)) {
    // Absent is the default, which protobufjs keeps on the prototype.
    return mayFail ? (message) => withinField(name, append, message[name]) : (message) => append(message[name])
  }
  return (message) => {
    if (!Object.hasOwn(message, name)) builder.appendNull()
    else if (mayFail) withinField(name, append, message[name])
    else append(message[name])
  }
}

function withinField<Value>(name: string, append: (value: Value) => void, value: Value): void {
  try {
    append(value)
  } catch (error) {
    if (error instanceof RecordFault) error.path.unshift(name)
    throw error
  }
}

function valueAppender({ field, conversion }: ValuePart, builder: AnyColumnBuilder, json: JsonMapping): Append {
  switch (conversion) {
    case 'scalar':
      return scalarAppender(field.type, builder)
    case 'enumName':
      return enumNameAppender(field.resolvedType as protobuf.Enum, builder as VariableColumnBuilder)
    case 'enumNumber':
      return scalarAppender('int32', builder)
    case 'timestamp':
      return timestampAppender(field.resolvedType as protobuf.Type, builder as WideColumnBuilder)
    case 'timestampNanos':
      return nanosecondsAppender(field.resolvedType as protobuf.Type, builder as WideColumnBuilder)
    case 'duration':
      return durationAppender(field.resolvedType as protobuf.Type, builder as WideColumnBuilder)
    case 'list':
      return listAppender(field, builder as ListColumnBuilder)
    case 'wrapper': {
      const wrapped = fieldOf(field.resolvedType as protobuf.Type, 1)
      const append = scalarAppender(wrapped.type, builder)
      return (message) => append((message as Message)[wrapped.name])
    }
    case 'json': {
      const column = builder as VariableColumnBuilder
      const text = json.column(field)
      return (value) => column.appendString(text(value))
    }
  }
}

function scalarAppender(type: string, builder: AnyColumnBuilder): Append {
  if (type === 'string') return (value) => (builder as VariableColumnBuilder).appendString(value as string)
  if (type === 'bytes') {
    return (value) =>
      (builder as VariableColumnBuilder).appendBytes(value as Uint8Array, 0, (value as Uint8Array).length)
  }
  if (type === 'bool') return (value) => (builder as NumberColumnBuilder).append(value === true ? 1 : 0)
  if (type.endsWith('64')) {
    return (value) => (builder as WideColumnBuilder).appendWords((value as Words).low, (value as Words).high)
  }
  return (value) => (builder as NumberColumnBuilder).append(value as number)
}

function enumNameAppender(type: protobuf.Enum, builder: VariableColumnBuilder): Append {
  const names = enumNames(type)
  return (value) => builder.appendString(names.get(value as number) ?? String(value))
}

function listAppender(field: protobuf.Field, builder: ListColumnBuilder): Append {
  const { items } = builder
  const append = itemAppender(field, items)
  return (values) => {
    for (const value of values as readonly unknown[]) append(value)
    builder.endRow()
  }
}

function itemAppender({ resolvedType, type }: protobuf.Field, items: AnyColumnBuilder): Append {
  if (!(resolvedType instanceof protobuf.Enum)) return scalarAppender(type, items)
  return items instanceof VariableColumnBuilder ? enumNameAppender(resolvedType, items) : scalarAppender('int32', items)
}

function timestampAppender(type: protobuf.Type, builder: WideColumnBuilder): Append {
  const read = secondsAndNanos(type)
  return (message) => {
    const time = read(message as Message)
    refuse(timestampFault(time))
    builder.appendMicroseconds(time.seconds, Math.floor(time.nanos / 1000))
  }
}

function nanosecondsAppender(type: protobuf.Type, builder: WideColumnBuilder): Append {
  const read = secondsAndNanos(type)
  return (message) => {
    const time = read(message as Message)
    refuse(timestampFault(time))
    if (builder.appendNanoseconds(time.seconds, time.nanos)) return
    const year = new Date(time.seconds * 1000).getUTCFullYear()
    throw new RecordFault(
      'OUT_OF_RANGE',
      `a time in the year ${year} is outside what 64 bits of nanoseconds hold, 1677-09-21 to 2262-04-11; ` +
        'decode.timestamps: micros stores it',
    )
  }
}

function durationAppender(type: protobuf.Type, builder: WideColumnBuilder): Append {
  const read = secondsAndNanos(type)
  return (message) => {
    const time = read(message as Message)
    refuse(durationFault(time))
    builder.appendMicroseconds(time.seconds, Math.trunc(time.nanos / 1000))
  }
}
