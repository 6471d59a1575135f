import protobuf from 'protobufjs'
import descriptor from 'protobufjs/ext/descriptor.js'
import { SchemaError } from '../errors.ts'
import { bundledDefinitions } from './bundled-definitions.ts'
import type { SchemaFiles } from './schema-files.ts'

/** Reads binary FileDescriptorSets into one root; a file that is in several of them counts once. */
export async function loadDescriptorSets(paths: readonly string[], from: SchemaFiles): Promise<protobuf.Root> {
  const files = new Map<string, descriptor.IFileDescriptorProto>()
  for (const path of paths) {
    for (const file of await readDescriptorSet(path, from)) {
      const name = file.name ?? ''
      if (!files.has(name)) files.set(name, file)
    }
  }
  for (const file of files.values()) {
    openEnums(file.enumType ?? [])
    prepareMessages(file.messageType ?? [], paths)
  }
  try {
    return withWellKnown(files, paths)
  } catch (cause) {
    if (cause instanceof SchemaError) throw cause
    throw new SchemaError(`${paths.join(', ')}: ${(cause as Error).message}`, { cause })
  }
}

async function readDescriptorSet(path: string, from: SchemaFiles): Promise<readonly descriptor.IFileDescriptorProto[]> {
  const bytes = await from.read(path).catch((cause: unknown) => {
    throw new SchemaError(`${path}: cannot be read`, { cause })
  })
  let files: readonly descriptor.IFileDescriptorProto[] | undefined
  try {
    const set = descriptor.FileDescriptorSet.decode(bytes) as unknown as descriptor.IFileDescriptorSet
    files = set.file
  } catch (cause) {
    throw new SchemaError(`${path}: is no binary FileDescriptorSet`, { cause })
  }
  if (files === undefined || files.length === 0) throw new SchemaError(`${path}: holds no files`)
  return files
}

/**
 * Sets written without --include_imports lack the well-known files; those we have. The set is turned round by way of
 * protobufjs' own JSON, because `fromDescriptor` resolves at once and fails on what is still to be added.
 */
function withWellKnown(files: Map<string, descriptor.IFileDescriptorProto>, paths: readonly string[]): protobuf.Root {
  for (const { name, dependency } of [...files.values()]) {
    for (const needed of dependencyNames(dependency)) {
      if (files.has(needed)) continue
      const bundled = bundledDefinitions(needed)
      if (bundled === undefined) {
        throw new SchemaError(
          `${paths.join(', ')}: ${name} imports "${needed}", which the set does not hold; ` +
            'write it with protoc --include_imports',
        )
      }
      const root = protobuf.Root.fromJSON({ nested: bundled })
      for (const file of (root.toDescriptor('proto3') as unknown as descriptor.IFileDescriptorSet).file) {
        files.set(needed, { ...file, name: needed, syntax: 'proto3' })
      }
    }
  }
  const set = descriptor.FileDescriptorSet.create({ file: [...files.values()] })
  return protobuf.Root.fromDescriptor(set as unknown as descriptor.IFileDescriptorSet, { keepCase: true })
}

function dependencyNames(dependency: unknown): readonly string[] {
  return Array.isArray(dependency) ? (dependency as string[]) : []
}

function prepareMessages(messages: readonly descriptor.IDescriptorProto[], paths: readonly string[]): void {
  for (const message of messages) {
    if (message.field?.some(({ name }) => name === '__proto__')) {
      throw new SchemaError(`${paths.join(', ')}: a field named __proto__ cannot be read; rename it (its number stays)`)
    }
    openEnums(message.enumType ?? [])
    prepareMessages(message.nestedType ?? [], paths)
  }
}

/** Makes every enum open, for the reason given in proto-files.ts. 1 is FeatureSet.EnumType.OPEN. */
function openEnums(enums: readonly descriptor.IEnumDescriptorProto[]): void {
  for (const each of enums) {
    const options = (each.options ?? {}) as Record<string, unknown>
    options['features'] = { ...(options['features'] as object | undefined), enumType: 1 }
    each.options = options
  }
}
