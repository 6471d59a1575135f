import type { loadMessageType } from '../decode/schema-source.ts'

type MessageType = Awaited<ReturnType<typeof loadMessageType>>

/** The demo's topics. */
export const topic = 'telemetry.readings'
export const deadLetterTopic = 'telemetry.dead'

export interface SimulatedReading {
  /** The device: a key's records stay in one partition, in order. */
  readonly key: string
  readonly value: Buffer
  /** Not a protobuf message: a dead letter to be. */
  readonly broken: boolean
}

const devices = 500
const sensors = ['temperature', 'humidity', 'pressure', 'vibration']

/** One in so many readings is broken on purpose; odd, so that they spread over any usual number of partitions. */
const brokenEvery = 999

/** Endless readings of a fleet of devices, about 90 bytes each; the same ones for the same seed. */
export function* simulatedReadings(type: MessageType, seed: number): Generator<SimulatedReading, never> {
  let state = seed
  // Park and Miller's minimal standard generator: reproducible, and random enough for a demo.
  const random = () => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647
  const startedAt = Date.now()
  for (let sequence = 0; ; sequence++) {
    const device = Math.floor(random() * devices)
    const key = `device-${String(device).padStart(4, '0')}`
    if (sequence % brokenEvery === brokenEvery - 1) {
      yield { key, value: Buffer.from([0x0a, 0xff, 0xff, 0x03]), broken: true }
      continue
    }
    const milliseconds = startedAt + sequence
    const message = type.fromObject({
      device_id: key,
      sensor: sensors[sequence % sensors.length],
      sequence,
      measured_at: { seconds: Math.floor(milliseconds / 1000), nanos: (milliseconds % 1000) * 1_000_000 },
      value: 20 + random() * 10,
      battery: random(),
      firmware: '4.2.17',
      location: { latitude: 48 + random(), longitude: 11 + random() },
    })
    yield { key, value: Buffer.from(type.encode(message).finish()), broken: false }
  }
}
