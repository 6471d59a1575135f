import { sinkCatalog } from '../../src/sinks/sink-catalog.ts'
import type { Sink } from '../../src/sinks/sink.ts'

/** A sink as the daemon makes it. `options` are those of the configuration, with `type` among them. */
export async function createSink(
  options: Readonly<Record<string, unknown>>,
  group: string,
  warn?: (message: string) => void,
): Promise<Sink> {
  const kind = sinkCatalog[options['type'] as string]!
  const all: Record<string, unknown> = { ...options }
  for (const [name, option] of Object.entries(kind.options)) all[name] ??= option.default
  return kind.create(all, warn ? { group, warn } : { group })
}

/** For `StoreUnderTest.maker`. */
export const catalogSink = (type: string, options: Readonly<Record<string, unknown>>) => ({
  module: import.meta.url,
  options: { type, ...options },
})
