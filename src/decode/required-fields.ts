import protobuf from 'protobufjs'
import type { Message } from './message-reader.ts'
import { RecordFault } from './record-fault.ts'

/** What is wrong with a message that lacks a required field, or holds one that does. */
export type RequiredCheck = (message: Message) => RecordFault | undefined

/**
 * The check for messages of `type`; undefined when nothing that they can hold has required fields. Asked of the whole: a
 * message that comes in several parts needs to have them only when the parts are merged.
 */
export function requiredCheck(type: protobuf.Type): RequiredCheck | undefined {
  const asking = typesThatAsk(type)
  if (!asking.has(type)) return undefined
  // Types may hold themselves: those within are looked up when they are first met.
  const checks = new Map<protobuf.Type, RequiredCheck>()
  for (const each of asking) checks.set(each, checkOf(each, asking, checks))
  return checks.get(type)
}

function checkOf(
  type: protobuf.Type,
  asking: ReadonlySet<protobuf.Type>,
  checks: ReadonlyMap<protobuf.Type, RequiredCheck>,
): RequiredCheck {
  const required = type.fieldsArray.filter((field) => field.required).map(({ name }) => name)
  const inner = type.fieldsArray.filter((field) => asking.has(field.resolvedType as protobuf.Type))
  return (message) => {
    for (const name of required) {
      if (!Object.hasOwn(message, name)) {
        return new RecordFault('MISSING_REQUIRED', `required field ${name} is missing`)
      }
    }
    for (const field of inner) {
      if (!Object.hasOwn(message, field.name)) continue
      const check = checks.get(field.resolvedType as protobuf.Type)!
      for (const each of messagesIn(field, message[field.name])) {
        const fault = check(each)
        if (fault === undefined) continue
        fault.path.unshift(field.name)
        return fault
      }
    }
    return undefined
  }
}

function messagesIn(field: protobuf.Field, value: unknown): readonly Message[] {
  if (field.map) return Object.values(value as object) as Message[]
  return field.repeated ? (value as Message[]) : [value as Message]
}

/** Of `type` and all that it can hold: those that have required fields, or can hold such. */
function typesThatAsk(type: protobuf.Type): ReadonlySet<protobuf.Type> {
  const all = new Set([type])
  // A Set's iteration goes on to what is added meanwhile.
  for (const each of all) {
    for (const field of each.fieldsArray) {
      const { resolvedType } = field.resolve()
      if (resolvedType instanceof protobuf.Type) all.add(resolvedType)
    }
  }
  const asking = new Set([...all].filter((each) => each.fieldsArray.some((field) => field.required)))
  for (let found = -1; found < asking.size;) {
    found = asking.size
    for (const each of all) {
      if (each.fieldsArray.some((field) => asking.has(field.resolvedType as protobuf.Type))) asking.add(each)
    }
  }
  return asking
}
