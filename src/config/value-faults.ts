// What is wrong with a value that is text: undefined when nothing is.

export function brokerFault(value: unknown): string | undefined {
  const isBroker = /^(?:[a-z0-9_]+:\/\/)?(?:\[[0-9a-f:.%]+\]|[^\s/:[\]@]+)(?::\d{1,5})?$/i.test(String(value))
  return isBroker ? undefined : 'must be `host:port`'
}

export function topicFault(value: unknown): string | undefined {
  const topic = String(value)
  if (topic.startsWith('^')) return patternFault(topic)
  return topicNameFault(topic) && 'must be the name of a topic, or a pattern that begins with `^`'
}

export function topicNameFault(value: unknown): string | undefined {
  if (/^(?!\.{1,2}$)[a-zA-Z0-9._-]{1,249}$/.test(String(value))) return undefined
  return 'must be the name of a topic (letters, digits, `.`, `_`, `-`)'
}

export function messageNameFault(value: unknown): string | undefined {
  const isName = /^\.?[a-z_]\w*(?:\.[a-z_]\w*)*$/i.test(String(value))
  return isName ? undefined : 'must be the full name of a message, such as `telemetry.v1.Reading`'
}

// The same pattern is matched by librdkafka (POSIX) when subscribing and by JavaScript when a topic's route is looked
// up, so only what means the same to both will do. POSIX would take `\d` for the letter d and silently match nothing.
function patternFault(pattern: string): string | undefined {
  if (/\\[a-zA-Z0-9]|\(\?|[*+?}]\?|\[:/.test(pattern)) {
    return 'must be a pattern as librdkafka knows them, POSIX extended (`[0-9]` for `\\d`, no `(?`, no lazy repeats)'
  }
  try {
    new RegExp(pattern)
    return undefined
  } catch {
    return 'must be a pattern that compiles'
  }
}
