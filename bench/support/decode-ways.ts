import { createFileRegistry, fromBinary } from '@bufbuild/protobuf'
import type protobuf from 'protobufjs'
import { type AnyColumnBuilder, createColumnBuilder } from '../../src/decode/column-builder.ts'
import { ColumnMemory } from '../../src/decode/column-memory.ts'
import type { Decoder } from '../../src/decode/decoder.ts'
import { createCompiledDecoder } from '../../src/decode/decoder-compiler.ts'
import { createReferenceDecoder } from '../../src/decode/reference-decoder.ts'
import { messageAppender } from '../../src/decode/row-appender.ts'
import type { TablePlan } from '../../src/decode/table-plan.ts'
import { WireShapes } from '../../src/decode/wire-shape.ts'
import type { SlabView } from '../../src/kafka/slab.ts'
import { fileDescriptor } from '../../test/decode/file-descriptor.ts'
import { wellKnownFiles } from '../../test/decode/second-oracle.ts'

/** Decodes slabs and returns how many rows came of them. */
export type DecodeWay = (slabs: readonly SlabView[]) => number

/** The ways to be compared; the first is what the others are measured against. */
export function decodeWays(type: protobuf.Type, plan: TablePlan): Readonly<Record<string, DecodeWay>> {
  return {
    'protobufjs and column filling': plainWay(type, plan),
    'protobufjs, objects alone': objectsWay(type),
    '@bufbuild/protobuf, objects alone': bufbuildWay(type),
    reference: decoderWay(createReferenceDecoder(plan, { tableName: 'bench' })),
    compiled: decoderWay(createCompiledDecoder(plan, { tableName: 'bench' })),
  }
}

function decoderWay(decoder: Decoder): DecodeWay {
  const origin = { topic: 'readings', partition: 0 }
  return (slabs) => {
    const { rowCount, release } = decoder.decode(slabs, origin)
    release()
    return rowCount
  }
}

/** What is generated for a type at run time is what `pbjs` writes to a file: the same generator makes both. */
function objectsWay(type: protobuf.Type): DecodeWay {
  return eachRecord((value) => void type.decode(value))
}

/** Without columns: already slower than what fills them. */
function bufbuildWay(type: protobuf.Type): DecodeWay {
  const registry = createFileRegistry(fileDescriptor(type.parent!, 'proto3'), (name) =>
    wellKnownFiles.find((file) => `${file.name}.proto` === name),
  )
  const schema = registry.getMessage(type.fullName.slice(1))!
  return eachRecord((value) => void fromBinary(schema, value))
}

function eachRecord(decode: (value: Uint8Array) => void): DecodeWay {
  return (slabs) => {
    let rows = 0
    for (const slab of slabs) for (let record = 0; record < slab.count; record++, rows++) decode(slab.value(record)!)
    return rows
  }
}

/** As one would write it: an object a record, its fields into the columns; nothing is checked beyond what protobufjs does. */
function plainWay(type: protobuf.Type, plan: TablePlan): DecodeWay {
  const memory = new ColumnMemory()
  const builders: readonly AnyColumnBuilder[] = plan.columns.map(({ type }) => createColumnBuilder(type, memory))
  const append = messageAppender(plan, builders, new WireShapes())
  return (slabs) => {
    let rows = 0
    memory.begin()
    for (const builder of builders) builder.begin(slabs.reduce((sum, { count }) => sum + count, 0))
    for (const slab of slabs) {
      for (let record = 0; record < slab.count; record++, rows++) {
        append(type.decode(slab.value(record)!))
      }
    }
    for (const builder of builders) builder.finish()
    return rows
  }
}
