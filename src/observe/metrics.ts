import { waitReasons } from '../lanes/lane-wait.ts'
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'

const perPartition = ['topic', 'partition', 'route', 'sink'] as const
export type PartitionLabels = Record<(typeof perPartition)[number], string>

/**
 * Every metric of the daemon, in one table: the names are promises to dashboards. Counted once a load, never once a record.
 * The books balance at any time: read = written + deduplicated + dead-lettered + skipped + given up + in flight.
 */
export function createMetrics() {
  const registry = new Registry()
  const registers = [registry]
  const counter = <L extends string>(name: string, help: string, labelNames: readonly L[]) =>
    new Counter<L>({ name: `millrace_${name}`, help, labelNames, registers })
  const gauge = <L extends string>(name: string, help: string, labelNames: readonly L[] = []) =>
    new Gauge<L>({ name: `millrace_${name}`, help, labelNames, registers })
  const histogram = <L extends string>(name: string, help: string, buckets: number[], labelNames: readonly L[]) =>
    new Histogram<L>({ name: `millrace_${name}`, help, buckets, labelNames, registers })
  // Its timer alone, at the default of 10 ms, wakes an idle daemon a hundred times a second.
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: 100 })

  const secondsBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]
  return {
    registry,
    recordsRead: counter('records_read_total', 'Records handed over by the reader.', perPartition),
    rowsWritten: counter('rows_written_total', 'Rows made durable in the sink.', perPartition),
    deduplicated: counter('records_deduplicated_total', 'Records that the sink had already.', perPartition),
    deadLetters: counter('dead_letters_total', 'Records kept in the dead-letter topic.', perPartition),
    skipped: counter('records_skipped_total', "Records left out by the route's rule (tombstones).", perPartition),
    gapRecords: counter(
      'gap_records_total',
      'Offsets passed unread by kafka.onGap, because the log had them no more: lost by retention.',
      perPartition,
    ),
    givenUp: gauge('records_given_up', 'Records read and dropped unwritten since the start, to be read again.'),
    recordsInFlight: gauge('records_in_flight', 'Records read and not yet settled.'),
    lag: gauge('lag_records', 'Records in the log above what is durable, for partitions that are ours.', perPartition),
    watermark: gauge('durable_offset', 'Offset below which every record is durable or dead-lettered.', perPartition),
    committed: gauge('committed_offset', 'Offset that the broker has acknowledged for the group.', perPartition),
    waiting: gauge('lane_waiting_seconds', 'How long a partition has waited for what it waits for now, by reason.', [
      ...perPartition,
      'reason',
    ]),
    loadsInFlight: gauge('loads_in_flight', 'Loads that workers have.', ['sink']),
    bufferedBytes: gauge('buffered_bytes', 'Bytes of slabs in lanes and in flight.'),
    batchSeconds: histogram('batch_seconds', 'Time of a load, by step.', secondsBuckets, ['sink', 'step']),
    loadRecords: histogram(
      'load_records',
      'Records of a load, by the reason of its flush.',
      [1, 10, 100, 1000, 5000, 10_000, 20_000, 50_000, 100_000, 250_000],
      ['sink', 'reason'],
    ),
    loadBytes: histogram(
      'load_bytes',
      'Bytes of a load, by the reason of its flush.',
      [1024, 16_384, 131_072, 1_048_576, 4_194_304, 8_388_608, 16_777_216, 33_554_432],
      ['sink', 'reason'],
    ),
    commits: counter('commits_total', 'Offset commits, by result.', ['result']),
    rebalances: counter('rebalances_total', 'Changes of the assignment, by kind.', ['kind']),
    fenced: counter('fenced_total', 'Writes refused by the sink because another writer claimed the partition.', [
      'sink',
    ]),
    retries: counter('load_retries_total', 'Parts of loads that the sink could not take and that were kept.', [
      'sink',
      'code',
    ]),
    stoppedLanes: gauge('stopped_lanes', 'Partitions that stand still until an operator acts.'),
    schemaReloads: counter('schema_reloads_total', 'Schema files looked at anew on SIGHUP, by result.', ['result']),
    workerDeaths: counter('worker_deaths_total', 'Worker threads that ended unasked.', ['sink']),
    /** Every series of a partition goes when it is given up: its lag belongs to another member then. */
    forget(labels: PartitionLabels): void {
      const counters = [this.recordsRead, this.rowsWritten, this.deduplicated, this.deadLetters, this.skipped]
      const gauges = [this.lag, this.watermark, this.committed]
      for (const metric of [...counters, ...gauges]) metric.remove(labels)
      for (const reason of waitReasons) this.waiting.remove({ ...labels, reason })
    },
  }
}

export type Metrics = ReturnType<typeof createMetrics>
