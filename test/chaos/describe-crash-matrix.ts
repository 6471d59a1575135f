import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { failPlaces } from '../../src/fail-points.ts'
import type { FailPlace } from '../../src/fail-points.ts'
import { cellOf, runCell, writeMatrixLog } from './crash-matrix.ts'
import type { Cell, MatrixLog } from './crash-matrix.ts'
import type { Store } from './store.ts'
import { sharedKafkaBroker } from '../support/kafka-broker.ts'
import type { SharedKafkaBroker } from '../support/kafka-broker.ts'

/** The whole matrix takes longer than a file of the suite may: run it by itself, as docs/RELIABILITY.md tells. */
const whole = process.env['MILLRACE_TEST_CRASH_MATRIX'] === 'all'
/** Where an error leaves more open than a kill does: the process goes on with what it knows. */
const thrown: readonly FailPlace[] = [
  'after-write-before-sink-commit',
  'after-sink-commit-before-reply',
  'in-dead-letter-write',
]
const cells = failPlaces.flatMap((place): Cell[] => {
  const actions: Cell['action'][] = whole
    ? ['kill', 'throw', 'delay:1500']
    : thrown.includes(place)
      ? ['kill', 'throw']
      : ['kill']
  return actions.map((action) => cellOf(place, action))
})

/** `places`: those that the store has. `open` makes a store of a cell's own. */
export function describeCrashMatrix(
  name: string,
  places: readonly FailPlace[],
  open: (folder: string) => Promise<Store>,
): void {
  let broker: SharedKafkaBroker
  let folder: string
  let log: MatrixLog
  before(async () => {
    broker = await sharedKafkaBroker()
    folder = mkdtempSync(join(tmpdir(), 'millrace-crash-'))
    log = await writeMatrixLog(broker)
  })
  after(async () => {
    rmSync(folder, { recursive: true, force: true })
    await broker.stop()
  })

  describe(`every record has one fate in ${name}, whatever happens to the daemon`, { concurrency: 3 }, () => {
    for (const cell of cells.filter(({ place }) => places.includes(place))) {
      const { place, action } = cell
      test(`${place}: ${action}`, async () => {
        const own = join(folder, `${name}-${place}-${action.slice(0, 5)}`)
        mkdirSync(own)
        const store = await open(own)
        try {
          await runCell(log, cell, store, own)
        } finally {
          await store.stop()
        }
      })
    }
  })
}
