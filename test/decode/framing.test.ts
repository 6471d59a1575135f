import assert from 'node:assert/strict'
import { test } from 'node:test'
import protobuf from 'protobufjs'
import { createCompiledDecoder } from '../../src/decode/decoder-compiler.ts'
import type { Framing } from '../../src/decode/framing.ts'
import { createReferenceDecoder } from '../../src/decode/reference-decoder.ts'
import { planTable } from '../../src/decode/table-plan.ts'
import { packSlab, SlabView } from '../../src/kafka/slab.ts'
import { appendRules } from '../../src/decode/columns.ts'

const { root } = protobuf.parse('syntax = "proto3"; message Test { string a = 1; }', { keepCase: true })
const plan = planTable(root.resolveAll().lookupType('Test'))

// The message is `0a0161`: a is "a".
const cases: { framing: Framing; name: string; hex: string; reason?: RegExp }[] = [
  { framing: 'confluent', name: 'the first message of a schema', hex: '00 00000007 00 0a0161' },
  { framing: 'confluent', name: 'a nested message', hex: '00 00000007 04 02 06 0a0161' },
  { framing: 'confluent', name: 'an index of two bytes', hex: '00 00000007 02 8001 0a0161' },
  { framing: 'confluent', name: 'an empty message', hex: '00 00000007 00' },
  { framing: 'confluent', name: 'a bare message', hex: '0a0161', reason: /^the value does not begin with Confluent/ },
  { framing: 'confluent', name: 'an empty value', hex: '', reason: /^the value does not begin with Confluent/ },
  { framing: 'confluent', name: 'no indexes', hex: '00 00000007', reason: /^the value does not begin with Confluent/ },
  { framing: 'confluent', name: 'indexes cut off', hex: '00 00000007 04 02', reason: /^the value does not begin/ },
  { framing: 'confluent', name: 'a count below zero', hex: '00 00000007 01', reason: /^the value does not begin/ },
  { framing: 'confluent', name: 'a huge count', hex: '00 00000007 feffffff0f', reason: /^the value does not begin/ },
  {
    framing: 'confluent',
    name: 'a message that is cut off, its byte counted from the beginning of the value',
    hex: '00 00000007 00 0a0561',
    reason: /^a: 5 bytes expected, 1 are left \(at byte 8\)$/,
  },
  { framing: 'lengthPrefixed', name: 'a length', hex: '03 0a0161' },
  { framing: 'lengthPrefixed', name: 'an empty message', hex: '00' },
  { framing: 'lengthPrefixed', name: 'a length in two bytes', hex: '8300 0a0161' },
  { framing: 'lengthPrefixed', name: 'bytes after the message', hex: '03 0a016100', reason: /decode\.framing: none/ },
  {
    framing: 'lengthPrefixed',
    name: 'a bare message',
    hex: '0a0161',
    reason: /^the value does not begin with the length/,
  },
]

for (const create of [createCompiledDecoder, createReferenceDecoder]) {
  for (const { framing, name, hex, reason } of cases) {
    const verdict = reason === undefined ? 'takes' : 'refuses'
    test(`${create.name} with ${framing} framing ${verdict} ${name}`, () => {
      const decoder = create(plan, { tableName: 'test', tableRules: appendRules, framing })
      // Neighbours show that a record at fault disturbs nothing.
      const good = framing === 'confluent' ? '00000000ff000a0162' : '030a0162'
      const values = [good, hex.replaceAll(' ', ''), good].map((each) => Buffer.from(each, 'hex'))
      const records = values.map((value, offset) => {
        return { offset, timestamp: -1, key: Buffer.from('key'), value, headers: new Uint8Array(0) }
      })
      const { rowCount, bad, columns } = decoder.decode([new SlabView(packSlab(records))], { topic: 't', partition: 0 })
      const [column] = columns
      assert(column?.kind === 'variable')
      if (reason === undefined) {
        assert.equal(rowCount, 3)
        assert.equal(Buffer.from(column.bytes).toString(), hex.includes('0a0161') ? 'bab' : 'bb')
      } else {
        assert.deepEqual([rowCount, bad.length, bad[0]?.offset], [2, 1, 1])
        assert.match(bad[0]!.reason, reason)
        assert.equal(Buffer.from(column.bytes).toString(), 'bb')
      }
    })
  }
}
