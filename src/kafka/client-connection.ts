import type { KafkaConsumer, Producer } from '@confluentinc/kafka-javascript'
import { KafkaUnavailableError } from '../errors.ts'

/**
 * Connects a client. The binding's own error is `broker transport failure` for anything from a wrong port to a wrong
 * password, so the reason that librdkafka logged last is added. A failed client must not be disconnected again.
 */
export async function connectClient(client: KafkaConsumer | Producer, timeoutMs: number): Promise<void> {
  const emitter = client as NodeJS.EventEmitter
  let reason: string | undefined
  const onLog = ({ severity, message }: { severity: number; message: string }) => {
    if (severity <= 4) reason = message
  }
  emitter.on('event.log', onLog)
  try {
    await new Promise<void>((resolve, reject) => {
      client.connect({ timeout: timeoutMs }, (cause) => {
        if (!cause) return resolve()
        const message = `no Kafka broker answered within ${timeoutMs / 1000} s${reason ? `: ${reason}` : ''}`
        reject(new KafkaUnavailableError(message, { cause }))
      })
    })
  } finally {
    emitter.off('event.log', onLog)
  }
}

/** Disconnects once, within a deadline: librdkafka may wait for a broker that never answers. */
export async function disconnectClient(client: KafkaConsumer | Producer, timeoutMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const deadline = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new KafkaUnavailableError(`the Kafka client did not disconnect within ${timeoutMs / 1000} s`))
    }, timeoutMs)
  })
  const done = new Promise<void>((resolve) => void client.disconnect(() => resolve()))
  await Promise.race([done, deadline]).finally(() => clearTimeout(timer))
}
