import { dirname, join, resolve } from 'node:path'
import protobuf from 'protobufjs'
import { SchemaError } from '../errors.ts'
import { bundledDefinitions } from './bundled-definitions.ts'
import type { SchemaFiles } from './schema-files.ts'

/** Parses .proto files and all they import into one root, not yet resolved. */
export async function loadProtoFiles(
  files: readonly string[],
  includes: readonly string[],
  from: SchemaFiles,
): Promise<protobuf.Root> {
  const loader = new ProtoLoader(includes, from)
  for (const file of files) await loader.load(file)
  openEnums(loader.root)
  return loader.root
}

/** Imports are read once each; a bound, because a generated tree of imports could be endless. */
const filesMax = 10_000

class ProtoLoader {
  readonly root = new protobuf.Root()
  readonly #includes: readonly string[]
  readonly #from: SchemaFiles
  /** Real paths and bundled names: one file may be reached by many names, and must be parsed once. */
  readonly #loaded = new Set<string>()

  constructor(includes: readonly string[], from: SchemaFiles) {
    this.#includes = includes
    this.#from = from
  }

  async load(file: string): Promise<void> {
    const candidates = [resolve(file), ...this.#includes.map((include) => resolve(include, file))]
    const path = await this.#from.find(candidates)
    if (path === undefined) {
      const also = this.#includes.length === 0 ? '' : `, nor in ${this.#includes.join(', ')}`
      throw new SchemaError(`${file}: no such file${also}`)
    }
    await this.#parse(path, file)
  }

  async #parse(path: string, shownAs: string): Promise<void> {
    if (this.#loaded.has(path)) return
    if (this.#loaded.size >= filesMax) throw new SchemaError(`${shownAs}: over ${filesMax} files are imported`)
    this.#loaded.add(path)
    const bytes = await this.#from.read(path).catch((cause: unknown) => {
      throw new SchemaError(`${shownAs}: cannot be read`, { cause })
    })
    const source = new TextDecoder().decode(bytes)
    const { imports = [], weakImports = [] } = parseProto(source, shownAs, this.root)
    for (const name of [...imports, ...weakImports]) await this.#import(name, path, shownAs)
  }

  async #import(name: string, importer: string, importerShownAs: string): Promise<void> {
    const bundled = bundledDefinitions(name)
    if (bundled !== undefined) {
      if (!this.#loaded.has(name)) this.root.addJSON(bundled)
      this.#loaded.add(name)
      return
    }
    const path = await this.#from.find([
      ...this.#includes.map((include) => resolve(include, name)),
      ...foldersUpFrom(importer).map((folder) => join(folder, name)),
    ])
    if (path === undefined) {
      const includes = this.#includes.length === 0 ? '' : `in ${this.#includes.join(', ')}, and `
      throw new SchemaError(
        `${importerShownAs}: import "${name}" is not found: looked ${includes}in the file's own folder and those above ` +
          'it; name the folder it is relative to in `includes`',
      )
    }
    await this.#parse(path, name)
  }
}

/** The file's folder first, so that the nearest wins: a tree of packages needs no `includes` then. */
function foldersUpFrom(file: string): string[] {
  const folders: string[] = []
  for (let folder = dirname(file); folders.at(-1) !== folder; folder = dirname(folder)) folders.push(folder)
  return folders
}

function parseProto(source: string, shownAs: string, root: protobuf.Root): protobuf.IParserResult {
  refuseUnsafeName(source, shownAs)
  try {
    return protobuf.parse(source, root, { keepCase: true })
  } catch (cause) {
    const { message } = cause as Error
    const line = /\(line (\d+)\)/.exec(message)?.[1]
    const place = line === undefined ? shownAs : `${shownAs}, line ${line}`
    throw new SchemaError(`${place}: ${message.replace(/ ?\(line \d+\)/, '')}`, { cause })
  }
}

/** protobufjs drops what is called `__proto__` without a word, and its values would be lost likewise. */
function refuseUnsafeName(source: string, shownAs: string): void {
  if (!/\b__proto__\s*=/.test(source)) return
  throw new SchemaError(`${shownAs}: a field named __proto__ cannot be read; rename it (its number stays)`)
}

/**
 * Makes every enum open, as proto3's are: protobufjs, as the standard allows, discards numbers that a proto2 (closed) enum
 * does not name, and a value must never be lost because the schema is older than the producer.
 */
function openEnums(namespace: protobuf.NamespaceBase): void {
  for (const nested of namespace.nestedArray) {
    if (nested instanceof protobuf.Enum) nested.setOption('features.enum_type', 'OPEN')
    if (nested instanceof protobuf.Namespace) openEnums(nested)
  }
}
