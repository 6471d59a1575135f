/**
 * A guess at what bytes that are no message of the schema are instead, for the reason of a dead letter: a producer that
 * frames its messages is the usual cause of a topic that cannot be read at all. Undefined when nothing comes to mind.
 */
export function framingHint(value: Uint8Array): string | undefined {
  const guess = guesses.find(({ looksLike }) => looksLike(value))
  if (guess === undefined) return undefined
  const shown = [...value.subarray(0, guess.bytesShown)].map((byte) => byte.toString(16).padStart(2, '0')).join(' ')
  return `the value starts with ${shown}: looks like ${guess.name(value)}, but this route expects bare protobuf: ${guess.cure}`
}

interface Guess {
  readonly looksLike: (value: Uint8Array) => boolean
  readonly bytesShown: number
  readonly name: (value: Uint8Array) => string
  readonly cure: string
}

const noSetting = 'no setting takes that off, so let the producer write the bare message'
const compression = "let the producer's client compress (compression.type), which every Kafka client undoes"

/** The most telling first: gRPC's prefix begins like Confluent's, but must also agree with the size. */
const guesses: readonly Guess[] = [
  {
    looksLike: (value) => value.length > 5 && value[0]! <= 1 && bigEndian(value, 1) === value.length - 5,
    bytesShown: 5,
    name: () => 'gRPC framing (a flag and a 4-byte length)',
    cure: noSetting,
  },
  {
    looksLike: (value) => value.length > 5 && value[0] === 0,
    bytesShown: 5,
    name: (value) => `Confluent framing, schema id ${bigEndian(value, 1)}`,
    cure: 'set decode.framing: confluent',
  },
  {
    looksLike: (value) => value.length > 17 && value[0] === 1,
    bytesShown: 17,
    name: () => 'Confluent framing with a schema GUID',
    cure: noSetting,
  },
  {
    looksLike: (value) => value.length > 4 && bigEndian(value, 0) === value.length - 4,
    bytesShown: 4,
    name: () => 'a 4-byte length prefix',
    cure: noSetting,
  },
  {
    looksLike: hasVarintPrefix,
    bytesShown: 2,
    name: () => 'a length prefix (delimited protobuf)',
    cure: 'set decode.framing: lengthPrefixed',
  },
  {
    looksLike: isEnclosed,
    bytesShown: 1,
    name: () => 'JSON',
    cure: 'let the producer write protobuf, no other format is read',
  },
  {
    looksLike: (value) => value[0] === 0x1f && value[1] === 0x8b,
    bytesShown: 2,
    name: () => 'gzip',
    cure: compression,
  },
  {
    looksLike: (value) => value.length > 4 && bigEndian(value, 0) === 0x28b5_2ffd,
    bytesShown: 4,
    name: () => 'zstd',
    cure: compression,
  },
]

function bigEndian(value: Uint8Array, at: number): number {
  return value[at]! * 0x100_0000 + ((value[at + 1]! << 16) | (value[at + 2]! << 8) | value[at + 3]!)
}

function hasVarintPrefix(value: Uint8Array): boolean {
  let length = 0
  for (let at = 0; at < Math.min(4, value.length); at++) {
    length += (value[at]! & 0x7f) * 2 ** (at * 7)
    if (value[at]! < 0x80) return length > 0 && length === value.length - at - 1
  }
  return false
}

function isEnclosed(value: Uint8Array): boolean {
  const last = value[value.length - 1]
  return (value[0] === 0x7b && last === 0x7d) || (value[0] === 0x5b && last === 0x5d)
}
