import type { Config } from '../config/schema.ts'
import { sinkCatalog } from '../sinks/sink-catalog.ts'
import type { Sink } from '../sinks/sink.ts'

/** Runs `act` with the sink of that name, which is made, not opened, and closed afterwards. */
export async function withSink<Result>(
  config: Config,
  name: string,
  act: (sink: Sink) => Promise<Result>,
): Promise<Result> {
  const { type, ...options } = config.sinks[name]!
  const sink = await sinkCatalog[type]!.create(options, { group: config.kafka.group })
  try {
    return await act(sink)
  } finally {
    await sink.close()
  }
}
