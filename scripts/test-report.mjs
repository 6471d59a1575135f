import { inspect } from 'node:util'

/** What is printed of a file's own output when it failed: the end of it. */
const outputCharactersMax = 64 * 1024
const errorLinesMax = 60

/**
 * Follows a stream of node:test's events: a line for each file, every failure in full, the output of files that failed.
 */
export class TestReport {
  passed = 0
  failed = 0
  skipped = 0
  /** @type {Map<string, { passed: number, failed: number, ms: number, output: string }>} */
  #files = new Map()
  /** @type {(file: string) => string} */
  #sourceOf

  /** @param {(file: string) => string} sourceOf the source of a file that is run; events may name either */
  constructor(sourceOf) {
    this.#sourceOf = sourceOf
  }

  /** @param {AsyncIterable<{ type: string, data: any }>} events */
  async follow(events) {
    for await (const { type, data } of events) {
      if (type === 'test:pass' || type === 'test:fail') this.#count(type === 'test:pass', data)
      else if (type === 'test:stdout' || type === 'test:stderr') this.#keepOutput(data)
    }
    for (const [file, result] of this.#files) printFile(file, result)
    this.#files.clear()
  }

  #count(/** @type {boolean} */ passed, /** @type {any} */ data) {
    const { name, file, nesting, skip, todo, details } = data
    // A suite's fate is that of its tests. But its own hooks can fail, too.
    const failureType = details.error?.failureType
    const result = this.#result(file)
    if (nesting === 0) result.ms += details.duration_ms
    if (failureType === 'subtestsFailed' || failureType === 'testAborted' || (passed && details.type === 'suite'))
      return
    // Named for its file is the file's whole process: its crash, its time-out, or that no test was in it.
    const isFile = name === file
    if (passed && !isFile && (skip !== undefined || todo !== undefined)) this.skipped += 1
    else if (passed && !isFile) {
      this.passed += 1
      result.passed += 1
    } else {
      this.failed += 1
      result.failed += 1
      const cause = passed ? 'there is no test in this file' : explain(details.error)
      console.log(`\nFAILED ${this.#sourceOf(file)}${isFile ? '' : `: ${name}`}\n${indent(cause)}\n`)
    }
  }

  #keepOutput(/** @type {{ file: string, message: string }} */ { file, message }) {
    const result = this.#result(file)
    result.output = (result.output + message).slice(-outputCharactersMax)
  }

  #result(/** @type {string} */ file) {
    const source = this.#sourceOf(file)
    const known = this.#files.get(source)
    if (known) return known
    const result = { passed: 0, failed: 0, ms: 0, output: '' }
    this.#files.set(source, result)
    return result
  }
}

/**
 * @param {string} file
 * @param {{ passed: number, failed: number, ms: number, output: string }} result
 */
function printFile(file, { passed, failed, ms, output }) {
  const count = failed > 0 ? `${failed} of ${passed + failed} FAILED` : `${passed} passed`
  console.log(`  ${file}: ${count}, ${(ms / 1000).toFixed(1)} s`)
  if (failed > 0 && output !== '') console.log(indent(`what it printed:\n${output.trimEnd()}`))
}

/** The test runner wraps what was thrown. An assertion's message has its values already. */
function explain(/** @type {any} */ error) {
  const thrown = error?.code === 'ERR_TEST_FAILURE' ? (error.cause ?? error.message) : error
  const text = thrown?.code === 'ERR_ASSERTION' ? thrown.stack : thrown
  // How the runner came to call the test is the same every time.
  const lines = (typeof text === 'string' ? text : inspect(text))
    .split('\n')
    .filter((line) => !/^\s+at .*\(?node:internal\//.test(line))
  const left = lines.length - errorLinesMax
  return [...lines.slice(0, errorLinesMax), ...(left > 0 ? [`... ${left} more lines`] : [])].join('\n')
}

const indent = (/** @type {string} */ text) => text.replace(/^/gm, '    ')
