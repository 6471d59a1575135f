// Builds the threads of our addon with the sanitizers of g++ and stresses each against a librdkafka of a few lines
// (test/kafka/native/*-stress.cc). On demand, after a change in src/kafka/native:
//   npm run sanitize -- [seconds a sanitizer, 30] [seed, 1]
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { root, run, runMain, step } from './steps.mjs'

const sources = join(root, 'test', 'kafka', 'native')
const threads = ['read-thread', 'produce-thread']
const headers = join(root, 'node_modules', '@confluentinc', 'kafka-javascript', 'deps', 'librdkafka', 'src')
const folder = join(root, '.cache', 'sanitize')
/** Races on one hand; leaks, use after free and what C++ leaves undefined on the other: one build cannot have both. */
const sanitizers = ['thread', 'address,undefined']
const [seconds = '30', seed = '1'] = process.argv.slice(2)

await runMain(async () => {
  mkdirSync(folder, { recursive: true })
  for (const thread of threads) for (const sanitizer of sanitizers) await stress(thread, sanitizer)
})

async function stress(thread, sanitizer) {
  const program = join(folder, `${thread}-${sanitizer.replace(',', '-')}`)
  const flags = [`-fsanitize=${sanitizer}`, '-fno-sanitize-recover=all', '-std=c++20', '-O1', '-g', '-pthread']
  await run(['g++', ...flags, '-I', headers, join(sources, `${thread}-stress.cc`), '-o', program, '-ldl'], {
    cure: 'It needs g++ with sanitizers.',
  })
  await step(`${seconds} s of the ${thread} with -fsanitize=${sanitizer}, seed ${seed}`, async () => {
    const env = { TSAN_OPTIONS: 'halt_on_error=1', ASAN_OPTIONS: 'detect_leaks=1' }
    process.stdout.write((await run([program, seconds, seed], { env })).trim() + ' ... ')
  })
}
