// A broker that asks who its clients are: the files, keys and grants that its rows need.
import { execFile } from 'node:child_process'
import { createHmac, randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)
const PROVIDERS = 'org.apache.pulsar.broker.authentication.AuthenticationProvider'
const KEY_KIND = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2']

/** Who has been granted to produce and consume in `public/default`. */
export const BASIC_USER = { user: 'ann', password: 'secret' } as const
const GRANTED = ['writer', BASIC_USER.user, 'certified', 'guest'] as const

/** Paths of PEM files. */
export interface KeyPair {
  readonly certificate: string
  readonly key: string
}

interface Pairs {
  readonly authority: KeyPair
  readonly server: KeyPair
  readonly client: KeyPair
}

export class Guard {
  readonly #secret = randomBytes(40)
  readonly #ports: { readonly broker: number; readonly web: number }
  /** That both sides trust. */
  readonly authority: KeyPair
  readonly #server: KeyPair
  /** Of the role `certified`. */
  readonly client: KeyPair

  private constructor(ports: { broker: number; web: number }, pairs: Pairs) {
    const { authority, server, client } = pairs
    this.#ports = ports
    this.authority = authority
    this.#server = server
    this.client = client
  }

  /** @param folder For its files. @param ports Of TLS. */
  static async make(folder: string, ports: { broker: number; web: number }): Promise<Guard> {
    const authority = await pair(folder, 'authority')
    const server = await pair(folder, 'server', { by: authority, subject: 'localhost' })
    const client = await pair(folder, 'client', { by: authority, subject: 'certified' })
    return new Guard(ports, { authority, server, client })
  }

  get brokerUrlTls(): string {
    return `pulsar+ssl://localhost:${this.#ports.broker}`
  }

  get webUrlTls(): string {
    return `https://localhost:${this.#ports.web}`
  }

  settings(): Record<string, string> {
    return {
      ...{ brokerServicePortTls: `${this.#ports.broker}`, webServicePortTls: `${this.#ports.web}` },
      ...{ tlsCertificateFilePath: this.#server.certificate, tlsKeyFilePath: this.#server.key },
      tlsTrustCertsFilePath: this.authority.certificate,
      ...{ authenticationEnabled: 'true', authorizationEnabled: 'true', superUserRoles: 'root' },
      authenticationProviders: ['Token', 'Basic', 'Tls'].map(kind => PROVIDERS + kind).join(','),
      tokenSecretKey: `data:;base64,${this.#secret.toString('base64')}`,
      // ann:secret, as `openssl passwd -apr1 -salt saltsalt secret` writes it
      basicAuthConf: `data:;base64,${Buffer.from('ann:$apr1$saltsalt$LrttParrLPdxvgutaSXWJ0').toString('base64')}`,
      anonymousUserRole: 'guest',
      // Java tries wrong credentials again and again, and all of a run come from one address
      strataLoginFailuresPerMinute: '1000000'
    }
  }

  token(role: string): string {
    const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
    const signed = `${part({ alg: 'HS256' })}.${part({ sub: role })}`
    return `${signed}.${createHmac('sha256', this.#secret).update(signed).digest('base64url')}`
  }

  async grantAll(webUrl: string): Promise<void> {
    for (const role of GRANTED) {
      const response = await fetch(`${webUrl}/admin/v2/namespaces/public/default/permissions/${role}`, {
        method: 'POST',
        headers: { authorization: `Bearer ${this.token('root')}`, 'content-type': 'application/json' },
        body: '["produce","consume"]'
      })
      if (!response.ok) throw new Error(`${role} was not granted: ${response.status} ${await response.text()}`)
    }
  }
}

/** @param signed Absent: by itself, as an authority is. */
async function pair(folder: string, name: string, signed?: { by: KeyPair; subject: string }): Promise<KeyPair> {
  const made = { certificate: join(folder, `${name}.pem`), key: join(folder, `${name}.key`) }
  const files = ['-keyout', made.key, '-out', made.certificate, '-subj', `/CN=${signed?.subject ?? name}`]
  const by = signed === undefined ? [] : ['-CA', signed.by.certificate, '-CAkey', signed.by.key]
  const names = signed === undefined ? [] : ['-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1']
  await run('openssl', ['req', '-x509', ...KEY_KIND, ...by, ...files, ...names])
  return made
}
