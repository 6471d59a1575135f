import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface Certificate {
  readonly certificate: string
  readonly key: string
}

/** An authority of a test's own, by the system's openssl. */
export class CertificateAuthority {
  readonly folder = mkdtempSync(join(tmpdir(), 'millrace-certificates-'))
  readonly certificate: string
  #count = 0

  constructor() {
    const subject = ['-subj', '/CN=test authority', '-days', '2', '-nodes']
    this.#openssl('req', '-x509', ...newKey, ...subject, '-keyout', 'ca.key', '-out', 'ca.pem')
    this.certificate = this.#read('ca.pem')
  }

  /** For a server (`localhost`) or a client (the name of a role). */
  issue(name: string): Certificate {
    const file = `issued-${++this.#count}`
    this.#openssl('req', ...newKey, '-nodes', '-subj', `/CN=${name}`, '-keyout', `${file}.key`, '-out', `${file}.csr`)
    writeFileSync(join(this.folder, `${file}.ext`), `subjectAltName=DNS:${name}\n`)
    const authority = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial']
    const extended = ['-days', '2', '-extfile', `${file}.ext`]
    this.#openssl('x509', '-req', '-in', `${file}.csr`, ...authority, ...extended, '-out', `${file}.pem`)
    return { certificate: this.#read(`${file}.pem`), key: this.#read(`${file}.key`) }
  }

  /** Writes a file beside the authority's own, and gives its path. */
  file(name: string, text: string): string {
    writeFileSync(join(this.folder, name), text)
    return join(this.folder, name)
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true })
  }

  #read(name: string): string {
    return readFileSync(join(this.folder, name), 'utf8')
  }

  #openssl(...args: readonly string[]): void {
    const { status, stderr, error } = spawnSync('openssl', args, { cwd: this.folder, encoding: 'utf8' })
    if (status !== 0) throw new Error(`openssl ${args[0]} failed: ${stderr}`, { cause: error })
  }
}

const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1']
