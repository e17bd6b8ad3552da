import { strict as assert } from 'node:assert'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { entryId, ledgerId } from '@strata/base'
import { LedgerError } from '@strata/ledger-client'
import type { GrpcBookieNode } from '@strata/ledger-client/grpc'
import { TestWriter } from '@strata/ledger-client/testing'
import { afterEach, beforeEach, describe, test } from 'vitest'
import { bookieArguments, startBookie, type BookieOptions, type BookieProcess } from '../support/bookie-process.ts'
import { startStrataCommand } from '../support/strata-command.ts'

const SECRET = 'of this cluster alone, and of nobody else'

let root: string
let running: BookieProcess[]
let nodes: GrpcBookieNode[]
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'strata-'))
  running = []
  nodes = []
})
afterEach(async () => {
  for (const node of nodes) node.close()
  for (const bookie of running) await bookie.kill()
  rmSync(root, { recursive: true, force: true })
})

/** The store takes one process at a time: one node. */
const optionsOf = (set: BookieOptions['set'] = {}, name = 'a'): BookieOptions => ({
  data: join(root, name),
  metadataUrl: `level:${join(root, 'metadata')}`,
  set
})

async function start(set: BookieOptions['set'] = {}): Promise<BookieProcess> {
  const bookie = await startBookie(optionsOf(set))
  running.push(bookie)
  return bookie
}

function nodeOf(bookie: BookieProcess, options: Parameters<BookieProcess['node']>[0] = {}): GrpcBookieNode {
  const node = bookie.node(options)
  nodes.push(node)
  return node
}

async function textsOf(node: GrpcBookieNode, ledger: number, count: number): Promise<string[]> {
  const texts: string[] = []
  while (texts.length < count) {
    const answer = await node.read({
      ...{ ledgerId: ledgerId(ledger), first: entryId(texts.length), last: entryId(count - 1) },
      ...{ bytesMax: 1_000_000, entriesMax: 1_000, fence: false }
    })
    if (answer.entries.length === 0) break
    texts.push(...answer.entries.map(({ payload }) => payload.toString()))
  }
  return texts
}

const expected = (count: number): string[] => Array.from({ length: count }, (_, i) => `entry ${i}`)

describe('strata bookie', () => {
  test('what it acknowledged is there after kill -9, and a fence holds', async () => {
    const before = await start()
    const writer = new TestWriter(nodeOf(before), 1)
    for (let i = 0; i < 500; i++) writer.add(Buffer.from(`entry ${i}`), { lac: i - 1 })
    await writer.settled(499)
    await nodeOf(before).readLac({ ledgerId: ledgerId(2), fence: true })
    for (let i = 500; i < 5_000; i++) writer.add(Buffer.from(`entry ${i}`), { lac: i - 1 })
    await writer.settled(600)
    await before.kill()
    await writer.settled(4_999)
    const acknowledged = (writer.added.at(-1) ?? -1) + 1
    assert(acknowledged > 500)

    const after = await start()
    assert.equal(after.bookieId, before.bookieId)
    assert.equal(after.clusterId, before.clusterId)
    const node = nodeOf(after)
    assert.deepEqual(await textsOf(node, 1, acknowledged), expected(acknowledged))
    const late = new TestWriter(node, 2)
    await late.append(Buffer.from('late'))
    assert.deepEqual(late.failed, [{ entryId: 0, failure: 'FENCED' }])
  })

  test('Ctrl-C under load: it ends with 0, every add was answered or failed, and what was acknowledged is there', async () => {
    const before = await start()
    const writer = new TestWriter(nodeOf(before), 1)
    for (let i = 0; i < 20_000; i++) writer.add(Buffer.from(`entry ${i}`), { lac: i - 1 })
    await writer.settled(100)
    assert.equal(await before.stop(), 0)
    await writer.settled(19_999)
    const acknowledged = (writer.added.at(-1) ?? -1) + 1
    const after = await start()
    assert.deepEqual(await textsOf(nodeOf(after), 1, acknowledged), expected(acknowledged))
    assert.equal(await after.stop(), 0)
  })

  test('a request for another cluster or node has no effect', async () => {
    const bookie = await start()
    for (const wrong of [{ clusterId: 'another' }, { nodeId: 'another' }]) {
      const node = nodeOf(bookie, wrong)
      const writer = new TestWriter(node, 1)
      await writer.append(Buffer.from('x'))
      assert.deepEqual(writer.failed, [{ entryId: 0, failure: 'WRONG_NODE' }])
      await assert.rejects(node.readLac({ ledgerId: ledgerId(1), fence: true }), error =>
        LedgerError.is(error, 'WRONG_NODE')
      )
    }
    const right = new TestWriter(nodeOf(bookie), 1)
    await right.append(Buffer.from('x'))
    assert.deepEqual(right.failed, [])
  })

  test('a stranger on the port neither reads nor writes nor fences, and the secret is in no log', async () => {
    const file = join(root, 'secret')
    writeFileSync(file, SECRET)
    const bookie = await start({ strataClusterSecretFile: file })
    const friend = nodeOf(bookie, { security: { secrets: [SECRET], tls: undefined } })
    const writer = new TestWriter(friend, 1)
    await writer.append(Buffer.from('entry 0'))
    for (const secrets of [[], ['x'.repeat(40)]]) {
      const stranger = nodeOf(bookie, { security: { secrets, tls: undefined } })
      const forger = new TestWriter(stranger, 1)
      await forger.append(Buffer.from('forged'), { entry: 1 })
      assert.deepEqual(forger.failed, [{ entryId: 1, failure: 'UNREACHABLE' }])
      await assert.rejects(textsOf(stranger, 1, 1), error => LedgerError.is(error, 'UNAVAILABLE'))
      await assert.rejects(stranger.readLac({ ledgerId: ledgerId(1), fence: true }))
    }
    await writer.append(Buffer.from('entry 1'))
    assert.deepEqual(writer.failed, [])
    assert.deepEqual(await textsOf(friend, 1, 2), expected(2))
    assert.match(bookie.log(), /bookie\.call_refused/)
    assert(!bookie.log().includes(SECRET))
  })

  test('a disk of another cluster is refused, in one line', async () => {
    const bookie = await start()
    await bookie.stop()
    const options = { ...optionsOf(), metadataUrl: `level:${join(root, 'other')}` }
    const other = await startBookie({ ...options, data: join(root, 'b') })
    assert.equal(await other.stop(), 0)
    await refused(bookieArguments(options), 1, 'another cluster', 'metadataStoreUrl')
  })

  test('a directory that a running node has is refused, and by whom it is used', async () => {
    const bookie = await start()
    const options = { ...optionsOf(), metadataUrl: `level:${join(root, 'other')}` }
    await refused(bookieArguments(options), 1, String(bookie.pid), 'journalDirectories')
    await refused(bookieArguments(optionsOf({}, 'b')), 1, 'open in another process')
  })
})

