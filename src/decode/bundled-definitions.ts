import { createRequire } from 'node:module'
import protobuf from 'protobufjs'

const require = createRequire(import.meta.url)

/** Shipped beside protobufjs rather than in it: what files with custom options import. */
const besideProtobufjs: ReadonlySet<string> = new Set([
  'google/protobuf/api.proto',
  'google/protobuf/descriptor.proto',
  'google/protobuf/source_context.proto',
  'google/protobuf/type.proto',
  'google/api/annotations.proto',
  'google/api/http.proto',
])

/** Definitions of a well-known import such as `google/protobuf/timestamp.proto`; undefined for any other name. */
export function bundledDefinitions(name: string): Definitions | undefined {
  const common = protobuf.common as unknown as Readonly<Record<string, protobuf.INamespace>>
  const inside = name.startsWith('google/protobuf/') && Object.hasOwn(common, name) ? common[name] : undefined
  if (inside !== undefined) return inside.nested
  if (!besideProtobufjs.has(name)) return undefined
  return (require(`protobufjs/${name.replace(/\.proto$/, '.json')}`) as protobuf.INamespace).nested
}

type Definitions = NonNullable<protobuf.INamespace['nested']>
