import { maskPasswords, secretMark } from './mask-passwords.ts'
import { configSchema, propertiesOf } from './schema.ts'
import type { Config, SinkOptions } from './schema.ts'

// What the options of a configuration's sinks are: a configuration itself is plain data, to be printed and cloned.
const sinkOptionsOf = new WeakMap<Config, SinkOptions>()

/**
 * To be called for every configuration that is made: `maskedConfig` then knows which options of its sinks are secret.
 */
export function rememberSinkOptions(config: Config, sinkOptions: SinkOptions): void {
  sinkOptionsOf.set(config, sinkOptions)
}

/**
 * The configuration as it may be logged and shown: secrets replaced by `[secret]`, and passwords within other texts
 * too (`postgres://user:[secret]@host`). A copy of a configuration no longer tells which options of its sinks are
 * secret, so all of them are hidden then.
 */
export function maskedConfig(config: Config): Config {
  const sinkOptions = sinkOptionsOf.get(config) ?? {}
  const isSecret = (place: readonly string[]): boolean => {
    const [section, name = '', key = ''] = place
    if (section === 'sinks' && place.length === 3)
      return key !== 'type' && isSecretOption(config, name, key, sinkOptions)
    if (section === 'kafka' && name === 'properties' && place.length === 3) return secretProperty.test(key)
    return secretKeys.has(place.join('.'))
  }
  return mask(config, [], isSecret) as Config
}

const secretKeys: ReadonlySet<string> = new Set(
  propertiesOf(configSchema)
    .filter(([, { sensitive }]) => sensitive === true)
    .map(([place]) => place.join('.')),
)

// Of librdkafka's properties: passwords, keys and certificates in PEM, OAuth secrets and assertions.
const secretProperty = /password|passphrase|secret|credential|\.pem$|oauthbearer\.config$|assertion/i

function isSecretOption(config: Config, sink: string, option: string, sinkOptions: SinkOptions): boolean {
  const type = config.sinks[sink]?.type ?? ''
  if (!Object.hasOwn(sinkOptions, type) || !Object.hasOwn(sinkOptions[type]!, option)) return true
  return sinkOptions[type]![option]!.sensitive === true
}

function mask(value: unknown, place: readonly string[], isSecret: (place: readonly string[]) => boolean): unknown {
  if (value !== undefined && isSecret(place)) return secretMark
  if (typeof value === 'string') return maskPasswords(value)
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map((each, at) => mask(each, [...place, String(at)], isSecret))
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, mask(each, [...place, key], isSecret)]))
}
