import { strict as assert } from 'node:assert'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { silentLogger, systemClock } from '@strata/base'
import {
  ClusterOwnership,
  encodeRow,
  keys,
  NamespaceRowSchema,
  ownershipKeys,
  REACH_PATH,
  TcpPeers,
  type BundleName,
  type BundleTopics
} from '@strata/broker/testing'
import type { EtcdMetadataStore } from '@strata/metadata/etcd'
import { afterAll, afterEach, beforeAll, describe, test } from 'vitest'
import { until } from '../integration/bounds-support.ts'
import { startEtcd, type EtcdPeers } from '../peers/etcd.ts'
import { freshPrefix, openStore, SCRIPTS, START_TIMEOUT_MS } from './etcd-store.ts'
import { FaultyProxy } from './faulty-proxy.ts'

const NAMESPACE = 'public/default'
const LEASE_MS = 3_000
/** Nobody waits for this one to end. */
const LONG_LEASE_MS = 60_000
const soon = (what: string, isTrue: () => boolean): Promise<number> => until(what, 60_000, isTrue)

let etcd: EtcdPeers
beforeAll(async () => {
  etcd = await startEtcd({ scripts: SCRIPTS, arguments: ['--heartbeat-interval=50', '--election-timeout=500'] })
}, START_TIMEOUT_MS)
afterAll(() => etcd.stop())

/** What would be one process: its way to etcd, its port of HTTP, its ownership. */
class Member implements BundleTopics {
  readonly proxy: FaultyProxy
  readonly store: EtcdMetadataStore
  readonly ownership: ClusterOwnership
  readonly notes: string[] = []
  readonly #http: Server
  isSuspended = false

  private constructor(proxy: FaultyProxy, store: EtcdMetadataStore, leaseMs: number) {
    this.proxy = proxy
    this.store = store
    this.ownership = new ClusterOwnership({
      ...{ metadata: store, clock: systemClock, logger: silentLogger },
      ...{ leaseMs, peers: new TcpPeers(systemClock) }
    })
    this.#http = createServer((request, response) => {
      assert.equal(request.url, REACH_PATH)
      void this.ownership.reachesStore().then(reaches => response.end(JSON.stringify({ reaches })))
    })
  }

  static async start(prefix: string, leaseMs: number): Promise<Member> {
    const proxy = await FaultyProxy.open(etcd.first.endpoint)
    const store = await openStore({ endpoints: [proxy.endpoint], prefix, attemptMs: 400 })
    const member = new Member(proxy, store, leaseMs)
    await once(member.#http.listen(0, '127.0.0.1'), 'listening')
    const id = `127.0.0.1:${(member.#http.address() as AddressInfo).port}`
    const urls = { brokerUrl: undefined, brokerUrlTls: undefined, httpUrl: `http://${id}`, httpUrlTls: undefined }
    const described = { id, instance: '', version: '0', startedAtMs: 0, urls, listeners: new Map(), isDraining: false }
    await member.ownership.start({ self: described, topics: member })
    return member
  }

  get id(): string {
    return this.ownership.self.id
  }

  /** As if its process had died: its connections break, its port refuses, and etcd hears nothing more. */
  die(): void {
    this.proxy.silence()
    this.#http.close()
    this.#http.closeAllConnections()
  }

  async end(): Promise<void> {
    this.proxy.heal()
    await this.ownership.close()
    await this.store.close()
    await this.proxy.close()
    this.#http.close()
    this.#http.closeAllConnections()
  }

  loaded() {
    return []
  }

  release(bundle: BundleName): Promise<void> {
    this.notes.push(`release ${bundle.range}`)
    return Promise.resolve()
  }

  drop(bundle: BundleName): Promise<void> {
    this.notes.push(`drop ${bundle.range}`)
    return Promise.resolve()
  }

  preload(): void {
    return
  }

  suspend(isSuspended: boolean): void {
    this.isSuspended = isSuspended
  }
}

describe('ownership over etcd', () => {
  let store: EtcdMetadataStore
  let members: [Member, Member, Member]
  let bundle: BundleName
  async function begin(leaseMs = LEASE_MS): Promise<void> {
    const prefix = freshPrefix()
    store = await openStore({ endpoints: etcd.endpoints, prefix })
    const value = encodeRow(NamespaceRowSchema, { bundleCount: 4 })
    await store.transact({ compares: [], changes: [{ kind: 'put', key: keys.namespace(NAMESPACE), value }] })
    const start = (): Promise<Member> => Member.start(prefix, leaseMs)
    members = [await start(), await start(), await start()]
    await soon('all know all', () => members.every(({ ownership }) => ownership.brokers().length === 3))
    const [first] = await members[0].ownership.bundlesOf(NAMESPACE)
    assert(first !== undefined)
    bundle = first
    assert.equal((await members[0].ownership.locate(bundle, { take: true })).kind, 'here')
  }
  afterEach(async () => {
    for (const member of members) await member.end()
    await store.close()
  })

  /** Who has the bundle, as one member answers. */
  async function ownerSeenBy(member: Member): Promise<string> {
    const placement = await member.ownership.locate(bundle)
    return placement.kind === 'here' ? member.id : placement.broker.id
  }

  test('a bundle moves when it is told to, and everybody knows', async () => {
    await begin()
    const [a, b, c] = members
    await a.ownership.unload(bundle, { to: c.id })
    assert.deepEqual(await Promise.all([a, b, c].map(ownerSeenBy)), [c.id, c.id, c.id])
    assert.deepEqual(a.notes, [`release ${bundle.range}`])
    const hold = c.ownership.holdOf(bundle)
    assert.equal((await store.get(hold?.guard?.key ?? ''))?.version, hold?.epoch)
  })

  test('a process that died is missed at once, and its bundle has an owner long before its lease ends', async () => {
    await begin(LONG_LEASE_MS)
    const [a, b, c] = members
    a.die()
    await soon('the others miss it', () => b.ownership.brokers().length === 2)
    const owner = await ownerSeenBy(c)
    assert([b.id, c.id].includes(owner))
    assert.equal(await ownerSeenBy(b), owner)
  })

  test('one that is cut off suspends, loses its bundle to others, and comes back as another', async () => {
    await begin()
    const [a, b] = members
    const { instance } = a.ownership.self
    a.proxy.silence()
    await soon('it suspends', () => a.isSuspended)
    assert.equal(a.ownership.holdOf(bundle), undefined)
    await soon('the others miss it', () => b.ownership.brokers().length === 2)
    assert.notEqual(await ownerSeenBy(b), a.id)
    a.proxy.heal()
    await soon('it is back', () => !a.isSuspended && a.ownership.hasLease)
    assert.deepEqual(a.notes, [`drop ${bundle.range}`])
    assert.notEqual(a.ownership.self.instance, instance)
    assert.equal(await store.get(ownershipKeys.broker(instance)), undefined)
    assert.notEqual(await ownerSeenBy(a), a.id)
  })

  test('where all are cut off at once, all go on, and all take back what they had', async () => {
    await begin()
    const [a] = members
    for (const { proxy } of members) proxy.silence()
    await soon('nobody has a lease', () => members.every(({ ownership }) => !ownership.hasLease))
    await soon('all go on', () => members.every(({ isSuspended }) => !isSuspended))
    for (const { proxy } of members) proxy.heal()
    await soon('all have leases', () => members.every(({ ownership }) => ownership.hasLease))
    await soon('it is taken back', () => a.ownership.holdOf(bundle) !== undefined)
    assert.deepEqual(a.notes, [])
    assert.equal(await ownerSeenBy(a), a.id)
  })
})
