import kafka from '@confluentinc/kafka-javascript'
import type { IAdminClient } from '@confluentinc/kafka-javascript'
import { KafkaRefusedError, KafkaUnavailableError } from '../errors.ts'
import { errorCodes, kafkaErrorCode } from './binding.ts'

export interface TopicInfo {
  readonly name: string
  /** Kafka's own id of the topic, in base64: a topic made anew under its name has another. Undefined on old brokers. */
  readonly id: string | undefined
  readonly partitions: number
}

/** Who knows the topics: the cluster's TopicDirectory, or the demo's cluster of its own. */
export interface Topics {
  /** The names of all topics that we may see. Rejects with KafkaUnavailableError naming the last thing that went wrong. */
  list(timeoutMs: number): Promise<readonly string[]>
  /** Topics in the order asked. Rejects with KafkaRefusedError naming one that cannot be used. */
  describe(names: readonly string[]): Promise<readonly TopicInfo[]>
  close(): void
}

const requestTimeoutMs = 15_000
const noId = 'AAAAAAAAAAAAAAAAAAAAAA'

/**
 * What topics there are. A client of its own: an admin client made from the consumer needs the binding's write lock, which
 * the consumer's polling never leaves free, so its requests would hang for as long as the daemon runs.
 */
export class TopicDirectory implements Topics {
  readonly #settings: Readonly<Record<string, unknown>>
  #client: IAdminClient | undefined
  #reason: string | undefined

  constructor(settings: Readonly<Record<string, unknown>>) {
    this.#settings = settings
  }

  async list(timeoutMs: number): Promise<readonly string[]> {
    return new Promise((resolve, reject) => {
      this.#connected().listTopics({ timeout: timeoutMs }, (cause: unknown, names) => {
        if (!cause) return resolve(names)
        const reason = this.#reason ? `: ${this.#reason}` : ''
        reject(new KafkaUnavailableError(`no Kafka broker answered within ${timeoutMs / 1000} s${reason}`, { cause }))
      })
    })
  }

  /**
   * Topics in the order asked. Rejects with KafkaRefusedError naming one that is absent or forbidden, with
   * KafkaUnavailableError when no broker answers.
   */
  async describe(names: readonly string[]): Promise<TopicInfo[]> {
    if (names.length === 0) return []
    const found = await new Promise<kafka.TopicDescription[]>((resolve, reject) => {
      this.#connected().describeTopics([...names], { timeout: requestTimeoutMs }, (cause: unknown, topics) => {
        if (cause) reject(new KafkaUnavailableError(`topics ${names.join(', ')} cannot be described`, { cause }))
        else resolve(topics)
      })
    })
    return names.map((name) => {
      const topic = found.find((each) => each.name === name)
      if (topic === undefined || topic.error) throw refusal(name, topic?.error)
      return { name, id: topicId(topic), partitions: topic.partitions.length }
    })
  }

  close(): void {
    this.#client?.disconnect()
    this.#client = undefined
  }

  #connected(): IAdminClient {
    this.#client ??= kafka.AdminClient.create(this.#settings, {
      'event.log': ({ severity, message }: { severity: number; message: string }) => {
        if (severity <= 4) this.#reason = message
      },
    })
    return this.#client
  }
}

function refusal(name: string, error: unknown): KafkaRefusedError {
  const code = kafkaErrorCode(error)
  if (error === undefined || code === errorCodes.unknownTopicOrPartition) {
    return new KafkaRefusedError(`topic ${name} does not exist: create it, or mend its name`)
  }
  if (code === errorCodes.topicAuthorizationFailed) {
    return new KafkaRefusedError(`topic ${name} may not be read: grant Read and Describe on it to this user`)
  }
  return new KafkaRefusedError(`topic ${name} cannot be used`, { cause: error })
}

function topicId({ topicId }: kafka.TopicDescription): string | undefined {
  // The binding calls the property base64; its type declaration says base64str.
  const id = (topicId as unknown as { base64?: string } | undefined)?.base64
  return id === noId ? undefined : id
}
