import { strict as assert } from 'node:assert'
import { execFile } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { LedgerId } from '@strata/base'
import type { FollowingLedgerClient, LedgerAppender, RegistryBookieDirectory } from '@strata/ledger-client'
import type { NodeSecurity } from '@strata/ledger-client/grpc'
import { TestWriter } from '@strata/ledger-client/testing'
import { afterAll, afterEach, beforeAll, beforeEach, describe, test } from 'vitest'
import { startEtcd, type EtcdPeers } from '../peers/etcd.ts'
import type { BookieOptions, BookieProcess } from '../support/bookie-process.ts'
import { THREE_OF_THREE, type NodeClient } from '../support/node-client.ts'
import { NodeCluster } from '../support/node-cluster.ts'
import { startStrataCommand, type Ended } from '../support/strata-command.ts'
import { freshPrefix, SCRIPTS } from './etcd-store.ts'

const SECRET = 'of this cluster alone, and of nobody else'
/** Short, so that a node that stands still is missed soon. */
const LEASE_MS = 3_000

let etcd: EtcdPeers
beforeAll(async () => {
  etcd = await startEtcd({ scripts: SCRIPTS })
})
afterAll(() => etcd.stop())

let cluster: NodeCluster
let nodes: NodeClient
let directory: RegistryBookieDirectory
let client: FollowingLedgerClient
let closing: (() => void)[]

beforeEach(() => {
  cluster = new NodeCluster({ endpoints: etcd.endpoints, prefix: freshPrefix() })
  closing = []
  writeFileSync(join(cluster.root, 'secret'), SECRET)
})
afterEach(async () => {
  for (const close of closing) close()
  await cluster.close()
})

function start(name: string, set: BookieOptions['set'] = {}): Promise<BookieProcess> {
  const strataClusterSecretFile = join(cluster.root, 'secret')
  return cluster.start(name, { metadataStoreSessionTimeoutMillis: LEASE_MS, strataClusterSecretFile, ...set })
}

async function openClient(security: NodeSecurity = { secrets: [SECRET], tls: undefined }): Promise<void> {
  nodes = await cluster.openClient({ security, random: () => 0.3 })
  directory = nodes.directory
  client = nodes.ledgers
}

async function startThree(): Promise<BookieProcess[]> {
  const bookies = await Promise.all(['a', 'b', 'c'].map(name => start(name)))
  await openClient()
  await nodes.writable(3)
  return bookies
}

const until = (isTrue: () => boolean): Promise<void> => nodes.until(isTrue)

interface Writing {
  readonly ledger: LedgerAppender
  readonly texts: string[]
  append(count: number): void
  /** Everything that was appended is confirmed. */
  confirmed(): Promise<void>
}

async function create(): Promise<Writing> {
  let wake = (): void => undefined
  let failure: Error | undefined
  const ledger = await client.create({
    owner: 'log:orders@1',
    listener: {
      onConfirmed: () => wake(),
      onFailed: error => {
        failure = error
        wake()
      }
    }
  })
  const texts: string[] = []
  return {
    ledger,
    texts,
    append(count) {
      for (let i = 0; i < count; i++) {
        texts.push(`entry ${texts.length}`)
        ledger.append(Buffer.from(texts.at(-1) ?? ''))
      }
    },
    async confirmed() {
      while (ledger.lastAddConfirmed < texts.length - 1) {
        if (failure !== undefined) throw failure
        await new Promise<void>(resolve => (wake = resolve))
      }
    }
  }
}

async function readBack(id: LedgerId, last: number): Promise<string[]> {
  const reader = await client.open(id)
  const texts: string[] = []
  while (texts.length <= last) {
    const first = texts.length as never
    const entries = await reader.read({ first, last: last as never, bytesMax: 1_000_000, entriesMax: 1_000 })
    for (const { payload } of entries) texts.push(payload.toString())
  }
  return texts
}

/** Runs `strata` with the cluster's metadata and secret; the line is split at blanks. */
function strata(line: string): Promise<Ended> {
  const access = ['--metadata', cluster.metadataUrl, '--set', `strataClusterSecretFile=${join(cluster.root, 'secret')}`]
  return startStrataCommand([...line.split(' '), ...access]).ended
}

