import { pino } from 'pino'
import type { Logger } from 'pino'
import pretty from 'pino-pretty'
import { messageChain, MillraceError } from '../errors.ts'

export type { Logger }

/**
 * One JSON object a line on standard output, or a readable line on a terminal. An error shows its code and its chain of
 * causes. Nothing of a payload is ever logged.
 */
export function createLogger(level: string, format: 'auto' | 'json' | 'pretty', isTerminal: boolean): Logger {
  const options = {
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    serializers: { error: serializeError },
  }
  if (format === 'pretty' || (format === 'auto' && isTerminal)) {
    return pino(options, pretty({ colorize: isTerminal, translateTime: 'SYS:HH:MM:ss.l', sync: true, destination: 1 }))
  }
  return pino(options, pino.destination({ dest: 1, sync: true }))
}

function serializeError(error: unknown): object {
  const code = error instanceof MillraceError ? error.code : (error as { code?: unknown } | undefined)?.code
  const stack = error instanceof Error && !(error instanceof MillraceError) ? error.stack : undefined
  return { code, message: messageChain(error), ...(stack ? { stack } : {}) }
}
