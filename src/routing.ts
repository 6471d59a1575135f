import type { RouteConfig } from './config/schema.ts'
import { ConfigError } from './errors.ts'

/**
 * The one route of a topic. Throws a ConfigError when two routes want it: a partition is read once a group, so a second
 * reader needs a group (a daemon) of its own.
 */
export function routeOfTopic(routes: readonly RouteConfig[], topic: string): RouteConfig {
  const wanting = routes.filter(({ topics }) => topics.some((each) => matchesTopic(each, topic)))
  const [route, second] = wanting
  if (route && second === undefined) return route
  const message = route
    ? `routes ${wanting.map(({ name }) => name).join(' and ')} both read topic ${topic}; give one of them a daemon with a group of its own`
    : `no route reads topic ${topic}`
  throw new ConfigError('configuration', [{ path: 'routes', message }])
}

/** A topic's name cannot begin with ^, so what does is a pattern. */
export const isPattern = (wanted: string): boolean => wanted.startsWith('^')

export const matchesTopic = (wanted: string, topic: string): boolean =>
  isPattern(wanted) ? new RegExp(wanted).test(topic) : wanted === topic

/** The topics that a route reads now: those it names, there or not, and those of `there` that its patterns match. */
export function namedAndMatched(wanted: readonly string[], there: readonly string[]): string[] {
  const named = wanted.filter((topic) => !isPattern(topic))
  const matched = there.filter((topic) => wanted.some((each) => isPattern(each) && matchesTopic(each, topic)))
  return [...new Set([...named, ...matched])]
}
