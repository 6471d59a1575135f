import kafka from '@confluentinc/kafka-javascript'
import type { KafkaConsumer } from '@confluentinc/kafka-javascript'

/** A member of the target's group that takes partitions and does nothing with them: the others must give some up. */
export class GuestMember {
  readonly #consumer: KafkaConsumer
  #leaving = false

  private constructor(consumer: KafkaConsumer) {
    this.#consumer = consumer
  }

  static async join(bootstrap: string, group: string, topics: readonly string[]): Promise<GuestMember> {
    const consumer = new kafka.KafkaConsumer(
      {
        'bootstrap.servers': bootstrap,
        'group.id': group,
        'client.id': 'guest',
        'partition.assignment.strategy': 'cooperative-sticky',
        'session.timeout.ms': 6000,
        'enable.auto.commit': false,
        'queued.max.messages.kbytes': 64,
        // No rebalance_cb: librdkafka would wait for its answer when it closes, from a thread that this process waits for at its end.
      },
      undefined,
    )
    ;(consumer as NodeJS.EventEmitter).on('error', () => undefined)
    await new Promise<void>((resolve, reject) =>
      consumer.connect({ timeout: 5000 }, (error) => (error ? reject(error) : resolve())),
    )
    consumer.setDefaultConsumeTimeout(100)
    consumer.subscribe([...topics])
    const guest = new GuestMember(consumer)
    guest.#poll()
    return guest
  }

  async leave(): Promise<void> {
    this.#leaving = true
    await new Promise<void>((resolve) => {
      // A broker that is away would be waited for.
      setTimeout(resolve, 5000)
      this.#consumer.disconnect(() => resolve())
    })
  }

  /** It stays a member while it polls; what it reads is dropped. */
  #poll(): void {
    if (!this.#leaving) this.#consumer.consume(1, () => setTimeout(() => this.#poll(), 50))
  }
}
