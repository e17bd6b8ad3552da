import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

/** Paths of PEM files. */
export interface KeyPair {
  readonly certificate: string
  readonly key: string
}

const run = promisify(execFile)
const KEY_KIND = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2']

/** An authority that signs what a test needs, by the `openssl` of the machine, in a directory of its own. */
export class TestAuthority {
  readonly #folder: string
  #count = 0

  private constructor(folder: string) {
    this.#folder = folder
  }

  static async create(name = 'a test authority'): Promise<TestAuthority> {
    const authority = new TestAuthority(await mkdtemp(join(tmpdir(), 'strata-authority-')))
    const files = ['-keyout', authority.path('authority.key'), '-out', authority.certificate]
    await run('openssl', ['req', '-x509', ...KEY_KIND, ...files, '-subj', `/CN=${name}`])
    return authority
  }

  /** Its own, which others are to trust. */
  get certificate(): string {
    return this.path('authority.pem')
  }

  path(name: string): string {
    return join(this.#folder, name)
  }

  /** @param subject such as `/CN=somebody`, or `/` for nobody; `names` as OpenSSL writes them: `DNS:host,IP:127.0.0.1` */
  async sign(subject: string, names = 'DNS:localhost,IP:127.0.0.1'): Promise<KeyPair> {
    const stem = `signed-${this.#count++}`
    const pair = { certificate: this.path(`${stem}.pem`), key: this.path(`${stem}.key`) }
    const by = ['-CA', this.certificate, '-CAkey', this.path('authority.key')]
    const files = ['-keyout', pair.key, '-out', pair.certificate]
    const said = ['-subj', subject, '-addext', `subjectAltName=${names}`]
    await run('openssl', ['req', '-x509', ...KEY_KIND, ...by, ...files, ...said])
    return pair
  }

  async remove(): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true })
  }
}
