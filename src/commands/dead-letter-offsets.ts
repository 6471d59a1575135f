import type { LogReader } from '../kafka/log-reader.ts'
import { partitionKey } from '../kafka/partition-reader.ts'
import type { TopicPartition } from '../kafka/partition-reader.ts'
import { decodeHeaders } from '../kafka/slab.ts'

/** The places of a group's dead letters. They are few beside the records, so all of them are kept: eight bytes each. */
export class DeadLetterOffsets {
  readonly #offsets = new Map<string, number[]>()

  /** Reads the whole dead-letter topic. Letters of other groups, which may share it, do not count. */
  static async read(log: LogReader, topic: string, partitions: number, group: string): Promise<DeadLetterOffsets> {
    const found = new DeadLetterOffsets()
    for (let partition = 0; partition < partitions; partition++) {
      const { start, end } = await log.range({ topic, partition })
      for await (const slab of log.read({ topic, partition }, start, end)) {
        for (let index = 0; index < slab.count; index++) found.#add(slab.headers(index), group)
      }
    }
    for (const offsets of found.#offsets.values()) offsets.sort((a, b) => a - b)
    return found
  }

  /** Those of a partition within [from, to), each once: a dead letter may be stored more than once. */
  within(partition: TopicPartition, from: number, to: number): number[] {
    const offsets = this.#offsets.get(partitionKey(partition)) ?? []
    return [...new Set(offsets.filter((offset) => offset >= from && offset < to))]
  }

  #add(encoded: Uint8Array, group: string): void {
    // The last one of a name is ours: the record's own headers come before.
    const headers = new Map(decodeHeaders(encoded).map(({ name, value }) => [name, value && Buffer.from(value)]))
    if (headers.get('kafka_dlt-original-consumer-group')?.toString() !== group) return
    const text = (name: string) => headers.get(`__connect.errors.${name}`)?.toString() ?? ''
    const key = partitionKey({ topic: text('topic'), partition: Number(text('partition')) })
    const offsets = this.#offsets.get(key)
    if (offsets) offsets.push(Number(text('offset')))
    else this.#offsets.set(key, [Number(text('offset'))])
  }
}
