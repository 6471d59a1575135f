import { ConfigError } from './errors.ts'
import type { PoolSize } from './workers/worker-pool.ts'

/** How `memory.maxBytes` is divided; all in bytes. */
export interface MemoryPlan {
  /** What librdkafka may hold of a partition before it stops fetching it. */
  readonly queuedBytesAPartition: number
  /** What one fetch brings of a partition: it may be under way when the queue is full. */
  readonly fetchBytesAPartition: number
  /** A slab's size: a lane may overdraw its share by one. */
  readonly slabBytesMax: number
  /** A record's: one that is larger cannot be carried, and stops its partition. */
  readonly recordBytesMax: number
  /** A load's size at the most: as much as one may have, or less where the columns of all loads would not fit. */
  readonly loadBytesMax: number
  /** For lanes together: what is read and not yet durable. */
  readonly lanesBytes: number
}

const kibibyte = 1024
const mebibyte = 1024 * kibibyte
/** Less than that a partition makes every fetch tiny. */
const partitionBytesMin = 256 * kibibyte
const slabBytesMin = 64 * kibibyte
const loadBytesMin = 256 * kibibyte
const fetchGrowth = 8
/** A load's columns and its sink's copy of them, in times of its slabs. */
const columnsPerSlabByte = 3

/**
 * Divides the memory: a quarter for librdkafka's queues, a half for the lanes, a quarter for what workers make of loads. For
 * `partitions`, the most that this member can be assigned, and the pools of all sinks. What Node, the binding and a sink's
 * own store take comes on top. Throws a ConfigError with the least that would do.
 */
export function planMemory(maxBytes: number, partitions: number, pools: readonly PoolSize[]): MemoryPlan {
  const loads = pools.reduce((sum, { threads, loadsAThread }) => sum + threads * loadsAThread, 0)
  const share = Math.max(1, partitions)
  const forQueues = Math.floor(maxBytes / 4 / share)
  const lanesBytes = Math.floor(maxBytes / 2)
  const forLoad = Math.floor(maxBytes / 4 / loads / columnsPerSlabByte)
  if (forQueues < partitionBytesMin || forLoad < loadBytesMin) {
    const least = Math.max(share * partitionBytesMin * 4, loads * loadBytesMin * columnsPerSlabByte * 4)
    const cause = `${partitions} partitions and ${loads} loads at once do not fit into ${inMebibytes(maxBytes)}`
    throw new ConfigError('configuration', [
      { path: 'memory.maxBytes', message: `${cause}; at least ${inMebibytes(least)} are needed` },
    ])
  }
  return {
    queuedBytesAPartition: Math.min(64 * mebibyte, Math.floor(forQueues / 2)),
    // A fetch arrives compressed, and grows by what its records take in the queue.
    fetchBytesAPartition: Math.min(mebibyte, Math.floor(forQueues / 2 / fetchGrowth)),
    slabBytesMax: Math.max(slabBytesMin, Math.min(mebibyte, Math.floor(lanesBytes / share / 2))),
    recordBytesMax: Math.min(2 ** 30, Math.floor(maxBytes / 4)),
    loadBytesMax: Math.min(forLoad, Math.max(...pools.map(({ limits }) => limits.maxBytes))),
    lanesBytes,
  }
}

const inMebibytes = (bytes: number): string => `${Math.ceil(bytes / mebibyte)}MiB`