/** Ends with one line that has all `parts`; logs before it are not counted. */
async function refused(args: readonly string[], code: number, ...parts: string[]): Promise<void> {
  const ended = await startStrataCommand(args).ended
  assert.equal(ended.code, code, ended.stderr)
  assert.equal(ended.stdout, '')
  const lines = ended.stderr
    .trim()
    .split('\n')
    .filter(line => !line.startsWith('{'))
  assert.equal(lines.length, 1, ended.stderr)
  for (const part of ['strata: ', ...parts]) assert(lines[0]?.includes(part), `${part} is not in: ${lines[0]}`)
}

describe('what stops a start', () => {
  const cases: [string, number, Record<string, string>, string[]][] = [
    ['no metadata store', 78, { metadataStoreUrl: '' }, ['metadataStoreUrl']],
    [
      'a store of a kind there is not',
      78,
      { metadataStoreUrl: 'zk:localhost:2181' },
      ['metadataStoreUrl', 'etcd:http']
    ],
    ['a setting there is not', 78, { bookiePrt: '1' }, ['bookiePrt', 'config describe']],
    ['a setting of BookKeeper by another name', 78, { zkServers: 'a:2181' }, ['zkServers', 'metadataStoreUrl']],
    ['a setting that is no number', 78, { bookiePort: 'x' }, ['bookiePort', 'number']],
    ['a port that strangers reach', 1, { bindAddress: '0.0.0.0' }, ['bindAddress', 'strataClusterSecretFile']],
    [
      'a secret file that is not there',
      1,
      { strataClusterSecretFile: '/nowhere' },
      ['strataClusterSecretFile', 'ENOENT']
    ]
  ]
  for (const [name, code, set, parts] of cases) {
    test(name, () => refused(bookieArguments(optionsOf(set)), code, ...parts))
  }
})

describe('commands for operators, on a store that no process has open', () => {
  test('nodes that are away are listed; what is not there is said in one line', async () => {
    const bookie = await start()
    await bookie.stop()
    const store = ['--metadata', `level:${join(root, 'metadata')}`]
    const listed = await startStrataCommand(['bookies', 'list', '--json', ...store]).ended
    assert.deepEqual(JSON.parse(listed.stdout), { bookieId: bookie.bookieId, state: 'away' })
    assert.equal((await startStrataCommand(['ledgers', 'list', '--json', ...store]).ended).stdout, '')
    await refused(['ledgers', 'describe', '7', ...store], 1, 'no ledger 7')
    await refused(['bookies', 'describe', 'nobody', ...store], 1, 'no node nobody')
    await refused(['ledgers', 'list', '--metadata', `level:${join(root, 'nothing')}`], 78, 'no store is there')
    await refused(['ledgers', 'list'], 64, '--metadata')
  })
})
