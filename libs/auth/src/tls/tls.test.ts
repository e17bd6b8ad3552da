import { strict as assert } from 'node:assert'
import { once } from 'node:events'
import { copyFile, writeFile } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { connect, createServer, type ConnectionOptions, type Server, type TLSSocket } from 'node:tls'
import { silentLogger, systemClock, type Logger } from '@strata/base'
import { ManualClock } from '@strata/base/testing'
import { afterAll, afterEach, beforeAll, describe, test } from 'vitest'
import { isAuthError } from '../errors.ts'
import { certificateOf } from '../identity.ts'
import { TestAuthority, type KeyPair } from '../testing/index.ts'
import { ciphersOf, versionsOf } from './ciphers.ts'
import { ClientTls } from './client-tls.ts'
import { ServerTls, type ServerTlsSettings } from './server-tls.ts'

let authority: TestAuthority
let stranger: TestAuthority
let server: KeyPair
const closing: (() => void)[] = []

beforeAll(async () => {
  authority = await TestAuthority.create()
  stranger = await TestAuthority.create('nobody we know')
  server = await authority.sign('/CN=server')
})
afterEach(() => {
  for (const close of closing.splice(0)) close()
})
afterAll(async () => {
  await authority.remove()
  await stranger.remove()
})

function settingsOf(changes: Partial<ServerTlsSettings> = {}): ServerTlsSettings {
  return {
    tlsCertificateFilePath: server.certificate,
    tlsKeyFilePath: server.key,
    tlsTrustCertsFilePath: '',
    tlsRequireTrustedClientCertOnConnect: false,
    tlsAllowInsecureConnection: false,
    tlsProtocols: '',
    tlsCiphers: '',
    tlsCertRefreshCheckDurationSec: 300,
    ...changes
  }
}

interface Served {
  readonly tls: ServerTls
  readonly port: number
  /** The next client that got in. */
  next(): Promise<TLSSocket>
}

async function serve(changes: Partial<ServerTlsSettings> = {}, logger: Logger = silentLogger): Promise<Served> {
  const clock = new ManualClock()
  const tls = await ServerTls.open(settingsOf(changes), { clock, logger })
  const listening: Server = createServer(tls.options, socket => {
    socket.on('error', () => undefined)
    if (!tls.admits(socket)) socket.destroy()
    else socket.write('in')
  })
  tls.keep(listening)
  listening.listen(0, '127.0.0.1')
  await once(listening, 'listening')
  closing.push(() => {
    listening.close()
    tls.close()
  })
  const { port } = listening.address() as AddressInfo
  return { tls, port, next: async () => (await once(listening, 'secureConnection'))[0] as TLSSocket }
}

/** The common name that the server shows; throws where it does not let one in. */
async function visit(port: number, options: ConnectionOptions): Promise<string> {
  const socket = connect({ port, host: '127.0.0.1', servername: 'localhost', ...options })
  closing.push(() => socket.destroy())
  const [said] = (await Promise.race([
    once(socket, 'data'),
    once(socket, 'close').then(() => Promise.reject(new Error('it was closed')))
  ])) as [Buffer]
  assert.equal(said.toString(), 'in')
  const subject = socket.getPeerCertificate().subject as { CN?: string }
  return String(subject.CN)
}

async function clientOf(pair?: KeyPair, changes: { verify?: boolean; insecure?: boolean; ca?: string } = {}) {
  const tls = await ClientTls.open(
    {
      brokerClientTrustCertsFilePath: changes.ca ?? authority.certificate,
      brokerClientCertificateFilePath: pair?.certificate ?? '',
      brokerClientKeyFilePath: pair?.key ?? '',
      brokerClientTlsProtocols: '',
      brokerClientTlsCiphers: '',
      tlsAllowInsecureConnection: changes.insecure ?? false,
      tlsHostnameVerificationEnabled: changes.verify ?? true,
      tlsCertRefreshCheckDurationSec: 300
    },
    { clock: systemClock, logger: silentLogger }
  )
  closing.push(() => tls.close())
  return tls.options
}

describe('who is let in', () => {
  test('anybody, where no client is asked for a certificate', async () => {
    const { port } = await serve()
    assert.equal(await visit(port, await clientOf()), 'server')
    assert.equal(await visit(port, await clientOf(await stranger.sign('/CN=x'))), 'server')
  })

  test('with authorities: those without a certificate and those that are trusted, no others', async () => {
    const served = await serve({ tlsTrustCertsFilePath: authority.certificate })
    await visit(served.port, await clientOf())
    const came = served.next()
    await visit(served.port, await clientOf(await authority.sign('/CN=ann')))
    assert.deepEqual(certificateOf(await came)?.commonName, 'ann')
    await assert.rejects(visit(served.port, await clientOf(await stranger.sign('/CN=ann'))))
  })

  test('where one is required: nobody without', async () => {
    const required = { tlsTrustCertsFilePath: authority.certificate, tlsRequireTrustedClientCertOnConnect: true }
    const { port } = await serve(required)
    await assert.rejects(visit(port, await clientOf()))
    await assert.rejects(visit(port, await clientOf(await stranger.sign('/CN=ann'))))
    await visit(port, await clientOf(await authority.sign('/CN=ann')))
  })

  test('where anything is taken, a certificate of nobody trusted still says of nobody who they are', async () => {
    const served = await serve({ tlsTrustCertsFilePath: authority.certificate, tlsAllowInsecureConnection: true })
    const came = served.next()
    await visit(served.port, await clientOf(await stranger.sign('/CN=root')))
    assert.equal(certificateOf(await came)?.isTrusted, false)
  })

  test('versions before 1.2 are not spoken, nor is one that is not named', async () => {
    const { port } = await serve({ tlsProtocols: 'TLSv1.3' })
    await assert.rejects(visit(port, { ...(await clientOf()), maxVersion: 'TLSv1.2', minVersion: 'TLSv1.2' }))
    await visit(port, await clientOf())
  })

  test('a cipher that is not named is not taken', async () => {
    const tlsCiphers = 'TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384'
    const { port } = await serve({ tlsProtocols: 'TLSv1.2', tlsCiphers })
    const options = await clientOf()
    await assert.rejects(visit(port, { ...options, ciphers: 'ECDHE-ECDSA-AES128-GCM-SHA256' }))
    await visit(port, { ...options, ciphers: 'ECDHE-ECDSA-AES256-GCM-SHA384' })
  })
})

