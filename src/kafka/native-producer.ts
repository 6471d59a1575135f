import { KafkaUnavailableError } from '../errors.ts'
import { openTopicProducer } from './native-addon.ts'
import type { TopicProducer } from './native-addon.ts'
import type { RecordProducer } from './record-producer.ts'

interface Waiting {
  readonly resolve: (tooLarge: readonly number[]) => void
  readonly reject: (error: Error) => void
}

/** The producer of our addon, on a thread and a client of its own: a call a slab, and an answer. */
export class NativeProducer implements RecordProducer {
  readonly #producer: TopicProducer
  readonly #waiting = new Map<number, Waiting>()
  #requestLast = 0

  /** Throws NativeReaderUnavailableError where the addon cannot be had, and KafkaRefusedError for what librdkafka refuses. */
  constructor(topic: string, settings: Readonly<Record<string, unknown>>) {
    this.#producer = openTopicProducer(topic, settings, (request, code, message, tooLarge) => {
      const waiting = this.#waiting.get(request)
      this.#waiting.delete(request)
      if (code === 0) waiting?.resolve(tooLarge)
      else waiting?.reject(new KafkaUnavailableError(message))
    })
  }

  async connect(timeoutMs: number): Promise<void> {
    try {
      await this.#ask((request) => this.#producer.connect(request, timeoutMs))
    } catch (cause) {
      await this.disconnect(0)
      throw new KafkaUnavailableError(`no Kafka broker answered within ${timeoutMs / 1000} s`, { cause })
    }
  }

  send(slab: ArrayBuffer): Promise<readonly number[]> {
    return this.#ask((request) => this.#producer.send(request, slab))
  }

  async disconnect(timeoutMs: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    const deadline = new Promise<never>((_, reject) => {
      const error = new KafkaUnavailableError('the producer of dead letters did not disconnect in time')
      // Beyond the thread's own deadline it waits only for librdkafka's threads to end.
      timer = setTimeout(reject, timeoutMs + endMaxMs, error)
    })
    const ended = this.#ask((request) => this.#producer.end(request, timeoutMs))
    await Promise.race([ended, deadline]).finally(() => clearTimeout(timer))
  }

  #ask(act: (request: number) => void): Promise<readonly number[]> {
    const request = ++this.#requestLast
    return new Promise((resolve, reject) => {
      this.#waiting.set(request, { resolve, reject })
      act(request)
    })
  }
}

const endMaxMs = 2_000
