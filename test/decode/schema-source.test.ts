import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import test, { after, before } from 'node:test'
import protobuf from 'protobufjs'
import descriptor from 'protobufjs/ext/descriptor.js'
import { loadMessageType, type SchemaSource } from '../../src/decode/schema-source.ts'
import { SchemaError } from '../../src/errors.ts'
import { decoderOf, encode, rowOf } from './decoding.ts'

let folder: string
const at = (path: string): string => join(folder, path)

const files: Record<string, string> = {
  'telemetry/v1/reading.proto': `syntax = "proto3"; package telemetry.v1;
    import "google/protobuf/timestamp.proto"; import "shared/unit.proto"; import "telemetry/v1/place.proto";
    message Reading { string device_id = 1; google.protobuf.Timestamp at = 2; shared.Unit unit = 3; Place place = 4; }
    message Alarm { string text = 1; }`,
  'telemetry/v1/place.proto': `syntax = "proto3"; package telemetry.v1; import "shared/unit.proto";
    message Place { double latitude = 1; shared.Unit unit = 2; }`,
  'shared/unit.proto': 'syntax = "proto3"; package shared; message Unit { string name = 1; }',
  'vendored/other/part.proto': 'syntax = "proto3"; package other; message Part { int32 a = 1; }',
  'whole.proto': 'syntax = "proto3"; import "other/part.proto"; message Whole { other.Part part = 1; }',
  'options.proto': `syntax = "proto3"; import "google/protobuf/descriptor.proto";
    extend google.protobuf.FieldOptions { string unit = 50000; }
    message Optioned { double a = 1 [(unit) = "C"]; }`,
  'closed.proto': `syntax = "proto2"; message Closed { optional E kind = 1; repeated E kinds = 2; } enum E { ONE = 1; }`,
  'broken.proto': 'syntax = "proto3";\n\nmessage Broken {\n  int32 = 1;\n}\n',
  'unknown-type.proto': 'syntax = "proto3"; message Lost { Nowhere nothing = 1; }',
  'unsafe.proto': 'syntax = "proto3"; message Unsafe { string __proto__ = 1; }',
  'bom.proto': '\ufeffsyntax = "proto3"; message Marked { int32 a = 1; }',
  'no-set.desc': 'this is no descriptor set',
}

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-schema-'))
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(at(name)), { recursive: true })
    await writeFile(at(name), text)
  }
  await writeFile(at('empty.binpb'), '')
})

after(() => rm(folder, { recursive: true }))

const load = (files: string | string[], message: string, more: Partial<SchemaSource> = {}): Promise<protobuf.Type> =>
  loadMessageType({ files: [files].flat().map(at), message, ...more })

test('a tree of packages loads without includes, names as they are written', async () => {
  const type = await load('telemetry/v1/reading.proto', 'telemetry.v1.Reading')
  assert.deepEqual(Object.keys(type.fields), ['device_id', 'at', 'unit', 'place'])
  assert.equal(type.fields['at']?.resolvedType?.fullName, '.google.protobuf.Timestamp')
})

test('a leading dot in the name of the message is no fault', async () => {
  assert.equal((await load('telemetry/v1/reading.proto', '.telemetry.v1.Reading')).name, 'Reading')
})

test('a file reached by two names is read once', async () => {
  await symlink(at('shared/unit.proto'), at('alias.proto'))
  const type = await load(['alias.proto', 'shared/unit.proto', 'telemetry/v1/reading.proto'], 'shared.Unit')
  assert.equal(type.name, 'Unit')
})

test('imports and files are looked for in the includes', async () => {
  const type = await loadMessageType({ files: ['whole.proto'], includes: [folder, at('vendored')], message: 'Whole' })
  assert.equal(type.fields['part']?.resolvedType?.fullName, '.other.Part')
})

test('custom options load, because descriptor.proto is bundled', async () => {
  assert.equal((await load('options.proto', 'Optioned')).fieldsArray.length, 1)
})

test('a byte order mark is no fault', async () => {
  assert.equal((await load('bom.proto', 'Marked')).name, 'Marked')
})

test('a number that a closed enum does not name is kept', async () => {
  const type = await load('closed.proto', 'Closed')
  const bytes = Buffer.from('08071001100812020109', 'hex')
  assert.deepEqual(rowOf(decoderOf(type), bytes), { kind: '7', kinds: '["ONE",8,"ONE",9]' })
})

test('the Reading of the demo loads and round-trips', async () => {
  const type = await loadMessageType({ files: ['proto/telemetry.proto'], message: 'telemetry.v1.Reading' })
  const bytes = encode(type, { device_id: 'd', quality: 'QUALITY_GOOD', battery: 0.5, location: { latitude: 1.5 } })
  assert.deepEqual(rowOf(decoderOf(type), bytes), {
    device_id: 'd',
    sensor: '',
    sequence: 0n,
    measured_at: null,
    value: 0,
    unit: '',
    quality: 'QUALITY_GOOD',
    battery: 0.5,
    firmware: '',
    location_latitude: 1.5,
    location_longitude: 0,
  })
})

