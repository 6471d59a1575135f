import type { BindingConsumer } from '../../src/kafka/binding.ts'
import { BindingReader } from '../../src/kafka/binding-reader.ts'
import { createNativeReader } from '../../src/kafka/native-reader.ts'
import { describeReaderContract } from './reader-contract.ts'

describeReaderContract('NativeReader', (consumer) => createNativeReader(consumer))
describeReaderContract('BindingReader', (consumer) => new BindingReader(consumer as BindingConsumer))
