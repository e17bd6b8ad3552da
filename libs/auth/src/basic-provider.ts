import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { compare as verifyBcrypt } from 'bcryptjs'
import { apr1 } from './apr1.ts'
import { authError } from './errors.ts'
import type { AuthenticationProvider, Credentials, Identity } from './identity.ts'
import { readKeySource } from './key-source.ts'

const BCRYPT = /^\$2[aby]\$\d{2}\$[./A-Za-z0-9]{53}$/
const APR1 = /^\$apr1\$([./A-Za-z0-9]{1,8})\$[./A-Za-z0-9]{22}$/

/** What a password of nobody is compared with, so that a name that does not exist takes as long as one that does. */
const NOBODY = apr1('', 'nobody')

/**
 * Users and hashed passwords from a file of `htpasswd`: bcrypt and apr1.
 *
 * A password that was right is remembered as a digest under a key of this process, one a user: bcrypt takes a tenth of a
 * second, and over HTTP every request shows it.
 */
export class BasicProvider implements AuthenticationProvider {
  readonly method = 'basic'
  readonly #hashes: ReadonlyMap<string, string>
  readonly #remembered = new Map<string, Buffer>()
  readonly #key = randomBytes(32)

  /** @throws AuthError AUTH_SETTING_INVALID */
  constructor(settings: { readonly basicAuthConf: string }) {
    if (settings.basicAuthConf === '') throw authError('AUTH_SETTING_INVALID', 'basicAuthConf is not set')
    this.#hashes = parseHtpasswd(readKeySource('basicAuthConf', settings.basicAuthConf).toString('utf8'))
  }

  async authenticate({ data }: Credentials): Promise<Identity> {
    const colon = data.indexOf(':')
    if (colon < 1) throw authError('CREDENTIALS_MISSING', 'no user and password were given')
    const role = data.slice(0, colon)
    const password = data.slice(colon + 1)
    if (!(await this.#isRight(role, password))) throw authError('CREDENTIALS_REFUSED', 'user or password is wrong')
    return { role, method: this.method, expiresAtMs: undefined }
  }

  async #isRight(user: string, password: string): Promise<boolean> {
    const digest = createHmac('sha256', this.#key).update(password).digest()
    const remembered = this.#remembered.get(user)
    if (remembered !== undefined && timingSafeEqual(digest, remembered)) return true
    const hash = this.#hashes.get(user)
    const isRight = (await matches(password, hash ?? NOBODY)) && hash !== undefined
    if (isRight) this.#remembered.set(user, digest)
    return isRight
  }
}

async function matches(password: string, hash: string): Promise<boolean> {
  if (BCRYPT.test(hash)) return await verifyBcrypt(password, hash)
  const expected = Buffer.from(hash)
  const actual = Buffer.from(apr1(password, APR1.exec(hash)?.[1] ?? 'nobody'))
  return actual.length === expected.length && timingSafeEqual(actual, expected)
}

/** The line is named, and never what it holds. @throws AuthError AUTH_SETTING_INVALID */
function parseHtpasswd(content: string): Map<string, string> {
  const hashes = new Map<string, string>()
  for (const [index, line] of content.split(/\r?\n/).entries()) {
    if (line.trim() === '' || line.startsWith('#')) continue
    const [user = '', hash = ''] = line.trim().split(':')
    if (user === '' || (!BCRYPT.test(hash) && !APR1.test(hash))) {
      const message = `basicAuthConf: line ${index + 1} is no user with a password hashed by bcrypt or apr1`
      throw authError('AUTH_SETTING_INVALID', message)
    }
    hashes.set(user, hash)
  }
  return hashes
}