describe('whom a client believes', () => {
  test('a server of its authority with the name of the host, unless names do not count', async () => {
    const { port } = await serve()
    await assert.rejects(visit(port, { ...(await clientOf()), servername: 'elsewhere' }))
    await visit(port, { ...(await clientOf(undefined, { verify: false })), servername: 'elsewhere' })
    await assert.rejects(visit(port, await clientOf(undefined, { ca: stranger.certificate, verify: false })))
    await visit(port, await clientOf(undefined, { ca: stranger.certificate, verify: false, insecure: true }))
  })
})

describe('files that change', () => {
  test('new connections see the new certificate; broken files change nothing, and are told once', async () => {
    const lines: string[] = []
    const write = (fields: object): void => void lines.push(JSON.stringify(fields))
    const logger: Logger = { debug: write, info: write, warn: write, error: write, child: () => logger }
    const own = { tlsCertificateFilePath: authority.path('own.pem'), tlsKeyFilePath: authority.path('own.key') }
    const put = async (pair: KeyPair): Promise<void> => {
      await copyFile(pair.certificate, own.tlsCertificateFilePath)
      await copyFile(pair.key, own.tlsKeyFilePath)
    }
    await put(await authority.sign('/CN=first'))
    const { tls, port } = await serve(own, logger)
    const options = await clientOf()
    assert.equal(await visit(port, options), 'first')

    const second = await authority.sign('/CN=second')
    await copyFile(second.certificate, own.tlsCertificateFilePath)
    await tls.refresh()
    await tls.refresh()
    assert.equal(await visit(port, options), 'first', 'a certificate whose key is not there yet')
    assert.equal(lines.filter(line => line.includes('tls.reload_failed')).length, 1)
    await copyFile(second.key, own.tlsKeyFilePath)
    await tls.refresh()
    assert.equal(await visit(port, options), 'second')

    await writeFile(own.tlsKeyFilePath, '-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n')
    await tls.refresh()
    assert.equal(await visit(port, options), 'second')
    assert.ok(!lines.join().includes('c2VjcmV0'), 'nothing of a key is told')
  })
})

describe('settings that cannot be', () => {
  const doors = { clock: systemClock, logger: silentLogger }

  async function refused(changes: Partial<ServerTlsSettings>, words: RegExp): Promise<void> {
    await assert.rejects(
      ServerTls.open(settingsOf(changes), doors),
      error => isAuthError(error, 'AUTH_SETTING_INVALID') && words.test(error.message)
    )
  }

  test('each is named', async () => {
    const other = await authority.sign('/CN=other')
    await refused({ tlsCertificateFilePath: '' }, /tlsCertificateFilePath/)
    await refused({ tlsCertificateFilePath: '/nowhere' }, /tlsCertificateFilePath.*cannot be read/)
    await refused({ tlsKeyFilePath: other.key }, /tlsKeyFilePath: the key is not that of/)
    await refused({ tlsKeyFilePath: server.certificate }, /tlsKeyFilePath: it cannot be used/)
    await refused({ tlsTrustCertsFilePath: server.key }, /tlsTrustCertsFilePath: it cannot be used/)
    await refused({ tlsRequireTrustedClientCertOnConnect: true }, /needs tlsTrustCertsFilePath/)
    await refused({ tlsProtocols: 'TLSv1.1' }, /tlsProtocols: TLSv1.1/)
    await refused({ tlsCiphers: 'ROT13' }, /tlsCiphers: .*ROT13/)
  })

  test('ciphers have the names of OpenSSL and those of Java', () => {
    assert.equal(ciphersOf('c', ''), undefined)
    assert.equal(ciphersOf('c', 'TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256'), 'ECDHE-RSA-AES128-GCM-SHA256')
    assert.equal(ciphersOf('c', 'TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256'), 'ECDHE-RSA-CHACHA20-POLY1305')
    assert.equal(
      ciphersOf('c', 'TLS_RSA_WITH_AES_256_CBC_SHA, TLS_AES_128_GCM_SHA256'),
      'AES256-SHA:TLS_AES_128_GCM_SHA256'
    )
    assert.deepEqual(versionsOf('p', 'TLSv1.3'), { minVersion: 'TLSv1.3', maxVersion: 'TLSv1.3' })
    assert.deepEqual(versionsOf('p', ''), { minVersion: 'TLSv1.2', maxVersion: 'TLSv1.3' })
  })
})
