import protobuf from 'protobufjs'

/**
 * Decisions read from bytes that fast-check makes: a failing case shrinks by having fewer and smaller ones, and zero is
 * always the plainest choice.
 */
export class Choices {
  readonly #bytes: Uint8Array
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  /** 0 .. count - 1, below 65536; 0 when the bytes are used up. */
  next(count: number): number {
    const value = this.#byte() + (count > 256 ? this.#byte() * 256 : 0)
    return value % count
  }

  of<Value>(values: readonly Value[]): Value {
    return values[this.next(values.length)]!
  }

  get left(): boolean {
    return this.#at < this.#bytes.length
  }

  #byte(): number {
    return this.#bytes[this.#at++] ?? 0
  }
}

const scalars = [
  'int32',
  'string',
  'double',
  'uint64',
  'bool',
  'sint64',
  'E',
  'bytes',
  'float',
  'sint32',
  'uint32',
  'int64',
  'fixed32',
  'fixed64',
  'sfixed32',
  'sfixed64',
] as const
const wellKnown = [
  'Timestamp',
  'Duration',
  'Int64Value',
  'StringValue',
  'BoolValue',
  'DoubleValue',
  'BytesValue',
  'UInt32Value',
]
const jsonTypes = ['Struct', 'Value', 'ListValue', 'Any', 'Empty', 'FieldMask']
const keys = ['string', 'int32', 'uint64', 'sint64', 'bool', 'fixed32']

/** The source of a random .proto file with the message Test. */
export function randomProto(choices: Choices): string {
  const proto2 = choices.next(3) === 1
  const types: string[] = []
  const root = messageBody(choices, proto2, types, 0)
  const kinds = 'enum E { ZERO = 0; ONE = 1; MINUS = -5; FAR = 70000; }'
  return `syntax = "${proto2 ? 'proto2' : 'proto3'}"; ${kinds} ${types.join(' ')} message Test { ${root} }`
}

function messageBody(choices: Choices, proto2: boolean, types: string[], depth: number, group = false): string {
  const count = 1 + choices.next(depth === 0 ? 10 : 4)
  let body = ''
  let id = 0
  for (let index = 0; index < count; index++) {
    id += choices.of([1, 1, 1, 1, 2, 15, 300, 3_000_000])
    const field = (label: string): string => fieldText(choices, proto2, types, depth, id, label)
    const plain = proto2 ? 'optional ' : ''
    // protobufjs cannot parse maps and oneofs in a group.
    switch (choices.next(group ? 4 : 8)) {
      case 2:
        body += field('optional ')
        break
      case 3:
        body += repeatedText(choices, types, id)
        break
      case 4:
        body += `map<${choices.of(keys)}, ${choices.of([...scalars, 'google.protobuf.Timestamp'])}> f${id} = ${id};`
        break
      case 5: {
        const arms = [0, 1, 2]
          .slice(0, 1 + choices.next(3))
          .map(() => fieldText(choices, proto2, types, depth, id++, ''))
        body += `oneof o${id} { ${arms.join(' ')} }`
        break
      }
      case 6:
        body += field(proto2 && choices.next(3) === 0 ? 'required ' : plain)
        break
      default:
        body += field(plain)
    }
  }
  return body
}

function fieldText(
  choices: Choices,
  proto2: boolean,
  types: string[],
  depth: number,
  id: number,
  label: string,
): string {
  const shape = choices.next(12)
  if (shape === 8) return `${label}google.protobuf.${choices.of(wellKnown)} f${id} = ${id};`
  if (shape === 9) return `${label}google.protobuf.${choices.of(jsonTypes)} f${id} = ${id};`
  if (shape >= 10 && depth < 4) {
    // protobufjs cannot parse a group in a oneof.
    if (proto2 && label !== '' && choices.next(3) === 0) {
      return `${label}group G${id} = ${id} { ${messageBody(choices, proto2, types, depth + 1, true)} }`
    }
    // Now and then a message that holds itself, which is never flattened.
    const name = `M${types.length}`
    const place = types.push('') - 1
    const inner = messageBody(choices, proto2, types, depth + 1)
    const again = choices.next(6) === 0 ? `${proto2 ? 'optional ' : ''}${name} again = 5000000;` : ''
    types[place] = `message ${name} { ${inner} ${again} }`
    return `${label}${name} f${id} = ${id};`
  }
  return `${label}${choices.of(scalars)} f${id} = ${id};`
}

