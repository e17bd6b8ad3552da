import { strict as assert } from 'node:assert'
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { MetadataError } from '@strata/metadata'
import { afterAll, beforeAll, describe, test } from 'vitest'
import { startEtcd, type EtcdPeers } from '../peers/etcd.ts'
import { openStore, SCRIPTS, START_TIMEOUT_MS } from './etcd-store.ts'

const put = (key: string) => ({ kind: 'put', key, value: Buffer.from(key) }) as const
const denied = (error: unknown): boolean => MetadataError.is(error, 'DENIED') && !error.retryable

describe('with a password', () => {
  let etcd: EtcdPeers
  const login = { username: 'strata', password: 'right' }
  const prefix = '/strata/ours/'
  beforeAll(async () => {
    etcd = await startEtcd({ scripts: SCRIPTS })
    const base64 = (text: string): string => Buffer.from(text).toString('base64')
    await admin('auth/user/add', { name: 'root', password: 'root' })
    await admin('auth/user/grant', { user: 'root', role: 'root' })
    await admin('auth/role/add', { name: 'strata' })
    const perm = { permType: 'READWRITE', key: base64(prefix), range_end: base64('/strata/ours0') }
    await admin('auth/role/grant', { name: 'strata', perm })
    await admin('auth/user/add', { name: login.username, password: login.password })
    await admin('auth/user/grant', { user: login.username, role: 'strata' })
    await admin('auth/enable', {})
  }, START_TIMEOUT_MS)
  afterAll(() => etcd.stop())
  const admin = (path: string, body: object, token?: string) => etcd.first.post(path, body, token)
  const open = (options: { username?: string; password?: string; prefix?: string }) =>
    openStore({ endpoints: etcd.endpoints, prefix, ...options })

  test('wrong ones, none, and keys of others are refused for good', async () => {
    await assert.rejects(open({ username: 'strata', password: 'wrong' }), denied)
    await assert.rejects(open({ username: 'nobody', password: 'right' }), denied)
    await assert.rejects(open({}), denied)
    await assert.rejects(open({ ...login, prefix: '/strata/theirs/' }), denied)
  })

  test('the token is replaced when the server has forgotten it, also for what must not be sent twice', async () => {
    const store = await open(login)
    let wake = (): void => undefined
    const seen: string[] = []
    await store.watch('', events => {
      seen.push(...events.map(({ key }) => key))
      wake()
    })
    const lease = await store.grantLease(30_000)
    assert((await store.transact({ compares: [], changes: [{ ...put('leased'), lease }] })).committed)
    await etcd.first.kill() // tokens are kept in memory only
    await etcd.first.start()
    assert.equal(Buffer.from((await store.get('leased'))?.value ?? []).toString(), 'leased')
    await etcd.first.kill()
    await etcd.first.start()
    for (;;) {
      try {
        assert((await store.transact({ compares: [{ key: 'a', version: 0 }], changes: [put('a')] })).committed)
        break
      } catch (error) {
        // it is connecting: then nothing was sent
        assert(MetadataError.is(error, 'UNAVAILABLE'))
        assert.equal(await store.get('a'), undefined)
      }
    }
    while (seen.length < 2) await new Promise<void>(resolve => (wake = resolve))
    assert.deepEqual(seen, ['leased', 'a'])
    assert.equal(lease.isLost, false)
    await store.close()
  })

  test('a password that was changed is refused from then on', async () => {
    const { token } = await etcd.first.post<{ token: string }>('auth/authenticate', { name: 'root', password: 'root' })
    await admin('auth/user/add', { name: 'passing', password: 'first' }, token)
    await admin('auth/user/grant', { user: 'passing', role: 'strata' }, token)
    const store = await open({ username: 'passing', password: 'first' })
    await store.get('a')
    await admin('auth/user/changepw', { name: 'passing', password: 'second' }, token)
    await assert.rejects(store.get('a'), denied)
    await store.close()
  })
})

describe('over TLS', () => {
  let folder: string
  let etcd: EtcdPeers
  let endpoints: string[]
  const path = (name: string): string => join(folder, name)
  const openssl = (...args: string[]) => promisify(execFile)('openssl', args, { cwd: folder })
  const keyPair = (name: string) => [
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-nodes',
    '-keyout',
    `${name}.key`
  ]
  const authority = (name: string) =>
    openssl('req', '-x509', ...keyPair(name), '-out', `${name}.pem`, '-subj', `/CN=${name}`, '-days', '2')
  const certificate = async (name: string, usage: string): Promise<void> => {
    await openssl('req', ...keyPair(name), '-out', `${name}.csr`, '-subj', `/CN=${name}`)
    await writeFile(path(`${name}.ext`), `subjectAltName=DNS:localhost\nextendedKeyUsage=${usage}\n`)
    const signing = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2', '-extfile', `${name}.ext`]
    await openssl('x509', '-req', '-in', `${name}.csr`, '-out', `${name}.pem`, ...signing)
  }
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'strata-tls-'))
    await authority('ca')
    await authority('stranger')
    await certificate('server', 'serverAuth,clientAuth')
    await certificate('client', 'clientAuth')
    const tls = { cert: path('server.pem'), key: path('server.key'), clientCa: path('ca.pem') }
    etcd = await startEtcd({ scripts: SCRIPTS, tls })
    endpoints = [etcd.first.endpoint.replace('127.0.0.1', 'localhost')]
  }, START_TIMEOUT_MS)
  afterAll(async () => {
    await etcd.stop()
    await rm(folder, { recursive: true })
  })
  const file = (name: string): Promise<Buffer> => readFile(path(name))
  const unavailable = (error: unknown): boolean => MetadataError.is(error, 'UNAVAILABLE')

  test('both sides prove who they are', async () => {
    const tls = { ca: await file('ca.pem'), cert: await file('client.pem'), key: await file('client.key') }
    const store = await openStore({ endpoints, tls })
    assert((await store.transact({ compares: [], changes: [put('a')] })).committed)
    assert.equal(Buffer.from((await store.get('a'))?.value ?? []).toString(), 'a')
    await store.close()
  })

  test('without a certificate, with a stranger as authority, or in the clear there is no connection', async () => {
    const client = { cert: await file('client.pem'), key: await file('client.key') }
    const brief = { endpoints, patienceMs: 500 }
    await assert.rejects(openStore({ ...brief, tls: { ca: await file('ca.pem') } }), unavailable)
    await assert.rejects(openStore({ ...brief, tls: { ...client, ca: await file('stranger.pem') } }), unavailable)
    await assert.rejects(openStore(brief), unavailable)
  })
})
