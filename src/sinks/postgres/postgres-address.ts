import { readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import type { ConnectionOptions } from 'node:tls'
import { SinkRefusedError } from '../../errors.ts'

/** As in the configuration. */
export interface PostgresOptions {
  readonly url: string
  readonly password?: string
  readonly sslmode?: string
  /** Paths of PEM files. */
  readonly ca?: string
  readonly certificate?: string
  readonly key?: string
  /** Where the control table is; undefined: in the first schema of the search path. */
  readonly controlSchema?: string
}

/** Where a database is and how it is reached. */
export interface PostgresAddress {
  /** Tried in this order, until one takes writes. */
  readonly hosts: readonly { readonly host: string; readonly port: number }[]
  readonly database: string
  readonly user: string
  readonly password: string
  readonly tls: ConnectionOptions | undefined
  /** `prefer`: a server that has no TLS is talked to without it. */
  readonly tlsMayLack: boolean
  readonly applicationName: string
  /** Without the password: for errors and logs. */
  readonly shown: string
}

export const sslModes = ['disable', 'prefer', 'require', 'verify-ca', 'verify-full'] as const
type SslMode = (typeof sslModes)[number]

const portDefault = 5432
/** What an URL may say beside its parts. */
const parameters = ['sslmode', 'sslrootcert', 'sslcert', 'sslkey', 'application_name', 'target_session_attrs']

/** Reads `postgres://user@host:port,host:port/database?sslmode=...`, as libpq does. Throws a SinkRefusedError. */
export function parseAddress(options: PostgresOptions): PostgresAddress {
  const parts = /^postgres(?:ql)?:\/\/(?:([^/?@]*)@)?([^/?@]*)(?:\/([^?]*))?(?:\?(.*))?$/.exec(options.url)
  // The text is not repeated: it may hold a password.
  if (parts === null) throw new SinkRefusedError('url: must be like postgres://user@host:5432/database')
  const [, account = '', hosts = '', database = '', query = ''] = parts
  const [user = '', inUrl = ''] = splitAt(account, ':').map(decoded)
  const asked = new URLSearchParams(query)
  refuseUnknown(asked)
  const address = {
    hosts: hosts.split(',').map(parseHost),
    database: decoded(database) || user,
    user,
    password: options.password ?? inUrl,
    applicationName: asked.get('application_name') ?? 'millrace',
  }
  if (user === '') throw new SinkRefusedError('url: must name the user: postgres://user@host/database')
  const mode = sslMode(options.sslmode ?? asked.get('sslmode') ?? 'prefer')
  const files = {
    ca: options.ca ?? asked.get('sslrootcert') ?? undefined,
    certificate: options.certificate ?? asked.get('sslcert') ?? undefined,
    key: options.key ?? asked.get('sslkey') ?? undefined,
  }
  const shown = `postgres://${user}@${hosts}/${address.database}`
  return { ...address, shown, tls: tlsOptions(mode, files), tlsMayLack: mode === 'prefer' }
}

const splitAt = (text: string, mark: string): [string, string] => {
  const at = text.indexOf(mark)
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)]
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw new SinkRefusedError('url: holds a `%` that begins no %XX; write %25 for a plain one')
  }
}

function parseHost(text: string): { host: string; port: number } {
  const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^:]*))(?::(\d+))?$/.exec(text) ?? []
  const host = bracketed ?? plain
  if (host === undefined || host === '')
    throw new SinkRefusedError(`url: must name a host, such as @db.example.org:5432`)
  return { host: decoded(host), port: port === undefined ? portDefault : Number(port) }
}

function refuseUnknown(asked: URLSearchParams): void {
  for (const name of asked.keys()) {
    if (parameters.includes(name)) continue
    throw new SinkRefusedError(`url: has the parameter ${name}, and only ${parameters.join(', ')} are known`)
  }
  const attributes = asked.get('target_session_attrs') ?? 'read-write'
  if (!['read-write', 'primary'].includes(attributes)) {
    throw new SinkRefusedError(`url: target_session_attrs can only be read-write, which it is without being named`)
  }
}

function sslMode(word: string): SslMode {
  const mode = sslModes.find((each) => each === word)
  if (mode !== undefined) return mode
  const hint = word === 'allow' ? '; `prefer` also takes a connection without TLS' : ''
  throw new SinkRefusedError(`sslmode: must be ${sslModes.join(', ')}${hint}`)
}

interface TlsFiles {
  readonly ca: string | undefined
  readonly certificate: string | undefined
  readonly key: string | undefined
}

function tlsOptions(mode: SslMode, files: TlsFiles): ConnectionOptions | undefined {
  if (mode === 'disable') return undefined
  if ((files.certificate === undefined) !== (files.key === undefined)) {
    throw new SinkRefusedError('certificate and key: one is of no use without the other')
  }
  const read = (name: keyof TlsFiles) => (files[name] === undefined ? {} : { [pems[name]]: readPem(name, files[name]) })
  // As in libpq: with a file of authorities, `require` looks at the certificate too.
  const verify = mode.startsWith('verify') || (mode === 'require' && files.ca !== undefined)
  const anyName = mode === 'verify-full' ? {} : { checkServerIdentity: () => undefined }
  return { ...read('ca'), ...read('certificate'), ...read('key'), rejectUnauthorized: verify, ...anyName }
}

const pems = { ca: 'ca', certificate: 'cert', key: 'key' } as const

function readPem(name: string, path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw new SinkRefusedError(`${name}: the file ${path} cannot be read (${(error as NodeJS.ErrnoException).code})`)
  }
}

/** `db1:5432`, `[::1]:5432` */
export const hostText = ({ host, port }: PostgresAddress['hosts'][number]): string =>
  isIP(host) === 6 ? `[${host}]:${port}` : `${host}:${port}`
