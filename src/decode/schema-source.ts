import protobuf from 'protobufjs'
import { distance } from 'fastest-levenshtein'
import { SchemaError } from '../errors.ts'
import { loadDescriptorSets } from './descriptor-set.ts'
import { loadProtoFiles } from './proto-files.ts'
import { findType } from './reflection.ts'
import { SchemaFiles } from './schema-files.ts'

/** Where a message type comes from: .proto files, or what `protoc --include_imports --descriptor_set_out` wrote. */
export interface SchemaSource {
  /** .proto files, or binary FileDescriptorSets (`.desc`, `.binpb`, `.pb`), never both. */
  readonly files: readonly string[]
  /** Folders that imports, and `files` that are not found as they stand, are looked for in, in order. */
  readonly includes?: readonly string[]
  /** A FileDescriptorSet under any name, instead of `files`. */
  readonly descriptorSet?: string
  /** Full name of the message type: `telemetry.v1.Reading`. */
  readonly message: string
}

/**
 * Loads a message type with all it refers to, resolved. Reads from the disk or a snapshot only, never from a
 * network. Field names stay
 * as they are written. Rejects with SchemaError: a file or import is missing or does not parse, a type is unknown, or
 * the message is not among those loaded.
 */
export async function loadMessageType(source: SchemaSource, from = new SchemaFiles()): Promise<protobuf.Type> {
  const root = await loadRoot(source, from)
  const name = source.message.replace(/^\./, '')
  const found = findType(root, name)
  if (found !== undefined) return found
  const near = nearest(name, messageNames(root))
  throw new SchemaError(
    `message ${name} is not in ${loadedFrom(source).join(', ')}: ` +
      (near.length === 0 ? 'no message is' : `did you mean ${near.join(', ')}?`),
  )
}

async function loadRoot(source: SchemaSource, from: SchemaFiles): Promise<protobuf.Root> {
  const files = loadedFrom(source)
  if (files.length === 0) throw new SchemaError('no schema: `files` names no .proto file and no descriptor set')
  const sets = source.descriptorSet === undefined ? files.filter(isDescriptorSet) : files
  if (sets.length > 0 && sets.length < files.length) {
    throw new SchemaError(`${files.join(', ')}: .proto files and descriptor sets cannot be mixed in one route`)
  }
  const root =
    sets.length > 0 ? await loadDescriptorSets(sets, from) : await loadProtoFiles(files, source.includes ?? [], from)
  try {
    root.resolveAll()
    for (const type of types(root)) void type.fieldsById
  } catch (cause) {
    throw new SchemaError(`${files.join(', ')}: ${(cause as Error).message}`, { cause })
  }
  return root
}

function loadedFrom({ files, descriptorSet }: SchemaSource): readonly string[] {
  return descriptorSet === undefined ? files : [...files, descriptorSet]
}

function isDescriptorSet(file: string): boolean {
  return /\.(desc|binpb|pb)$/.test(file)
}

function* types(namespace: protobuf.NamespaceBase): Generator<protobuf.Type> {
  for (const nested of namespace.nestedArray) {
    if (nested instanceof protobuf.Type) yield nested
    if (nested instanceof protobuf.Namespace) yield* types(nested)
  }
}

function messageNames(root: protobuf.Root): string[] {
  return [...types(root)]
    .map(({ fullName }) => fullName.slice(1))
    .filter((name) => !name.startsWith('google.protobuf.'))
}

/** Up to three names that `name` may have meant: the same last part first, then by edits. */
function nearest(name: string, among: readonly string[]): string[] {
  const last = (path: string): string => path.slice(path.lastIndexOf('.') + 1).toLowerCase()
  const score = (candidate: string): number =>
    last(candidate) === last(name) ? 0 : Math.min(distance(candidate, name), distance(last(candidate), last(name)) + 1)
  return [...among].sort((a, b) => score(a) - score(b) || (a < b ? -1 : 1)).slice(0, 3)
}
