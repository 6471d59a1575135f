import { create, type MessageInitShape } from '@bufbuild/protobuf'
import {
  type DescriptorProtoSchema,
  Edition,
  type EnumDescriptorProtoSchema,
  FeatureSet_EnumType,
  FeatureSet_FieldPresence,
  FeatureSet_MessageEncoding,
  FeatureSet_RepeatedFieldEncoding,
  FieldDescriptorProto_Label,
  FieldDescriptorProto_Type,
  type FieldDescriptorProtoSchema,
  type FileDescriptorProto,
  FileDescriptorProtoSchema,
} from '@bufbuild/protobuf/wkt'
import protobuf from 'protobufjs'
import { isClosed } from '../../src/decode/reflection.ts'

export type Syntax = 'proto2' | 'proto3' | 'editions'

const wellKnown = ['any', 'duration', 'empty', 'field_mask', 'struct', 'timestamp', 'wrappers']

/**
 * The messages and enums of a package, or of a root those that are in none, as the descriptor of one file. Our own, because what
 * protobufjs makes names types in a way that others cannot resolve.
 */
export function fileDescriptor(within: protobuf.NamespaceBase, syntax: Syntax): FileDescriptorProto {
  const nested = within.nestedArray
  return create(FileDescriptorProtoSchema, {
    name: 'test.proto',
    package: within.fullName.slice(1),
    syntax,
    ...(syntax === 'editions' ? { edition: Edition.EDITION_2023 } : {}),
    dependency: wellKnown.map((name) => `google/protobuf/${name}.proto`),
    messageType: nested.filter((each) => each instanceof protobuf.Type).map((type) => message(type, syntax)),
    enumType: nested.filter((each) => each instanceof protobuf.Enum).map((each) => enumeration(each, syntax)),
  })
}

function message(type: protobuf.Type, syntax: Syntax): MessageInitShape<typeof DescriptorProtoSchema> {
  // Those that protobuf makes of `optional` in proto3 come last.
  const oneofs = [...type.oneofsArray].sort((one, other) => Number(isSynthetic(one)) - Number(isSynthetic(other)))
  const nested = type.nestedArray
  // An extension's field has a dot in front.
  const fields = type.fieldsArray.filter(({ name }) => !name.startsWith('.'))
  return {
    name: type.name,
    field: fields.map((each) => field(each.resolve(), oneofs, syntax)),
    oneofDecl: oneofs.map(({ name }) => ({ name })),
    nestedType: [
      ...nested.filter((each) => each instanceof protobuf.Type).map((inner) => message(inner, syntax)),
      ...type.fieldsArray
        .filter((each) => each.resolve() instanceof protobuf.MapField)
        .map((each) => entry(each as unknown as protobuf.MapField)),
    ],
    enumType: nested.filter((each) => each instanceof protobuf.Enum).map((each) => enumeration(each, syntax)),
  }
}

const isSynthetic = ({ fieldsArray }: protobuf.OneOf): boolean => isProto3Optional(fieldsArray[0]!)

const isProto3Optional = ({ options }: protobuf.Field): boolean => options?.['proto3_optional'] === true

function field(
  each: protobuf.Field,
  oneofs: readonly protobuf.OneOf[],
  syntax: Syntax,
): MessageInitShape<typeof FieldDescriptorProtoSchema> {
  const { name, id, resolvedType, required, repeated, delimited, packed, partOf } = each
  const labels = FieldDescriptorProto_Label
  const label =
    repeated || each.map ? labels.REPEATED : required && syntax === 'proto2' ? labels.REQUIRED : labels.OPTIONAL
  const isPackable = repeated && !(resolvedType instanceof protobuf.Type) && !['string', 'bytes'].includes(each.type)
  return {
    ...{ name, number: id, label, jsonName: protobuf.util.jsonName(name) },
    ...(each instanceof protobuf.MapField
      ? { type: FieldDescriptorProto_Type.MESSAGE, typeName: `${each.parent!.fullName}.${entryName(each)}` }
      : typed(each, delimited && syntax === 'proto2')),
    ...(partOf === null ? {} : { oneofIndex: oneofs.indexOf(partOf), proto3Optional: isProto3Optional(each) }),
    ...(syntax === 'editions' ? { options: { features: features(each) } } : isPackable ? { options: { packed } } : {}),
  }
}

function features({ required, hasPresence, partOf, repeated, map, packed, delimited, resolvedType }: protobuf.Field) {
  const isMessage = resolvedType instanceof protobuf.Type
  const presence = required
    ? FeatureSet_FieldPresence.LEGACY_REQUIRED
    : hasPresence
      ? FeatureSet_FieldPresence.EXPLICIT
      : FeatureSet_FieldPresence.IMPLICIT
  return {
    ...(repeated || map || partOf !== null || isMessage ? {} : { fieldPresence: presence }),
    ...(repeated
      ? {
          repeatedFieldEncoding: packed
            ? FeatureSet_RepeatedFieldEncoding.PACKED
            : FeatureSet_RepeatedFieldEncoding.EXPANDED,
        }
      : {}),
    ...(delimited ? { messageEncoding: FeatureSet_MessageEncoding.DELIMITED } : {}),
  }
}

function typed({ type, resolvedType }: protobuf.FieldBase, group: boolean) {
  if (resolvedType === null) return { type: scalarType(type) }
  const types = FieldDescriptorProto_Type
  const kind = resolvedType instanceof protobuf.Enum ? types.ENUM : group ? types.GROUP : types.MESSAGE
  return { type: kind, typeName: resolvedType.fullName }
}

function scalarType(name: string): FieldDescriptorProto_Type {
  return FieldDescriptorProto_Type[name.toUpperCase() as keyof typeof FieldDescriptorProto_Type]
}

/** As protoc names it, so that two maps of a message differ. */
const entryName = ({ name }: protobuf.MapField): string => `${name[0]!.toUpperCase()}${name.slice(1)}Entry`

function entry(map: protobuf.MapField): MessageInitShape<typeof DescriptorProtoSchema> {
  const label = FieldDescriptorProto_Label.OPTIONAL
  return {
    name: entryName(map),
    field: [
      { name: 'key', number: 1, label, type: scalarType(map.keyType) },
      { name: 'value', number: 2, label, ...typed(map, false) },
    ],
    options: { mapEntry: true },
  }
}

function enumeration(type: protobuf.Enum, syntax: Syntax): MessageInitShape<typeof EnumDescriptorProtoSchema> {
  const value = Object.entries(type.values).map(([name, number]) => ({ name, number }))
  const enumType = isClosed(type) ? FeatureSet_EnumType.CLOSED : FeatureSet_EnumType.OPEN
  return { name: type.name, value, ...(syntax === 'editions' ? { options: { features: { enumType } } } : {}) }
}
