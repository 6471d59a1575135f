import { BindingProducer } from './binding-producer.ts'
import { NativeReaderUnavailableError } from './native-addon.ts'
import { NativeProducer } from './native-producer.ts'
import type { RecordProducer } from './record-producer.ts'

/**
 * The producer that fits the reader which the config asks for: with `auto` our addon's, or the binding's where that cannot
 * be had; the reader's notice tells of it. Throws NativeReaderUnavailableError when the native one was asked for by name.
 */
export function createProducer(
  wanted: 'auto' | 'native' | 'binding',
  topic: string,
  settings: Readonly<Record<string, unknown>>,
): RecordProducer {
  if (wanted === 'binding') return new BindingProducer(topic, settings)
  try {
    return new NativeProducer(topic, settings)
  } catch (error) {
    if (wanted === 'native' || !(error instanceof NativeReaderUnavailableError)) throw error
    return new BindingProducer(topic, settings)
  }
}
