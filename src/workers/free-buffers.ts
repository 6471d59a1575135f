import { MessageChannel } from 'node:worker_threads'

/** A closed port: what it is given to transfer goes nowhere. */
const nowhere = new MessageChannel().port1
nowhere.close()

/**
 * Frees the bytes of buffers at once; they are empty then. Left to the garbage collector, megabytes of each load would make
 * it look at the whole heap several times a second: V8 has no other way to find that a few large buffers are not needed.
 */
export function freeBuffers(buffers: readonly ArrayBuffer[]): void {
  nowhere.postMessage(null, buffers)
}
