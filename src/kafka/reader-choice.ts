import type { BindingConsumer } from './binding.ts'
import { BindingReader } from './binding-reader.ts'
import { NativeReaderUnavailableError } from './native-addon.ts'
import { createNativeReader } from './native-reader.ts'
import type { PartitionError } from './native-reader.ts'
import type { PartitionReader, TopicPartition } from './partition-reader.ts'

/**
 * The reader that the config asks for; with `auto` the native one, or the binding's where ours cannot be had, and then
 * `notice` hears why and what it costs. Throws NativeReaderUnavailableError when the native one was asked for by name.
 */
export function createReader(
  consumer: BindingConsumer,
  wanted: 'auto' | 'native' | 'binding',
  limits: { readonly slabBytesMax: number; readonly recordBytesMax: number },
  notice: (sentence: string) => void,
  onPartitionError: (partition: TopicPartition, error: PartitionError) => void,
): PartitionReader {
  if (wanted === 'binding') return new BindingReader(consumer)
  try {
    return createNativeReader(consumer, {
      readBytesMax: limits.slabBytesMax,
      recordBytesMax: limits.recordBytesMax,
      onPartitionError,
    })
  } catch (error) {
    if (wanted === 'native' || !(error instanceof NativeReaderUnavailableError)) throw error
    notice(`${error.message}; reading through the binding instead, at about an eighth of the speed`)
    return new BindingReader(consumer)
  }
}
