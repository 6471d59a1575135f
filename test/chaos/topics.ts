import { uniqueName } from '../support/kafka-broker.ts'

/** The topics of a run, by what their logs are like. */
export interface Topics {
  readonly plain: string
  /** Written in transactions, some of which are aborted: its log has markers and records that nobody may see. */
  readonly transactional: string
  /** Few keys, often rewritten: its log has holes, more of them as time goes by. */
  readonly compacted: string
  readonly dead: string
}

export const nameTopics = (): Topics => ({
  plain: uniqueName('chaos.plain'),
  transactional: uniqueName('chaos.transactional'),
  compacted: uniqueName('chaos.compacted'),
  dead: uniqueName('chaos.dead'),
})

/** What is read; the dead letters are written. */
export const sourceTopics = ({ plain, transactional, compacted }: Topics): string[] => [plain, transactional, compacted]
