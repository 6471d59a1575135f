import assert from 'node:assert/strict'
import test from 'node:test'
import { framingHint } from '../../src/decode/framing-hint.ts'

const cases: { name: string; hex: string; hint: RegExp | undefined }[] = [
  {
    name: 'Confluent',
    hex: '00 00000007 00 0a0161',
    hint: /starts with 00 00 00 00 07: .* schema id 7, .*: set decode\.framing: confluent$/,
  },
  { name: 'Confluent with a GUID', hex: `01 ${'ab'.repeat(16)} 00 0a01`, hint: /schema GUID.*no setting/ },
  { name: 'gRPC', hex: '00 00000003 0a0161', hint: /gRPC/ },
  { name: 'compressed gRPC', hex: '01 00000003 0a0161', hint: /gRPC/ },
  { name: 'a 4-byte length', hex: '00000003 0a0161', hint: /schema id|4-byte length/ },
  { name: 'a 4-byte length above 2^24', hex: '01000000', hint: undefined },
  {
    name: 'a varint length',
    hex: '03 0a0161',
    hint: /starts with 03 0a: .*length prefix \(delimited.*: set decode\.framing: lengthPrefixed$/,
  },
  { name: 'JSON', hex: Buffer.from('{"a":1}').toString('hex'), hint: /JSON/ },
  { name: 'a JSON list', hex: Buffer.from('[1]').toString('hex'), hint: /JSON/ },
  { name: 'gzip', hex: '1f8b0800', hint: /gzip/ },
  { name: 'zstd', hex: '28b52ffd00', hint: /zstd/ },
  { name: 'nothing', hex: '', hint: undefined },
  { name: 'one byte', hex: '08', hint: undefined },
  { name: 'a message cut off', hex: '0a05616263', hint: undefined },
]

for (const { name, hex, hint } of cases) {
  test(`${hint === undefined ? 'makes nothing of' : 'recognises'} ${name}`, () => {
    const said = framingHint(Buffer.from(hex.replaceAll(' ', ''), 'hex'))
    if (hint === undefined) assert.equal(said, undefined)
    else assert.match(said ?? '', hint)
  })
}