const refused: { name: string; files: string | string[]; message?: string; reason: RegExp }[] = [
  { name: 'a missing file', files: 'absent.proto', reason: /absent\.proto: no such file/ },
  { name: 'a folder', files: 'shared', reason: /shared: cannot be read/ },
  { name: 'no files', files: [], reason: /no schema: `files` names no/ },
  { name: 'what does not parse', files: 'broken.proto', reason: /broken\.proto, line 4: illegal name '='/ },
  {
    name: 'an import that is nowhere',
    files: 'whole.proto',
    reason: /whole\.proto: import "other\/part\.proto" is not found: looked in .*`includes`/,
  },
  { name: 'a type that is nowhere', files: 'unknown-type.proto', reason: /unknown-type\.proto: no such .*Nowhere/ },
  { name: 'a field named __proto__', files: 'unsafe.proto', reason: /unsafe\.proto: a field named __proto__/ },
  {
    name: 'a message of another package',
    files: 'telemetry/v1/reading.proto',
    message: 'Reading',
    reason: /message Reading is not in .*: did you mean telemetry\.v1\.Reading,/,
  },
  {
    name: 'a misspelt message',
    files: 'telemetry/v1/reading.proto',
    message: 'telemetry.v1.Raeding',
    reason: /did you mean telemetry\.v1\.Reading,/,
  },
  {
    name: 'a namespace for a message',
    files: 'telemetry/v1/reading.proto',
    message: 'telemetry.v1',
    reason: /message telemetry\.v1 is not in/,
  },
  { name: 'a property of every object', files: 'bom.proto', message: 'constructor', reason: /did you mean Marked/ },
  { name: 'bytes that are no descriptor set', files: 'no-set.desc', reason: /no-set\.desc: is no binary File/ },
  { name: 'an empty descriptor set', files: 'empty.binpb', reason: /empty\.binpb: holds no files/ },
  { name: 'a missing descriptor set', files: 'absent.pb', reason: /absent\.pb: cannot be read/ },
  { name: 'a mixture', files: ['bom.proto', 'empty.binpb'], reason: /cannot be mixed/ },
]

for (const { name, files, message = 'Any', reason } of refused) {
  test(`refuses ${name}, naming it`, async () => {
    await assert.rejects(load(files, message), (error) => {
      assert.ok(error instanceof SchemaError, String(error))
      assert.match(error.message, reason)
      return true
    })
  })
}

// As protoc writes it: a proto3 file with a map, an optional, a oneof and an import; a proto2 file with a closed enum.
const descriptorFiles = [
  {
    name: 'unit.proto',
    package: 'shared',
    syntax: 'proto3',
    messageType: [{ name: 'Unit', field: [{ name: 'unit_name', number: 1, label: 1, type: 9, jsonName: 'unitName' }] }],
  },
  {
    name: 'reading.proto',
    package: 'telemetry',
    syntax: 'proto3',
    dependency: ['unit.proto', 'google/protobuf/timestamp.proto', 'google/protobuf/struct.proto'],
    messageType: [
      {
        name: 'Reading',
        field: [
          { name: 'device_id', number: 1, label: 1, type: 9, jsonName: 'deviceId' },
          { name: 'at', number: 2, label: 1, type: 11, typeName: '.google.protobuf.Timestamp' },
          { name: 'unit', number: 3, label: 1, type: 11, typeName: '.shared.Unit' },
          { name: 'battery', number: 4, label: 1, type: 2, proto3Optional: true, oneofIndex: 0 },
          { name: 'labels', number: 5, label: 3, type: 11, typeName: '.telemetry.Reading.LabelsEntry' },
          { name: 'more', number: 6, label: 1, type: 11, typeName: '.google.protobuf.Value' },
        ],
        oneofDecl: [{ name: '_battery' }],
        nestedType: [
          {
            name: 'LabelsEntry',
            options: { mapEntry: true },
            field: [
              { name: 'key', number: 1, label: 1, type: 9 },
              { name: 'value', number: 2, label: 1, type: 3 },
            ],
          },
        ],
      },
    ],
  },
  {
    name: 'closed.proto',
    package: 'old',
    syntax: 'proto2',
    messageType: [
      {
        name: 'Closed',
        field: [{ name: 'kind', number: 1, label: 1, type: 14, typeName: '.old.Closed.E' }],
        enumType: [{ name: 'E', value: [{ name: 'ONE', number: 1 }] }],
      },
    ],
  },
]

async function descriptorSet(name: string, set: object[]): Promise<string> {
  const bytes = descriptor.FileDescriptorSet.encode(descriptor.FileDescriptorSet.fromObject({ file: set })).finish()
  await writeFile(at(name), bytes)
  return at(name)
}

test('a descriptor set loads, and what it lacks of the well-known files is added', async () => {
  const descriptorSetPath = await descriptorSet('all.bin', descriptorFiles)
  const type = await loadMessageType({ files: [], descriptorSet: descriptorSetPath, message: 'telemetry.Reading' })
  const decoder = decoderOf(type)
  // device_id "d"; at 1 s; unit.unit_name "C"; battery absent; labels {a: 5}; more: 1.5
  const bytes = Buffer.from(
    '0a0164 12020801 1a030a0143 2a050a01611005 3209 11000000000000f83f'.replaceAll(' ', ''),
    'hex',
  )
  assert.deepEqual(rowOf(decoder, bytes), {
    device_id: 'd',
    at: 1_000_000n,
    unit_unit_name: 'C',
    battery: null,
    labels: '{"a":"5"}',
    more: '1.5',
  })
})

test('a set in two files counts each file once', async () => {
  await descriptorSet('one.desc', descriptorFiles.slice(0, 2))
  await descriptorSet('two.desc', descriptorFiles.slice(0, 1))
  assert.equal((await load(['one.desc', 'two.desc'], 'telemetry.Reading')).fieldsArray.length, 6)
})

test('a number that a closed enum of a set does not name is kept', async () => {
  await descriptorSet('closed.pb', descriptorFiles)
  assert.deepEqual(rowOf(decoderOf(await load('closed.pb', 'old.Closed')), Buffer.from('0807', 'hex')), { kind: '7' })
})

test('a set without what it imports is refused with the cure', async () => {
  await descriptorSet('part.desc', descriptorFiles.slice(1))
  await assert.rejects(load('part.desc', 'telemetry.Reading'), /imports "unit\.proto".*protoc --include_imports/)
})