function repeatedText(choices: Choices, types: string[], id: number): string {
  const isMessage = types.some((text) => text !== '') && choices.next(3) === 0
  const type = isMessage ? `M${types.findIndex((text) => text !== '')}` : choices.of(scalars)
  const packed =
    !isMessage && type !== 'string' && type !== 'bytes' ? choices.of(['', ' [packed = false]', ' [packed = true]']) : ''
  return `repeated ${type} f${id} = ${id}${packed};`
}

/** Wire bytes of a message of `type`, mostly good: fields in any order, again, in any form that the wire allows. */
export function randomWire(type: protobuf.Type, choices: Choices): Uint8Array {
  const wire = new Wire(choices)
  wire.message(type, 0)
  return wire.bytes()
}

class Wire {
  readonly #choices: Choices
  readonly #bytes: number[] = []

  constructor(choices: Choices) {
    this.#choices = choices
  }

  bytes(): Uint8Array {
    return Uint8Array.from(this.#bytes)
  }

  message(type: protobuf.Type, depth: number): void {
    const choices = this.#choices
    const fields = type.fieldsArray
    for (const field of fields) if (field.required && choices.next(32) !== 31) this.#field(field.resolve(), depth)
    for (let count = choices.next(depth === 0 ? 12 : 4); count > 0 && choices.left; count--) {
      const pick = choices.next(24)
      if (pick === 23 || fields.length === 0) this.#unknown(depth)
      else if (pick === 22 && choices.next(4) === 3) this.#unknown(depth, choices.of(fields).id)
      else this.#field(choices.of(fields).resolve(), depth)
    }
  }

  #field(field: protobuf.Field, depth: number): void {
    if (depth > 6) return
    const { resolvedType } = field
    if (field instanceof protobuf.MapField) {
      this.#nested(field.id, (inner) => inner.#entry(field, depth + 1))
    } else if (resolvedType instanceof protobuf.Type) {
      if (field.delimited) {
        this.#tag(field.id, 3)
        this.message(resolvedType, depth + 1)
        this.#tag(field.id, 4)
      } else this.#nested(field.id, (inner) => inner.message(resolvedType, depth + 1), resolvedType)
    } else {
      const type = resolvedType instanceof protobuf.Enum ? 'enum' : field.type
      if (field.repeated && type !== 'string' && type !== 'bytes' && this.#choices.next(2) === 0) {
        this.#nested(field.id, (inner) => {
          for (let count = this.#choices.next(4); count > 0; count--) inner.#scalar(type)
        })
      } else {
        this.#tag(field.id, wireTypeOf(type))
        this.#scalar(type)
      }
    }
  }

  #entry(field: protobuf.MapField, depth: number): void {
    const { resolvedType } = field
    for (let count = 1 + this.#choices.next(3); count > 0; count--) {
      const pick = this.#choices.next(9)
      if (pick === 8) this.#unknown(depth)
      else if (pick % 2 === 0) {
        this.#tag(1, wireTypeOf(field.keyType))
        this.#scalar(field.keyType)
      } else if (resolvedType instanceof protobuf.Type) {
        this.#nested(2, (inner) => inner.message(resolvedType, depth + 1), resolvedType)
      } else {
        const type = resolvedType instanceof protobuf.Enum ? 'enum' : field.type
        this.#tag(2, wireTypeOf(type))
        this.#scalar(type)
      }
    }
  }

  #nested(id: number, write: (inner: Wire) => void, type?: protobuf.Type): void {
    const inner = new Wire(this.#choices)
    if (type !== undefined && /Timestamp$|Duration$/.test(type.name) && this.#choices.next(8) !== 7) inner.#time()
    else write(inner)
    this.#tag(id, 2)
    this.#varint(BigInt(inner.#bytes.length))
    this.#push(inner.#bytes)
  }

  /** A time that is in range, unless its parts disagree. */
  #time(): void {
    const choices = this.#choices
    const seconds = [0n, 1n, 1_700_000_000n, -1n, 253_402_300_799n, -62_135_596_800n, 9_000_000_000n, 315_576_000_000n]
    if (choices.next(8) !== 7) {
      this.#tag(1, 0)
      this.#varint(choices.of(seconds))
    }
    if (choices.next(4) !== 3) {
      this.#tag(2, 0)
      this.#varint(choices.of([0n, 1n, 999_999_999n, 500_000_123n, 1_000_000_000n, -1n]))
    }
  }

  /** A field that is not declared; with `declared`, one that is, but mostly with another wire type. */
  #unknown(depth: number, declared?: number): void {
    const choices = this.#choices
    const id = declared ?? choices.of([777, 19, 2_000_000, 536_870_911])
    switch (choices.next(5)) {
      case 0:
        this.#tag(id, 0)
        return this.#scalar('int64')
      case 1:
        this.#tag(id, 1)
        return this.#scalar('fixed64')
      case 2:
        this.#tag(id, 2)
        return this.#scalar('bytes')
      case 3:
        this.#tag(id, 5)
        return this.#scalar('fixed32')
      default:
        this.#tag(id, 3)
        if (depth < 3) this.#unknown(depth + 1)
        this.#tag(id, 4)
    }
  }

  #scalar(type: string): void {
    const choices = this.#choices
    switch (type) {
      case 'bool':
        return this.#varint(choices.of([0n, 1n, 1n, 2n, 300n, 1n << 32n, 1n << 63n]))
      case 'enum':
        return this.#varint(
          choices.of([0n, 1n, 1n, -5n, 70_000n, 7n, -1n, 1n << 31n, 1n << 40n].slice(0, choices.of([5, 7, 7, 9]))),
        )
      case 'int32':
        return this.#varint(
          choices.of(
            [0n, 1n, 127n, 128n, 300n, -1n, -(2n ** 31n), 2n ** 31n - 1n, BigInt(choices.next(65536)), 2n ** 31n].slice(
              0,
              choices.of([9, 9, 9, 10]),
            ),
          ),
        )
      case 'uint32':
      case 'sint32':
        return this.#varint(
          choices.of(
            [0n, 1n, 127n, 128n, 2n ** 32n - 1n, 2n ** 31n, BigInt(choices.next(65536)), 2n ** 32n].slice(
              0,
              choices.of([7, 7, 7, 8]),
            ),
          ),
        )
      case 'int64':
      case 'uint64':
      case 'sint64':
        return this.#varint(
          choices.of([
            0n,
            1n,
            127n,
            2n ** 28n,
            2n ** 32n - 1n,
            2n ** 32n,
            2n ** 35n,
            2n ** 53n + 1n,
            -1n,
            2n ** 63n,
            BigInt(choices.next(65536)),
          ]),
        )
      case 'fixed32':
      case 'sfixed32':
        return this.#random(4)
      case 'fixed64':
      case 'sfixed64':
        return this.#random(8)
      case 'float': {
        const view = Buffer.alloc(4)
        view.writeFloatLE(choices.of([0, 1.5, -0, NaN, Infinity, 3.4e38, 1e-45, choices.next(65536) / 7]))
        return this.#push(view)
      }
      case 'double': {
        const view = Buffer.alloc(8)
        view.writeDoubleLE(choices.of([0, 1.5, -0, NaN, -Infinity, 5e-324, choices.next(65536) / 7]))
        return this.#push(view)
      }
      case 'bytes': {
        const length = choices.of([0, 1, 3, 4, 5, 9, 300])
        this.#varint(BigInt(length))
        return this.#random(length)
      }
      default: {
        const text = choices.of(texts)
        this.#varint(BigInt(text.length))
        return this.#push(text)
      }
    }
  }

  #random(length: number): void {
    for (let index = 0; index < length; index++) this.#bytes.push(this.#choices.next(256))
  }

  #tag(id: number, wireType: number): void {
    this.#varint(BigInt(id * 8 + wireType), 5)
  }

  /** Now and then with more bytes than needed. */
  #varint(value: bigint, bytesMax = 10): void {
    let left = BigInt.asUintN(64, value)
    const from = this.#bytes.length
    do {
      this.#bytes.push(Number(left & 0x7fn) | 0x80)
      left >>= 7n
    } while (left > 0n)
    if (this.#choices.next(16) === 15) {
      const room = bytesMax - (this.#bytes.length - from)
      for (let more = this.#choices.next(room + 1); more > 0; more--) this.#bytes.push(0x80)
    }
    this.#bytes[this.#bytes.length - 1]! &= 0x7f
  }

  #push(bytes: Iterable<number>): void {
    for (const byte of bytes) this.#bytes.push(byte)
  }
}

const texts = [
  '',
  'a',
  'abc',
  'abcd',
  'device-00017',
  'some text that is longer than twenty bytes',
  'é',
  'abcdé',
  'abcdefg€uro',
  '\u{1f600}',
  'nul\0byte',
  'x'.repeat(255),
  'x'.repeat(300),
  '\uffff\u{10ffff}',
]
  .map((text) => Buffer.from(text))
  .concat([Buffer.of(0xff), Buffer.from('abcd\xed\xa0\x80', 'latin1')])

function wireTypeOf(type: string): number {
  if (type === 'string' || type === 'bytes') return 2
  if (type === 'double' || type.endsWith('fixed64')) return 1
  return type === 'float' || type.endsWith('fixed32') ? 5 : 0
}
