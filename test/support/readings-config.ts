import { readingMessage, readingProto } from './readings.ts'

export interface ReadingsConfig {
  readonly bootstrap: string
  readonly group: string
  readonly topic: string
  readonly deadLetterTopic: string
  readonly sink: object
  /** librdkafka's own, as `kafka.properties`. */
  readonly properties?: object
}

/** A daemon's configuration for readings: one topic into one sink, with each row's place in the log. `over` wins. */
export function readingsConfig(
  { bootstrap, group, topic, deadLetterTopic, sink, properties = {} }: ReadingsConfig,
  over: object = {},
): object {
  return {
    kafka: { brokers: bootstrap, group, properties },
    routes: [
      {
        topics: [topic],
        decode: { format: 'protobuf', files: [readingProto], message: readingMessage },
        sink: 'sink',
        table: 'readings',
        metadata: ['partition', 'offset'],
      },
    ],
    sinks: { sink },
    deadLetters: { topic: deadLetterTopic },
    commit: { intervalMs: 100 },
    ...over,
  }
}
