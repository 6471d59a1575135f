import { distance } from 'fastest-levenshtein'
import protobuf from 'protobufjs'
import { SchemaError } from '../errors.ts'
import { fieldOfType, narrowedType } from './narrowed-type.ts'
import { columnNameOf, realOneof } from './reflection.ts'

/**
 * A column that a route asks for: the path of a field with dots (`location.latitude`), or the name that its column has
 * without a choice (`location_latitude`); of a message it means all its fields. With `as` it gets another name.
 */
export type ColumnChoice = string | { readonly from: string; readonly as: string }

/** A message type cut down to what is chosen of it. */
export interface Chosen {
  readonly type: protobuf.Type
  /** Fields that the type keeps but no column shows: see `chooseColumns`. */
  readonly hidden: ReadonlySet<protobuf.Field>
  /** New names, by the path of the field with dots; those of metadata by the name of their column. */
  readonly names: ReadonlyMap<string, string>
}

/**
 * Cuts `type` down to the chosen fields, in the order of the choice; those of one message stay together. What is not chosen
 * is like a field that is not declared: skipped, and neither checked nor required. Except the other arms of a oneof of
 * which an arm is chosen: they must be known, because one that comes later makes the chosen one absent.
 *
 * `opens` tells whether a field's message is spread over columns. Throws SchemaError for a field that is not there, with
 * the nearest that is.
 */
export function chooseColumns(
  type: protobuf.Type,
  choices: readonly ColumnChoice[],
  metadata: readonly string[],
  opens: (field: protobuf.Field, depth: number) => boolean,
): Chosen {
  const names = new Map<string, string>()
  const seen = new Set<string>()
  const root = new Branch(type)
  for (const choice of choices) {
    const { from, as } = typeof choice === 'string' ? { from: choice, as: undefined } : choice
    const path = metadata.includes(from) ? undefined : findPath(type, from, opens)
    const key = path?.map(columnNameOf).join('.') ?? from
    if (seen.has(key)) throw new SchemaError(`columns: ${from} is chosen twice`)
    seen.add(key)
    if (as !== undefined) names.set(key, as)
    if (path !== undefined) root.add(path)
  }
  const hidden = new Set<protobuf.Field>()
  // Only metadata were named: there is nothing of the message to be shown.
  return { type: root.narrowed(hidden), hidden, names }
}

/** A message of which some fields are chosen. */
class Branch {
  readonly #type: protobuf.Type
  /** The chosen fields; undefined: the whole of it. */
  readonly #fields = new Map<protobuf.Field, Branch | undefined>()

  constructor(type: protobuf.Type) {
    this.#type = type
  }

  add([field, ...rest]: readonly protobuf.Field[]): void {
    if (rest.length === 0) {
      this.#fields.set(field!, undefined)
      return
    }
    const known = this.#fields.get(field!)
    // The whole message is chosen already.
    if (known === undefined && this.#fields.has(field!)) return
    const branch = known ?? new Branch(field!.resolvedType as protobuf.Type)
    this.#fields.set(field!, branch)
    branch.add(rest)
  }

  narrowed(hidden: Set<protobuf.Field>): protobuf.Type {
    const fields = [...this.#fields].map(([field, branch]) =>
      branch === undefined ? field : fieldOfType(field, branch.narrowed(hidden)),
    )
    for (const other of this.#otherArms()) {
      const type = other.resolve().resolvedType
      // What is in the message does not matter, only that it came.
      const bare = type instanceof protobuf.Type ? fieldOfType(other, narrowedType(type, [])) : other
      hidden.add(bare)
      fields.push(bare)
    }
    return narrowedType(this.#type, fields)
  }

  #otherArms(): protobuf.Field[] {
    const oneofs = new Set([...this.#fields.keys()].map(realOneof))
    return this.#type.fieldsArray.filter((field) => {
      const oneof = realOneof(field)
      return oneof !== undefined && oneofs.has(oneof) && !this.#fields.has(field)
    })
  }
}

type Opens = (field: protobuf.Field, depth: number) => boolean

function findPath(type: protobuf.Type, from: string, opens: Opens): protobuf.Field[] {
  const path = byDots(type, from.split('.'), opens) ?? byName(type, from, opens, 0)
  if (path !== undefined) return path
  const known = knownPaths(type, opens)
  const nearest = known.reduce<string | undefined>(
    (best, each) => (best === undefined || distance(each, from) < distance(best, from) ? each : best),
    undefined,
  )
  const inside = byDots(type, from.split('.').slice(0, -1), opens)?.at(-1)
  if (inside !== undefined && !opens(inside, from.split('.').length - 2)) {
    throw new SchemaError(`columns: ${inside.name} is one column, so ${from} is none: choose the whole of it`)
  }
  const hint = nearest === undefined ? '' : `; the nearest is ${nearest}`
  throw new SchemaError(`columns: ${type.fullName.slice(1)} has no field ${from}${hint}`)
}

function byDots(type: protobuf.Type, parts: readonly string[], opens: Opens): protobuf.Field[] | undefined {
  const path: protobuf.Field[] = []
  for (const part of parts) {
    const last = path.at(-1)
    if (last !== undefined && !opens(last, path.length - 1)) return undefined
    const within = last === undefined ? type : (last.resolvedType as protobuf.Type)
    const field = within.fieldsArray.find((each) => columnNameOf(each) === part)
    if (field === undefined) return undefined
    path.push(field.resolve())
  }
  return path.length === 0 ? undefined : path
}

/** By the name of the column: `a_b` may be the field `a_b`, or `b` in the message `a`. */
function byName(type: protobuf.Type, name: string, opens: Opens, depth: number): protobuf.Field[] | undefined {
  for (const field of type.fieldsArray) {
    const own = columnNameOf(field.resolve())
    if (own === name) return [field]
    if (!name.startsWith(`${own}_`) || !opens(field, depth)) continue
    const rest = byName(field.resolvedType as protobuf.Type, name.slice(own.length + 1), opens, depth + 1)
    if (rest !== undefined) return [field, ...rest]
  }
  return undefined
}

/** So many names are looked at for the nearest. */
const knownMax = 4096

function knownPaths(type: protobuf.Type, opens: Opens): string[] {
  const paths: string[] = []
  const visit = (within: protobuf.Type, prefix: string, depth: number): void => {
    for (const field of within.fieldsArray) {
      if (paths.length >= knownMax) return
      const path = prefix + columnNameOf(field.resolve())
      paths.push(path)
      if (opens(field, depth)) visit(field.resolvedType as protobuf.Type, `${path}.`, depth + 1)
    }
  }
  visit(type, '', 0)
  return paths
}
