import protobuf from 'protobufjs'
import { simulatedReadings } from '../../src/commands/simulated-readings.ts'
import { loadMessageType } from '../../src/decode/schema-source.ts'
import { planTable, type PlanOptions, type TablePlan } from '../../src/decode/table-plan.ts'
import { packSlab, SlabView } from '../../src/kafka/slab.ts'
import { readingMessage, readingProto } from '../../test/support/readings.ts'
import { Seeded } from '../../test/support/seeded.ts'

/** What is decoded: a plan, and slabs of its message. */
export interface DecodeLoad {
  /** The whole message, whatever the plan shows of it. */
  readonly type: protobuf.Type
  readonly plan: TablePlan
  readonly slabs: readonly SlabView[]
  readonly bytesPerRecord: number
}

const recordsPerSlab = 2_000

export async function decodeLoads(recordCount: number): Promise<Readonly<Record<string, DecodeLoad>>> {
  const readingType = await loadMessageType({ files: [readingProto], message: readingMessage })
  return {
    reading: load(readingType, planTable(readingType), recordCount, readings(readingType)),
    nested: random(nestedProto, recordCount),
    'nested, native lists': random(nestedProto, recordCount, { lists: 'native' }),
    lists: random(listsProto, recordCount >> 1, { lists: 'native' }),
    json: random(jsonProto, recordCount >> 2),
    'wide, 120 fields': random(wideProto(120), recordCount >> 2),
    'wide, 10 of 120 fields': random(wideProto(120), recordCount >> 2, { columns: wideChosen }),
    'wide, 250 fields': random(wideProto(250), recordCount >> 3),
    'wide, 1000 fields': random(wideProto(1000), recordCount >> 5),
    strings: random(stringsProto, recordCount >> 1),
  }
}

/** Good readings only: the price of a bad one is another question. */
function readings(type: protobuf.Type): () => Uint8Array {
  const all = simulatedReadings(type, 7)
  return () => {
    for (;;) {
      const { value, broken } = all.next().value
      if (!broken) return value
    }
  }
}

const nestedProto = `message Test {
  string vehicle = 1; uint64 sequence = 2; Engine engine = 3; Position position = 4; repeated uint32 codes = 5;
  message Engine { double rpm = 1; double torque = 2; Oil oil = 3; bool running = 4; }
  message Oil { float pressure = 1; float temperature = 2; int32 level = 3; }
  message Position { double latitude = 1; double longitude = 2; sint32 altitude = 3; Fix fix = 4; }
  message Fix { fixed64 taken = 1; uint32 satellites = 2; }
}`

const listsProto = `enum E { ZERO = 0; ONE = 1; }
  message Test { repeated double reals = 1; repeated sint64 wides = 2; repeated string texts = 3; repeated E kinds = 4; }`

/** Every column is JSON: labels, samples, a list of messages. */
const jsonProto = `enum Level { LOW = 0; HIGH = 1; }
  message Test { map<string, string> labels = 1; map<string, double> gauges = 2; repeated sint32 samples = 3; repeated Event events = 4; }
  message Event { string name = 1; uint64 at = 2; Level level = 3; double value = 4; bool on = 5; Source source = 6; }
  message Source { string host = 1; uint32 port = 2; }`

const stringsProto = `message Test { ${[1, 2, 3, 4, 5, 6, 7, 8].map((id) => `string s${id} = ${id};`).join(' ')} }`

function wideProto(count: number): string {
  const types = ['double', 'int32', 'float', 'uint64', 'string', 'bool']
  const fields = Array.from({ length: count }, (_, index) => `${types[index % types.length]} f${index} = ${index + 1};`)
  return `message Test { ${fields.join(' ')} }`
}

const wideChosen = Array.from({ length: 10 }, (_, index) => `f${index * 12 + (index % 6)}`)

function random(proto: string, recordCount: number, options: PlanOptions = {}): DecodeLoad {
  const root = protobuf.parse(`syntax = "proto3"; ${proto}`, { keepCase: true }).root
  const type = root.resolveAll().lookupType('Test')
  const seeded = new Seeded(7)
  const next = () => seeded.next()
  const plan = planTable(type, options)
  return load(type, plan, recordCount, () => type.encode(type.fromObject(randomObject(type, next))).finish())
}

function randomObject(type: protobuf.Type, next: () => number): object {
  const value = (field: protobuf.Field): unknown => {
    if (field.resolvedType instanceof protobuf.Type) return randomObject(field.resolvedType, next)
    if (field.resolvedType !== null) return Math.floor(next() * 2)
    if (field.type === 'string') return 'telemetry-value-'.repeat(4).slice(0, 8 + Math.floor(next() * 40))
    if (field.type === 'bool') return next() < 0.5
    if (field.type === 'double' || field.type === 'float') return next() * 100
    return Math.floor(next() * (next() < 0.5 ? 100 : 1_000_000))
  }
  const values = (field: protobuf.Field): unknown => {
    if (field.map) return { host: value(field), region: value(field), service: value(field) }
    return field.repeated ? [value(field), value(field)] : value(field)
  }
  return Object.fromEntries(type.fieldsArray.map((field) => [field.name, values(field)]))
}

function load(type: protobuf.Type, plan: TablePlan, recordCount: number, nextValue: () => Uint8Array): DecodeLoad {
  const slabs: SlabView[] = []
  let bytes = 0
  for (let from = 0; from < recordCount; from += recordsPerSlab) {
    const records = Array.from({ length: Math.min(recordsPerSlab, recordCount - from) }, (_, index) => {
      const value = nextValue()
      bytes += value.length
      return { offset: from + index, timestamp: -1, key: null, value, headers: new Uint8Array(0) }
    })
    slabs.push(new SlabView(packSlab(records)))
  }
  return { type, plan, slabs, bytesPerRecord: Math.round(bytes / recordCount) }
}
