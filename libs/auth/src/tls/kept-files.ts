import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createSecureContext, type SecureContextOptions } from 'node:tls'
import { every, reasonOf, type Clock, type Logger } from '@strata/base'
import { authError } from '../errors.ts'

/** Paths of PEM files; empty: without. Beside each, the setting that names it. */
export interface TlsFiles {
  readonly certificate: { readonly path: string; readonly setting: string }
  readonly key: { readonly path: string; readonly setting: string }
  /** Of the authorities whose certificates count. */
  readonly authority: { readonly path: string; readonly setting: string }
}

export interface KeptFilesOptions {
  readonly files: TlsFiles
  /** What goes with the files into a context: versions, ciphers. */
  readonly base: SecureContextOptions
  /** How often the files are looked at. */
  readonly refreshSeconds: number
  readonly clock: Clock
  readonly logger: Logger
}

interface Contents {
  readonly certificate: Buffer | undefined
  readonly key: Buffer | undefined
  readonly authority: Buffer | undefined
}

/**
 * The files of one end of TLS, read again once they have changed. Files that cannot be used are logged once, and what was
 * there before goes on counting: a certificate and its key are two files, and are never replaced at one moment.
 */
export class KeptFiles {
  readonly #options: KeptFilesOptions
  readonly #listeners = new Set<(context: SecureContextOptions) => void>()
  readonly #stop: () => void
  #contents: Contents
  #current: SecureContextOptions
  #isReading = false
  #complaint = ''

  private constructor(options: KeptFilesOptions, contents: Contents) {
    this.#options = options
    this.#contents = contents
    this.#current = contextOf(options, contents)
    this.#stop = every(options.clock, Math.max(1, options.refreshSeconds) * 1000, () => {
      void this.refresh()
    })
  }

  /** @throws AuthError AUTH_SETTING_INVALID, which names the setting */
  static async open(options: KeptFilesOptions): Promise<KeptFiles> {
    return new KeptFiles(options, await read(options.files))
  }

  get current(): SecureContextOptions {
    return this.#current
  }

  onChanged(listener: (context: SecureContextOptions) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  close(): void {
    this.#stop()
    this.#listeners.clear()
  }

  /** Looks at the files now. Never rejects. */
  async refresh(): Promise<void> {
    if (this.#isReading) return
    this.#isReading = true
    const { logger, files } = this.#options
    try {
      const contents = await read(files)
      if (!isSame(contents, this.#contents)) {
        this.#current = contextOf(this.#options, contents)
        this.#contents = contents
        logger.info({ event: 'tls.reloaded', certificate: files.certificate.path }, 'certificates were read again')
        for (const listener of this.#listeners) listener(this.#current)
      }
      this.#complaint = ''
    } catch (error) {
      const reason = reasonOf(error)
      if (reason !== this.#complaint) {
        logger.error({ event: 'tls.reload_failed', reason }, 'changed certificates cannot be used: the old ones stay')
      }
      this.#complaint = reason
    } finally {
      this.#isReading = false
    }
  }
}

async function read({ certificate, key, authority }: TlsFiles): Promise<Contents> {
  return { certificate: await readOne(certificate), key: await readOne(key), authority: await readOne(authority) }
}

async function readOne({ path, setting }: TlsFiles['key']): Promise<Buffer | undefined> {
  if (path === '') return undefined
  try {
    return await readFile(path)
  } catch (error) {
    throw authError('AUTH_SETTING_INVALID', `${setting}: its file cannot be read: ${reasonOf(error)}`, error)
  }
}

function isSame(a: Contents, b: Contents): boolean {
  const same = (one: Buffer | undefined, other: Buffer | undefined): boolean =>
    one === undefined || other === undefined ? one === other : one.equals(other)
  return same(a.certificate, b.certificate) && same(a.key, b.key) && same(a.authority, b.authority)
}

/** Tried out before anything goes by it. @throws AuthError AUTH_SETTING_INVALID */
function contextOf({ files, base }: KeptFilesOptions, contents: Contents): SecureContextOptions {
  const { certificate, key, authority } = contents
  if ((certificate === undefined) !== (key === undefined)) {
    const line = `${files.certificate.setting} and ${files.key.setting}: one goes with the other`
    throw authError('AUTH_SETTING_INVALID', line)
  }
  if (certificate !== undefined && key !== undefined) requirePair(files, certificate, key)
  if (authority !== undefined) parsed(files.authority.setting, () => new X509Certificate(authority))
  const context = {
    ...base,
    ...(certificate === undefined ? {} : { cert: certificate }),
    ...(key === undefined ? {} : { key }),
    ...(authority === undefined ? {} : { ca: authority })
  }
  parsed(files.certificate.setting, () => createSecureContext(context))
  return context
}

function requirePair({ certificate, key }: TlsFiles, certificateBytes: Buffer, keyBytes: Buffer): void {
  const shown = parsed(certificate.setting, () => new X509Certificate(certificateBytes))
  const secret = parsed(key.setting, () => createPrivateKey(keyBytes))
  if (shown.checkPrivateKey(secret)) return
  const line = `${key.setting}: the key is not that of the certificate in ${certificate.setting}`
  throw authError('AUTH_SETTING_INVALID', line)
}

/** What a parser says of a key may quote it: only that it failed is told. @throws AuthError AUTH_SETTING_INVALID */
function parsed<Result>(setting: string, parse: () => Result): Result {
  try {
    return parse()
  } catch {
    throw authError('AUTH_SETTING_INVALID', `${setting}: it cannot be used; it must be PEM, without a passphrase`)
  }
}