async function records(line: string, code = 0): Promise<Record<string, unknown>[]> {
  const ended = await strata(`${line} --json`)
  assert.equal(ended.code, code, ended.stdout + ended.stderr)
  return ended.stdout
    .split('\n')
    .slice(0, -1)
    .map(each => JSON.parse(each) as Record<string, unknown>)
}

describe('three storage nodes and a metadata store, each in its own process', () => {
  test('a ledger outlives kill -9 of any one of them, and of each in turn', async () => {
    await startThree()
    const writing = await create()
    for (const name of ['a', 'b', 'c']) {
      writing.append(300)
      await cluster.kill(name)
      writing.append(300)
      await writing.confirmed()
      const again = await start(name)
      await until(() => directory.bookies().some(({ address }) => address === again.address))
    }
    writing.append(300)
    await writing.confirmed()
    const end = await client.recover(writing.ledger.ledgerId)
    assert.equal(end.lastEntryId, writing.texts.length - 1)
    assert.deepEqual(await readBack(writing.ledger.ledgerId, end.lastEntryId), writing.texts)
  })

  test('a disk that moves to another address is the same node, and readers find it', async () => {
    const [first] = await startThree()
    assert(first !== undefined)
    const node = directory.node(first.bookieId)
    const writer = new TestWriter(node ?? assert.fail(), 5)
    await writer.append(Buffer.from('here'))
    await first.stop()
    await until(() => directory.writable().length === 2)
    const moved = await start('a')
    assert.equal(moved.bookieId, first.bookieId)
    assert.notEqual(moved.address, first.address)
    await until(() => directory.writable().length === 3)
    assert.equal(directory.node(first.bookieId), node)
    assert.equal((await node?.readLac({ ledgerId: 5 as never, fence: false }))?.authority, true)
    await writer.append(Buffer.from('and there'))
    assert.deepEqual(writer.failed, [])
  })

  test('a node that stands still longer than its lease is missed, and is back when it goes on', async () => {
    const [first] = await startThree()
    first?.signal('SIGSTOP')
    await until(() => directory.writable().length === 2)
    first?.signal('SIGCONT')
    await until(() => directory.writable().length === 3)
    assert.match(first?.log() ?? '', /bookie\.lease_lost/)
  })

  test('who has another secret, or none, is refused by every node', async () => {
    await startThree()
    await openClient({ secrets: ['y'.repeat(40)], tls: undefined })
    for (const { bookieId: id } of directory.bookies()) {
      const writer = new TestWriter(directory.node(id) ?? assert.fail(), 5)
      await writer.append(Buffer.from('forged'))
      assert.deepEqual(writer.failed, [{ entryId: 0, failure: 'UNREACHABLE' }])
    }
  })
})

describe('commands for operators', () => {
  test('show nodes and ledgers, read, verify, and find what is damaged', async () => {
    const bookies = await startThree()
    const writing = await create()
    writing.append(100)
    await writing.confirmed()
    const id = writing.ledger.ledgerId

    const listed = await records('bookies list')
    assert.deepEqual(
      listed.map(bookie => [bookie['bookieId'], bookie['state']]),
      bookies.map(({ bookieId }) => [bookieId, 'writable']).sort()
    )
    const [described] = await records(`bookies describe ${bookies[0]?.bookieId ?? ''}`)
    assert.deepEqual([described?.['ledgers'], described?.['openLedgers']], [1, 1])
    assert.equal((described?.['node'] as Record<string, unknown>)['bookieId'], bookies[0]?.bookieId)

    const [row] = await records('ledgers list --state open --owner orders')
    assert.deepEqual([row?.['ledgerId'], row?.['owner'], row?.['quorum']], [id, 'log:orders@1', THREE_OF_THREE])
    assert.deepEqual(await records('ledgers list --state closed'), [])
    const read = await records(`ledgers read ${id} --from 10 --to 12`)
    assert.deepEqual(
      read.map(entry => [entry['entryId'], Buffer.from(String(entry['dataBase64']), 'base64').toString()]),
      [10, 11, 12].map(entry => [entry, `entry ${entry}`])
    )
    const [why] = await records(`ledgers why ${id}`)
    assert.equal(why?.['standing'], 'unlisted')
    assert.match(String(why['reasons']), /no log orders/)

    const recovered = await records(`ledgers recover ${id}`)
    assert.deepEqual(recovered[0], {
      ...{ ledgerId: id, was: 'open', state: 'closed' },
      ...{ lastEntryId: 99, lengthBytes: writing.texts.join('').length }
    })
    assert.equal((await strata(`ledgers recover ${id}`)).code, 0) // the same again
    const [verified] = await records(`ledgers verify ${id}`)
    assert.deepEqual([verified?.['good'], verified?.['verified']], [300, true])

    await cluster.kill('b')
    const found = await records(`ledgers verify ${id}`, 1)
    assert.deepEqual(found.at(-1), {
      ...{ ledgerId: id, state: 'closed', entries: 100, good: 200, missing: 0, unknown: 0, corrupt: 0 },
      ...{ unreachable: 100, withoutCopy: 0, verified: false }
    })
    await until(() => directory.bookies().length === 2)
    const away = (await records('bookies list')).find(({ state }) => state === 'away')
    assert.equal(away?.['bookieId'], bookies[1]?.bookieId)
  })
})

