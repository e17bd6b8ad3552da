import { ClientTls } from '@strata/auth'
import { bookieId, silentLogger, systemClock } from '@strata/base'
import { createLedgerClient } from '@strata/ledger-client'
import { directoryOf, MemoryBookieNode } from '@strata/ledger-client/testing'
import { createManagedLedgerFactory, type ManagedLedgerFactory } from '@strata/managed-ledger'
import { MemoryMetadataStore } from '@strata/metadata'
import { createBroker, type Broker } from '../../broker.ts'
import { defaultBrokerSettings, type BrokerSettings } from '../../config/settings.ts'
import { RawClient } from '../../connection/testing/raw-client.ts'
import { ClusterOwnership } from '../../ownership/cluster-ownership.ts'
import { placeByHash, type Place } from '../../ownership/placement.ts'
import { TcpPeers } from '../../ownership/tcp-peers.ts'
import type { Method } from '../route.ts'
import { createAdminServer, type AdminServer } from '../server.ts'

interface Answer {
  readonly status: number
  readonly body: unknown
  readonly location: string
}

/** One broker of several, in one process with the others: real sockets, storage and metadata in memory. */
export class Member {
  readonly broker: Broker
  readonly admin: AdminServer
  readonly #logs: ManagedLedgerFactory
  readonly #clientTls: ClientTls | undefined
  readonly #clients: RawClient[] = []

  constructor(parts: {
    broker: Broker
    admin: AdminServer
    logs: ManagedLedgerFactory
    clientTls: ClientTls | undefined
  }) {
    this.broker = parts.broker
    this.admin = parts.admin
    this.#logs = parts.logs
    this.#clientTls = parts.clientTls
  }

  get id(): string {
    const { web, webTls } = this.broker.ports
    return `127.0.0.1:${web < 0 ? webTls : web}`
  }

  get brokerUrl(): string {
    return `pulsar://127.0.0.1:${this.broker.ports.broker}`
  }

  async connect(): Promise<RawClient> {
    const client = await RawClient.open({ port: this.broker.ports.broker })
    await client.connect()
    this.#clients.push(client)
    return client
  }

  /** As a tool that follows redirects, unless told otherwise. `path` is under `/admin/v2` unless it starts with a slash. */
  async call(method: Method, path: string, options: { body?: unknown; redirect?: 'manual' } = {}): Promise<Answer> {
    const url = `http://${this.id}${path.startsWith('/') ? path : `/admin/v2/${path}`}`
    const answer = await fetch(url, {
      method,
      redirect: options.redirect ?? 'follow',
      ...(options.body === undefined ? {} : { body: JSON.stringify(options.body) })
    })
    return {
      status: answer.status,
      body: parsed(await answer.text()),
      location: answer.headers.get('location') ?? ''
    }
  }

  async close(): Promise<void> {
    for (const client of this.#clients) client.destroy()
    await this.broker.close()
    await this.admin.close()
    await this.#logs.close()
    this.#clientTls?.close()
  }
}

/** Brokers that share what is in memory here. */
export class ClusterWorld {
  readonly metadata = new MemoryMetadataStore()
  readonly node = new MemoryBookieNode(bookieId('one'))
  readonly members: Member[] = []

  static async start(count: number, settings: Partial<BrokerSettings> = {}): Promise<ClusterWorld> {
    const world = new ClusterWorld()
    for (let index = 0; index < count; index++) await world.join(settings)
    return world
  }

  async join(settings: Partial<BrokerSettings> = {}): Promise<Member> {
    const clock = systemClock
    const logger = silentLogger
    const { metadata } = this
    const ledgers = createLedgerClient({
      ...{ metadata, clock, logger, directory: directoryOf([this.node]) },
      quorum: { ensembleSize: 1, writeQuorum: 1, ackQuorum: 1 },
      random: () => 0.5
    })
    const logs = createManagedLedgerFactory({ metadata, ledgers, cacheBytesMax: 16 << 20, clock })
    const all = { ...defaultBrokerSettings(), brokerServicePort: 0, webServicePort: 0, ...settings }
    const clientTls = all.brokerClientTlsEnabled ? await ClientTls.open(all, { clock, logger }) : undefined
    const balance: { place: Place } = { place: placeByHash }
    const ownership = new ClusterOwnership({
      ...{ metadata, clock, logger, peers: new TcpPeers(clock, clientTls) },
      place: request => balance.place(request),
      leaseMs: 10_000
    })
    const broker = await createBroker({ settings: all, metadata, logs, clock, logger, ownership, clientTls })
    balance.place = broker.balance.place
    const admin = createAdminServer({ broker, clock, logger })
    await broker.listen()
    await admin.start()
    await broker.serve()
    const member = new Member({ broker, admin, logs, clientTls })
    this.members.push(member)
    return member
  }

  async close(): Promise<void> {
    for (const member of this.members) await member.close()
    await this.metadata.close()
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return text
  }
}
