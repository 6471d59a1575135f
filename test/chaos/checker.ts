import type { DuckDBConnection } from '@duckdb/node-api'
import type { Sample } from './sampler.ts'

/** What was found; all but the first group must be 0 for a target that keeps its word. */
export interface Verdict {
  readonly records: number
  readonly rows: number
  readonly deadLetters: number
  readonly skipped: number

  readonly lost: number
  readonly duplicated: number
  /** Rows of records that nobody may see: aborted, or never written. */
  readonly phantom: number
  readonly corrupt: number
  /** A dead letter where a row was due, or the reverse, or a row for what is to be skipped. */
  readonly wrongFate: number
  readonly outOfOrder: number
  readonly deadLettersAltered: number
  /** Samples of a partition in which a committed offset was ahead of what the store had. */
  readonly committedAhead: number

  /** Dead letters stored more than once: allowed, because a topic has no compare-and-swap. */
  readonly deadLettersRepeated: number
  readonly samples: number
  /** The first places of what was found. */
  readonly examples: readonly string[]
}

export const faults = (verdict: Verdict): number =>
  verdict.lost +
  verdict.duplicated +
  verdict.phantom +
  verdict.corrupt +
  verdict.wrongFate +
  verdict.outOfOrder +
  verdict.deadLettersAltered +
  verdict.committedAhead

const examplesMax = 20

/** Set algebra over `truth`, `ledger`, `dead` and `sink`; the target has no part in it. */
export async function check(checker: DuckDBConnection, samples: readonly Sample[]): Promise<Verdict> {
  const examples: string[] = []
  const count = async (name: string, places: string): Promise<number> => {
    await checker.run(`create or replace temp table found as ${places}`)
    const reader = await checker.runAndReadAll(
      `select (select count(*) from found), topic, part, place from found order by all limit ${examplesMax}`,
    )
    const rows = reader.getRows() as [bigint, string, number, bigint][]
    for (const [, topic, part, place] of rows.slice(0, examplesMax - examples.length)) {
      examples.push(`${name}: ${topic}/${part} offset ${place}`)
    }
    return Number(rows[0]?.[0] ?? 0)
  }
  const total = async (query: string): Promise<number> => Number((await checker.runAndReadAll(query)).getRows()[0]![0])

  await checker.run('create view handed as select * from sink semi join ledger using (topic, part, key, sequence)')
  await checker.run(`create table fated as select topic, part, place, 'sink' as fate from sink
    union all select topic, part, place, 'dead' from (select distinct topic, part, place from dead)`)
  return {
    records: await total('select count(*) from truth'),
    rows: await total('select count(*) from sink'),
    deadLetters: await total('select count(*) from dead'),
    skipped: await total(`select count(*) from truth where fate = 'skip'`),
    lost: await count(
      'lost',
      `select topic, part, place from truth anti join fated using (topic, part, place) where fate <> 'skip'`,
    ),
    duplicated: await count('duplicated', 'select topic, part, place from fated group by all having count(*) > 1'),
    phantom: await count(
      'phantom',
      `select topic, part, place from fated anti join truth using (topic, part, place)
       anti join handed using (topic, part, place)`,
    ),
    corrupt: await count(
      'corrupt',
      `select sink.topic, sink.part, sink.place from sink
       left join truth using (topic, part, place) left join handed using (topic, part, place)
       where sink.key is distinct from coalesce(truth.key, handed.key)
          or sink.sequence is distinct from coalesce(truth.sequence, handed.sequence)
          or (truth.checksum is not null and sink.checksum is distinct from truth.checksum)
          or sink.half is distinct from sink.sequence / 2
          or sink.note is distinct from sink.key || ':' || sink.sequence || ':' || repeat('x', (sink.sequence % 40)::int)`,
    ),
    wrongFate: await count(
      'wrong fate',
      `select topic, part, place from truth join fated using (topic, part, place) where truth.fate <> fated.fate`,
    ),
    outOfOrder: await count(
      'out of order',
      `select topic, part, place from (select topic, part, place,
         max(place) over (partition by topic, part order by arrival rows between unbounded preceding and 1 preceding) as before
       from sink) where place < before`,
    ),
    deadLettersAltered: await count(
      'altered dead letter',
      'select distinct topic, part, place from dead join truth using (topic, part, place) where dead.sum <> truth.sum',
    ),
    committedAhead: await countAhead(checker, samples, count),
    deadLettersRepeated: await total(
      'select count(*) - (select count(*) from (select distinct topic, part, place from dead)) from dead',
    ),
    samples: samples.length,
    examples,
  }
}

/** Rows that a sample should have had below the committed offset: what the log has there now, compacted or not. */
async function countAhead(
  checker: DuckDBConnection,
  samples: readonly Sample[],
  count: (name: string, places: string) => Promise<number>,
): Promise<number> {
  await checker.run('create table sampled (topic varchar, part integer, place bigint, had bigint)')
  const appender = await checker.createAppender('sampled')
  for (const { bounds, rows } of samples) {
    bounds.forEach(({ topic, partition, offset }, index) => {
      appender.appendVarchar(topic)
      appender.appendInteger(partition)
      appender.appendBigInt(BigInt(offset))
      appender.appendBigInt(BigInt(rows[index]!))
      appender.endRow()
    })
  }
  appender.closeSync()
  return count(
    'committed ahead',
    `with ranked as (
       select topic, part, place, row_number() over (partition by topic, part order by place) as due
       from truth where fate = 'sink')
     select s.topic, s.part, s.place from sampled s
     asof left join ranked r on s.topic = r.topic and s.part = r.part and s.place > r.place
     where s.had < coalesce(r.due, 0)`,
  )
}