describe('over TLS', () => {
  const path = (name: string): string => join(cluster.root, 'tls', name)
  const openssl = (...args: string[]) => promisify(execFile)('openssl', args, { cwd: join(cluster.root, 'tls') })
  const keyPair = (name: string) =>
    `-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ${name}.key -subj /CN=${name}`.split(' ')

  async function certificates(): Promise<void> {
    mkdirSync(join(cluster.root, 'tls'))
    for (const name of ['ca', 'stranger-ca']) {
      await openssl('req', '-x509', ...keyPair(name), '-out', `${name}.pem`, '-days', '2')
    }
    writeFileSync(path('names'), 'subjectAltName=DNS:localhost,IP:127.0.0.1\n')
    for (const [name, ca] of Object.entries({ node: 'ca', broker: 'ca', stranger: 'stranger-ca' })) {
      await openssl('req', ...keyPair(name), '-out', `${name}.csr`)
      const signing = ['-CA', `${ca}.pem`, '-CAkey', `${ca}.key`, '-CAcreateserial', '-days', '2', '-extfile', 'names']
      await openssl('x509', '-req', '-in', `${name}.csr`, '-out', `${name}.pem`, ...signing)
    }
  }

  const tlsOf = (name: string): NodeSecurity => ({
    secrets: [],
    tls: {
      authority: readFileSync(path('ca.pem')),
      certificate: readFileSync(path(`${name}.pem`)),
      key: readFileSync(path(`${name}.key`))
    }
  })

  test('a node and a broker prove who they are; without a certificate of the authority there is no connection', async () => {
    await certificates()
    const set = {
      ...{ strataClusterSecretFile: '', tlsCertificatePath: path('node.pem'), tlsKeyStore: path('node.key') },
      tlsTrustStore: path('ca.pem')
    }
    const bookie = await start('a', set)
    const write = async (security: NodeSecurity, ledger: number): Promise<TestWriter> => {
      const node = bookie.node({ security })
      closing.push(() => node.close())
      const writer = new TestWriter(node, ledger)
      await writer.append(Buffer.from('x'))
      return writer
    }
    assert.deepEqual((await write(tlsOf('broker'), 1)).failed, [])
    const refused = [{ entryId: 0, failure: 'UNREACHABLE' }]
    assert.deepEqual((await write(tlsOf('stranger'), 2)).failed, refused)
    assert.deepEqual((await write({ secrets: [], tls: undefined }, 2)).failed, refused)
    const trusting = await write(
      {
        ...tlsOf('broker'),
        tls: { ...tlsOf('broker').tls, authority: readFileSync(path('stranger-ca.pem')) } as never
      },
      2
    )
    assert.deepEqual(trusting.failed, refused)
    const cli = ['--metadata', cluster.metadataUrl, '--set', `tlsCertificatePath=${path('broker.pem')}`]
    const key = ['--set', `tlsKeyStore=${path('broker.key')}`, '--set', `tlsTrustStore=${path('ca.pem')}`]
    const listed = await startStrataCommand(['bookies', 'list', ...cli, ...key]).ended
    assert.match(listed.stdout, new RegExp(bookie.bookieId))
  })
})
