/** The test run's size, at which a benchmark shows only that it works. */
export const smoke = Boolean(process.env['BENCH_SMOKE'])

export interface Size {
  readonly records: number
  readonly rounds: number
  readonly partitions: number
}

/** Of a benchmark, at full size or at the test run's; BENCH_RECORDS and BENCH_ROUNDS have the last word. */
export function size(full: Omit<Size, 'partitions'>, smokeRecords = 20_000): Size {
  return {
    records: Number(process.env['BENCH_RECORDS'] ?? (smoke ? smokeRecords : full.records)),
    rounds: Number(process.env['BENCH_ROUNDS'] ?? (smoke ? 1 : full.rounds)),
    partitions: 8,
  }
}
