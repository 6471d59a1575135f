import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** A bug of the kind that sinks have had, as a change to the compiled daemon. */
export interface PlantedBug {
  readonly name: string
  readonly patches: readonly Patch[]
}

interface Patch {
  /** Below `dist/src`; the first that has the text. */
  readonly files: readonly string[]
  readonly from: string
  readonly to: string
}

/** The compiled file that has the patch's text, once. Throws where it is not to be found: then it must be planted anew. */
export function placeOf({ files, from }: Patch, compiled: string): string {
  const paths = files.map((file) => join(compiled, file))
  const found = paths.filter((path) => existsSync(path) && readFileSync(path, 'utf8').includes(from))
  const [path] = found
  if (path === undefined) throw new Error(`«${from}» is not in ${files.join(' or ')} any more: plant it anew`)
  if (readFileSync(path, 'utf8').split(from).length !== 2) throw new Error(`«${from}» is in ${path} more than once`)
  return path
}

const bug = (name: string, file: string | readonly string[], from: string, to: string): PlantedBug => ({
  name,
  patches: [{ files: typeof file === 'string' ? [file] : file, from, to }],
})

const lane = 'lanes/lane.js'
const dispatcher = 'lanes/dispatcher.js'
const assignment = 'lanes/assignment.js'
const loadWriter = 'workers/load-writer.js'
/** A sink's compare-and-swap. */
const swap = ['sinks/position-swap.js', 'sinks/duckdb/duckdb-sink.js']

/** Of the daemon. The sinks' own bugs are planted in the contract suite's zoo. */
export const bugs: readonly PlantedBug[] = [
  bug(
    'commit-before-write',
    lane,
    'this.#inFlight = part;\n',
    'this.#inFlight = part;\n        this.#watermark = part.next;\n',
  ),
  bug(
    'watermark-by-count',
    lane,
    'this.#watermark = Math.max(next, this.#watermark ?? next);',
    'this.#watermark = (this.#watermark ?? part.base) + part.records;',
  ),
  bug('no-fence', swap, 'if (stored?.epoch !== batch.epoch)', 'if (stored === undefined)'),
  bug(
    'fence-taken-for-success',
    dispatcher,
    '            default:\n                this.#lose(',
    "            case 'fenced':\n                lane.settle(part.next, { rows: part.records, deduplicated: 0, deadLettered: 0, skipped: 0 });\n                return;\n            default:\n                this.#lose(",
  ),
  bug(
    'late-write-after-lost',
    assignment,
    'const drained = !lost && (await this.#drain(',
    'const drained = (await this.#drain(',
  ),
  {
    name: 'late-commit-after-lost',
    patches: [
      { files: [assignment], from: 'const gone = lost || member.assignmentLost();', to: 'const gone = false;' },
      { files: [assignment], from: 'if (this.#options.member.assignmentLost())', to: 'if (false)' },
    ],
  },
  bug('dead-letter-after-commit', loadWriter, 'await deadLetterAll(loads.map(', 'void deadLetterAll(loads.map('),
  bug('drop-one-on-retry', lane, 'this.#queue.unshift(...slabs.map(', 'this.#queue.unshift(...slabs.slice(1).map('),
  bug('swap-order-on-retry', lane, 'this.#queue.unshift(...slabs.map(', 'this.#queue.push(...slabs.map('),
  bug(
    'retry-taken-for-success',
    dispatcher,
    "            case 'retry': {\n",
    "            case 'retry': {\n                return lane.settle(part.next, { rows: part.records, deduplicated: 0, deadLettered: 0, skipped: 0 });\n",
  ),
  bug(
    'worker-death-taken-for-success',
    dispatcher,
    "            this.#lose(lane, part, 'worker', failure);",
    '            lane.settle(part.next, { rows: part.records, deduplicated: 0, deadLettered: 0, skipped: 0 });',
  ),
  bug('head-not-trimmed', swap, '&& offsets[from] < next)', '&& offsets[from] < -1)'),
  bug('gap-accepted', swap, 'if (next !== null && next < batch.base)', 'if (next !== null && next < -1)'),
  bug(
    'aborted-records-read',
    'kafka/client-settings.js',
    "'enable.auto.commit': false,",
    "'enable.auto.commit': false, 'isolation.level': 'read_uncommitted',",
  ),
  bug(
    'dead-letters-unacknowledged',
    'kafka/dead-letters.js',
    '            return await sent;\n',
    '            sent.catch(() => undefined);\n            return [];\n',
  ),
]
