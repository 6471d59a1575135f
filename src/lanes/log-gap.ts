import { LogGapError } from '../errors.ts'

/** `kafka.onGap`: what becomes of a partition whose log does not have the position that it is to be read from. */
export type GapRule = 'stop' | 'skip' | 'earliest'

export interface LogRange {
  /** The first offset that the log has. */
  readonly start: number
  /** The offset after its last. */
  readonly end: number
}

/** The log does not have the records from `position` on, though something says that all below it is done. */
export interface Gap {
  /**
   * - expired: the log begins above the position, by retention or because its records were deleted.
   * - cut off: the log ends below the position: a leader that lacked the last records took over.
   * - made anew: the topic was deleted and made again; the position is of the former one.
   */
  readonly kind: 'expired' | 'cut off' | 'made anew'
  readonly position: number
  /** Who has the position. */
  readonly of: 'sink' | 'group'
  readonly log: LogRange
}

/** Where to go on: reading begins at `readFrom`, and what the sink has reaches to `base`; undefined: it has nothing of this log. */
export interface Passage {
  readonly base: number | undefined
  readonly readFrom: number
  /** Offsets that are passed unread. */
  readonly lost: number
}

export function findGap(position: number, of: Gap['of'], log: LogRange): Gap | undefined {
  if (position < log.start) return { kind: 'expired', position, of, log }
  return position > log.end ? { kind: 'cut off', position, of, log } : undefined
}

/** What the rule makes of a gap: where to go on, or the error that the partition stops with. */
export function passGap(gap: Gap, rule: GapRule, partition: string): Passage | LogGapError {
  const { kind, position, of, log } = gap
  if (kind === 'expired' && rule !== 'stop') return { base: position, readFrom: log.start, lost: log.start - position }
  if (kind === 'made anew' && rule === 'earliest') return { base: undefined, readFrom: log.start, lost: 0 }
  // A sink's own position never goes back: its compare-and-swap would take what is read again for what it has.
  if (kind === 'cut off' && rule === 'earliest' && of === 'group')
    return { base: log.start, readFrom: log.start, lost: 0 }
  return new LogGapError(`${partition}: ${describe(gap)}`)
}

function describe({ kind, position, of, log: { start, end } }: Gap): string {
  const has = `position ${position} (of the ${of}), and the log has [${start}, ${end})`
  switch (kind) {
    case 'expired':
      return `records [${position}, ${start}) are gone from the log before they were read: ${has}; set kafka.onGap to skip to go on without them`
    case 'made anew':
      return `the topic was deleted and made anew: ${has} of the new one; set kafka.onGap to earliest to read the new one from its beginning`
    case 'cut off':
      return of === 'sink'
        ? `the log was cut off: ${has}; the sink has rows of [${end}, ${position}) that the log lost: decide on them, then set the sink's position (its table millrace_position) to where to go on`
        : `the log was cut off: ${has}; set kafka.onGap to earliest to read it from its beginning, or move the group's offset`
  }
}
