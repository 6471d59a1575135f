import { parentPort, workerData } from 'node:worker_threads'
import { DuckDbLock } from '../../src/sinks/duckdb/duckdb-lock.ts'
import { createSink } from './catalog-sink.ts'

/** What a thread of a test shall do: open a sink and keep it, or take a lock whenever told a path. */
export type ThreadTask =
  | { readonly kind: 'open'; readonly path: string }
  | { readonly kind: 'race'; readonly started: SharedArrayBuffer; readonly racers: number }

const task = workerData as ThreadTask
// A port that is listened to keeps the thread alive.
parentPort!.on('message', (path: string) => {
  if (task.kind === 'race') race(new Int32Array(task.started), task.racers, path)
})
if (task.kind === 'open') {
  await (await createSink({ type: 'duckdb', path: task.path }, 'g')).open()
  parentPort!.postMessage('open')
}

/** All racers leave the loop within nanoseconds: that is where two of them could take one lock. */
function race(started: Int32Array, racers: number, path: string): void {
  Atomics.add(started, 0, 1)
  while (Atomics.load(started, 0) % racers !== 0) continue
  try {
    new DuckDbLock(path)
    parentPort!.postMessage('taken')
  } catch (error) {
    parentPort!.postMessage((error as Error).message)
  }
}
