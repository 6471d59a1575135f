import protobuf from 'protobufjs'
import { wellKnown } from './well-known.ts'

/**
 * Why records that were written by either schema cannot be read by `next` while they flow, a line a field; none when
 * nothing but additions tells it from `now`. A field may come, or go for good; its number must never mean anything else. Only
 * what the route reads is looked at.
 */
export function schemaFaults(now: protobuf.Type, next: protobuf.Type): string[] {
  return new Comparison().faults(now, next, [])
}

class Comparison {
  /** Types may hold themselves, and one may be reached by many ways. */
  readonly #seen = new Map<protobuf.Type, Set<protobuf.Type>>()

  faults(now: protobuf.Type, next: protobuf.Type, path: readonly string[]): string[] {
    const seen = this.#seen.get(now)
    if (seen?.has(next)) return []
    this.#seen.set(now, new Set([...(seen ?? []), next]))
    return now.fieldsArray.flatMap((field) => this.#field(field.resolve(), next, [...path, field.name]))
  }

  #field(field: protobuf.Field, next: protobuf.Type, path: readonly string[]): string[] {
    const place = path.join('.')
    const moved = next.fieldsArray.find(({ name, id }) => name === field.name && id !== field.id)
    if (moved !== undefined) {
      return [`${place} had the number ${field.id} and has ${moved.id} now: give a new field a new name`]
    }
    const other = next.fieldsById[field.id]?.resolve()
    if (other === undefined) return []
    if (other.name !== field.name) {
      return [`number ${field.id} was ${place} and is ${other.name} now: give ${other.name} a number of its own`]
    }
    const [was, is] = [formOf(field), formOf(other)]
    if (was !== is) return [`${place} was ${was} and is ${is} now: give the new one another name and number`]
    const [inner, otherInner] = [field.resolvedType, other.resolvedType]
    if (!(inner instanceof protobuf.Type) || !(otherInner instanceof protobuf.Type)) return []
    return this.faults(inner, otherInner, path)
  }
}

/** All that decides how a value is written and what kind of value it is; what a message holds is compared by itself. */
function formOf(field: protobuf.Field): string {
  const value = valueForm(field)
  if (field instanceof protobuf.MapField) return `a map of ${field.keyType} to ${value}`
  return field.repeated ? `repeated ${value}` : value
}

function valueForm({ resolvedType, type, delimited }: protobuf.Field): string {
  if (resolvedType === null) return type
  if (resolvedType instanceof protobuf.Enum) return 'an enum'
  if (wellKnown(resolvedType) !== undefined) return resolvedType.fullName.slice(1)
  return delimited ? 'a group' : 'a message'
}
