import assert from 'node:assert/strict'
import { test } from 'node:test'
import protobuf from 'protobufjs'
import { schemaFaults } from '../../src/decode/schema-change.ts'

function typeOf(fields: string): protobuf.Type {
  const others =
    'message Inner { int32 x = 1; } message Other { string x = 1; } message Wider { int32 x = 1; int32 y = 2; }'
  const source = `syntax = "proto3"; import "google/protobuf/timestamp.proto"; ${others}
    enum Colour { RED = 0; } message Test { ${fields} } message Loop { Loop next = 1; int32 a = 2; }`
  const { root } = protobuf.parse(source, { keepCase: true })
  root.addJSON(protobuf.common.get('google/protobuf/timestamp.proto')!.nested!)
  return root.resolveAll().lookupType('Test')
}

const cases: { name: string; now: string; next: string; fault?: RegExp }[] = [
  { name: 'a new field', now: 'int32 a = 1;', next: 'int32 a = 1; string b = 2;' },
  { name: 'a new field in a nested message', now: 'Inner a = 1;', next: 'Wider a = 1;' },
  { name: 'a field that has gone for good', now: 'int32 a = 1; int32 b = 2;', next: 'int32 a = 1; reserved 2;' },
  { name: 'a field that can be absent now', now: 'int32 a = 1;', next: 'optional int32 a = 1;' },
  { name: 'another order', now: 'int32 a = 1; int32 b = 2;', next: 'int32 b = 2; int32 a = 1;' },
  { name: 'a message that holds itself', now: 'Loop a = 1;', next: 'Loop a = 1;' },
  { name: 'another type', now: 'int32 a = 1;', next: 'string a = 1;', fault: /^a was int32 and is string now/ },
  { name: 'another encoding', now: 'int32 a = 1;', next: 'sint32 a = 1;', fault: /^a was int32 and is sint32 now/ },
  { name: 'another number', now: 'int32 a = 1;', next: 'int32 a = 2;', fault: /^a had the number 1 and has 2 now/ },
  { name: 'another name', now: 'int32 a = 1;', next: 'int32 b = 1;', fault: /^number 1 was a and is b now/ },
  {
    name: 'a list of what was one',
    now: 'int32 a = 1;',
    next: 'repeated int32 a = 1;',
    fault: /^a was int32 and is repeated int32 now/,
  },
  {
    name: 'an enum of what was a number',
    now: 'int32 a = 1;',
    next: 'Colour a = 1;',
    fault: /^a was int32 and is an enum now/,
  },
  {
    name: 'a change within a nested message',
    now: 'Inner a = 1;',
    next: 'Other a = 1;',
    fault: /^a\.x was int32 and is string now/,
  },
  {
    name: 'a time that was a message',
    now: 'Inner a = 1;',
    next: 'google.protobuf.Timestamp a = 1;',
    fault: /^a was a message and is google\.protobuf\.Timestamp now/,
  },
  {
    name: 'a map of other keys',
    now: 'map<int32, Inner> a = 1;',
    next: 'map<string, Inner> a = 1;',
    fault: /^a was a map of int32 to a message and is a map of string to a message now/,
  },
]

for (const { name, now, next, fault } of cases) {
  test(`${fault === undefined ? 'takes' : 'refuses'} ${name}`, () => {
    const faults = schemaFaults(typeOf(now), typeOf(next))
    assert.equal(faults.length, fault === undefined ? 0 : 1, faults.join('; '))
    if (fault) assert.match(faults[0]!, fault)
  })
}
