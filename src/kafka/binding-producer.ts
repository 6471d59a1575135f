import { once } from 'node:events'
import kafka from '@confluentinc/kafka-javascript'
import type { MessageHeader, Producer } from '@confluentinc/kafka-javascript'
import { errorCodes, kafkaErrorCode } from './binding.ts'
import { connectClient, disconnectClient } from './client-connection.ts'
import type { RecordProducer } from './record-producer.ts'
import { decodeHeaders, SlabView } from './slab.ts'

/** One call of `send`, handed to librdkafka with each of its records and back with each delivery report. */
interface Delivery {
  remaining: number
  readonly tooLarge: number[]
  resolve: () => void
  reject: (error: unknown) => void
}

/** What comes back with a delivery report. */
interface Opaque {
  readonly delivery: Delivery
  readonly index: number
}

/** The binding's producer: an object for each record, each of its headers and each report. Serves where our addon cannot. */
export class BindingProducer implements RecordProducer {
  readonly #producer: Producer
  readonly #topic: string

  constructor(topic: string, settings: Readonly<Record<string, unknown>>) {
    this.#topic = topic
    this.#producer = new kafka.Producer({ ...settings, dr_cb: true }, undefined)
    this.#producer.on('delivery-report', (error, { opaque }) => {
      const { delivery, index } = opaque as Opaque
      if (error && kafkaErrorCode(error) !== errorCodes.messageTooLarge) return delivery.reject(error)
      if (error) delivery.tooLarge.push(index)
      if (--delivery.remaining === 0) delivery.resolve()
    })
    // Errors of the connection show as failed deliveries; without a listener `error` would end the process.
    ;(this.#producer as NodeJS.EventEmitter).on('error', () => undefined)
  }

  async connect(timeoutMs: number): Promise<void> {
    await connectClient(this.#producer, timeoutMs)
    // Delivery reports come from librdkafka's own thread, whatever the main thread is doing.
    this.#producer.setPollInBackground(true)
  }

  async send(slab: ArrayBuffer): Promise<readonly number[]> {
    const view = new SlabView(slab)
    const delivery: Delivery = {
      remaining: view.count,
      tooLarge: [],
      resolve: () => undefined,
      reject: () => undefined,
    }
    const delivered = new Promise<void>((resolve, reject) => Object.assign(delivery, { resolve, reject }))
    // Rejected while records are still being produced below, it would else count as unhandled.
    delivered.catch(() => undefined)
    for (let index = 0; index < view.count; index++) await this.#produce(view, index, delivery)
    await delivered
    return delivery.tooLarge
  }

  async disconnect(timeoutMs: number): Promise<void> {
    await disconnectClient(this.#producer, timeoutMs)
  }

  async #produce(view: SlabView, index: number, delivery: Delivery): Promise<void> {
    const headers = decodeHeaders(view.headers(index)).map(({ name, value }): MessageHeader => ({
      [name]: value === null ? nullHeader : asBuffer(value),
    }))
    const [key, value] = [view.key(index), view.value(index)].map((bytes) => bytes && asBuffer(bytes)) as [
      Buffer | null,
      Buffer | null,
    ]
    // Zero makes librdkafka take the present time.
    const timestamp = Math.max(0, view.timestamp(index))
    const opaque: Opaque = { delivery, index }
    for (;;) {
      try {
        this.#producer.produce(this.#topic, null, value, key, timestamp, opaque, headers)
        return
      } catch (cause) {
        if (kafkaErrorCode(cause) === errorCodes.messageTooLarge) {
          delivery.tooLarge.push(index)
          if (--delivery.remaining === 0) delivery.resolve()
          return
        }
        if (kafkaErrorCode(cause) !== errorCodes.queueFull) throw cause
        // Bounded by librdkafka's queue; each report makes room.
        await once(this.#producer, 'delivery-report')
      }
    }
  }
}

/** An empty buffer whose bytes lie somewhere: the binding takes one without an address (`Buffer.alloc(0)`) for null. */
const empty = Buffer.alloc(1).subarray(0, 0)
const nullHeader = Buffer.alloc(0)

function asBuffer(bytes: Uint8Array): Buffer {
  return bytes.length === 0 ? empty : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
