import { MessageChannel } from 'node:worker_threads'

/** A closed port: what it is given to transfer goes nowhere. */
const nowhere = new MessageChannel().port1
nowhere.close()

/**
 * One is emptied before there is anything to do. Until a thread does so for the first time, V8 compiles code that takes it for
 * granted that no buffer is ever emptied, and throws all of that away then: in the middle of the first loads, which is when
 * the decoder has just become fast.
 */
nowhere.postMessage(null, [new ArrayBuffer(1)])

/**
 * Frees the bytes of buffers at once; they are empty then. Left to the garbage collector, megabytes of each load would make
 * it look at the whole heap several times a second: V8 has no other way to find that a few large buffers are not needed.
 */
export function freeBuffers(buffers: readonly ArrayBuffer[]): void {
  nowhere.postMessage(null, buffers)
}
