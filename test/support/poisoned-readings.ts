import { simulatedReadings } from '../../src/commands/simulated-readings.ts'
import type { RecordFaultCode } from '../../src/decode/record-fault.ts'
import { loadMessageType } from '../../src/decode/schema-source.ts'
import { readingMessage, readingProto, tryProduce, withProducer } from './readings.ts'

const times = (count: number, ...bytes: number[]) => Array.from({ length: count }, () => bytes).flat()

/** Bytes that are no Reading (proto/telemetry.proto), each in its own way. */
export const poisonKinds: { name: string; bytes: number[]; code: RecordFaultCode }[] = [
  { name: 'a string that ends early', bytes: [0x0a, 0x05, 0x61], code: 'TRUNCATED' },
  { name: 'a double that ends early', bytes: [0x29, 0, 0], code: 'TRUNCATED' },
  { name: 'a float that ends early', bytes: [0x45, 0], code: 'TRUNCATED' },
  { name: 'a varint that ends early', bytes: [0x18, 0xff], code: 'TRUNCATED' },
  { name: 'a tag that ends early', bytes: [0x80], code: 'TRUNCATED' },
  { name: 'a tag without a value', bytes: [0x18], code: 'TRUNCATED' },
  { name: 'a message in it that ends early', bytes: [0x52, 0x09, 0x09, 0], code: 'TRUNCATED' },
  { name: 'an unknown field that ends early', bytes: [0xa2, 0x06, 0x05, 0x01], code: 'TRUNCATED' },
  { name: 'field number 0', bytes: [0x00, 0x00], code: 'MALFORMED' },
  { name: 'field number 0, with a length', bytes: [0x02, 0x00], code: 'MALFORMED' },
  { name: 'wire type 6', bytes: [0x0e], code: 'MALFORMED' },
  { name: 'wire type 7', bytes: [0x0f], code: 'MALFORMED' },
  { name: 'a varint without an end', bytes: [0x18, ...times(11, 0xff)], code: 'MALFORMED' },
  { name: 'the end of a group that never began', bytes: [0xa4, 0x06], code: 'MALFORMED' },
  { name: 'a group ended by another', bytes: [0xa3, 0x06, 0xac, 0x06], code: 'MALFORMED' },
  { name: 'text as a number', bytes: [0x08, 0x01], code: 'WIRE_TYPE' },
  { name: 'a number as text', bytes: [0x1a, 0x01, 0x61], code: 'WIRE_TYPE' },
  { name: 'a double as a float', bytes: [0x2d, 0, 0, 0, 0], code: 'WIRE_TYPE' },
  { name: 'a message as a number', bytes: [0x50, 0x01], code: 'WIRE_TYPE' },
  { name: 'an enum as eight bytes', bytes: [0x39, ...times(8, 0)], code: 'WIRE_TYPE' },
  { name: 'text that is no UTF-8', bytes: [0x0a, 0x01, 0xff], code: 'BAD_UTF8' },
  { name: 'text with an overlong NUL', bytes: [0x0a, 0x02, 0xc0, 0x80], code: 'BAD_UTF8' },
  { name: 'text with half a surrogate', bytes: [0x0a, 0x03, 0xed, 0xa0, 0x80], code: 'BAD_UTF8' },
  { name: 'groups a hundred and fifty deep', bytes: times(150, 0xa3, 0x06), code: 'TOO_DEEP' },
  { name: 'a time beyond the year 9999', bytes: [0x22, 0x0a, 0x08, ...times(8, 0xff), 0x7f], code: 'OUT_OF_RANGE' },
]

/** One record in so many is bad: 2 %. */
export const badEvery = 50

/** Writes readings, one in `every` of them bad; gives `partition/offset kind code` of each bad one. */
export async function writePoisoned(
  bootstrap: string,
  topic: string,
  partitions: number,
  records: number,
  every: number,
): Promise<string[]> {
  const readings = simulatedReadings(await loadMessageType({ files: [readingProto], message: readingMessage }), 7)
  const expected: string[] = []
  await withProducer(bootstrap, async (producer, room) => {
    for (let index = 0; index < records; index++) {
      const partition = index % partitions
      if (every <= records && index % every === 0) {
        const { name, bytes, code } = poisonKinds[(index / every) % poisonKinds.length]!
        expected.push(`${partition}/${Math.floor(index / partitions)} ${name} ${code}`)
        while (!tryProduce(producer, topic, partition, Buffer.from(bytes), name)) await room()
      } else {
        let next = readings.next().value
        while (next.broken) next = readings.next().value
        while (!tryProduce(producer, topic, partition, next.value, next.key)) await room()
      }
    }
  })
  return expected
}
