import { strict as assert } from 'node:assert'
import { bookieId, entryId, silentLogger, type BookieId, type LedgerId } from '@strata/base'
import { ManualClock } from '@strata/base/testing'
import {
  availableBookieKey,
  bookieRackKey,
  createLedgerClient,
  encodeAvailableBookie,
  encodeBookieRack,
  LedgerMetadata,
  RegistryBookieDirectory,
  type AvailableBookie,
  type BookieNode,
  type LedgerAppender,
  type LedgerClient,
  type LedgerRecord,
  type NodeGroups,
  type QuorumConfig
} from '@strata/ledger-client'
import { MemoryBookieNode } from '@strata/ledger-client/testing'
import { hasValidDigest, membersOf } from '@strata/ledger-protocol'
import { MemoryMetadataStore } from '@strata/metadata'
import type { AuditTimes } from '../audit-term.ts'
import { Auditor } from '../auditor.ts'
import { declarationKey, encodeDeclaration } from '../care-records.ts'

const HOUR_MS = 3_600_000
export const TIMES: AuditTimes = {
  lostAfterMs: 60_000,
  openLedgerGraceMs: 30_000,
  checkMs: 0,
  verifyMs: 0,
  orphanGraceMs: -1,
  retryMs: 5_000,
  bytesPerSecond: 0
}
export const QUORUM: QuorumConfig = { ensembleSize: 3, writeQuorum: 3, ackQuorum: 2 }

interface WriteOptions {
  readonly quorum?: QuorumConfig
  readonly owner?: string
  readonly groups?: NodeGroups
}

/** Nodes in memory behind a real registry, real metadata and a clock that tests move, with one auditor. */
export class AuditWorld {
  readonly clock: ManualClock
  readonly metadata: MemoryMetadataStore
  readonly nodes: Map<BookieId, MemoryBookieNode>
  readonly directory: RegistryBookieDirectory
  readonly client: LedgerClient
  readonly #auditors: Auditor[] = []
  #wide: RegistryBookieDirectory | undefined
  readonly #rows = new Map<BookieId, AvailableBookie>()

  private constructor(
    directory: RegistryBookieDirectory,
    parts: { nodes: Map<BookieId, MemoryBookieNode>; metadata: MemoryMetadataStore; clock: ManualClock }
  ) {
    this.directory = directory
    this.nodes = parts.nodes
    this.metadata = parts.metadata
    this.clock = parts.clock
    const { metadata, clock } = this
    const doors = { metadata, clock, directory, logger: silentLogger, random: () => 0.5 }
    this.client = createLedgerClient({ ...doors, quorum: QUORUM })
  }

  static async create(count: number, { racks = [] }: { racks?: readonly string[] } = {}): Promise<AuditWorld> {
    const clock = new ManualClock()
    const metadata = new MemoryMetadataStore()
    const nodes = new Map<BookieId, MemoryBookieNode>()
    const connect = ({ bookieId: id }: { bookieId: BookieId }) => {
      const node = nodes.get(id) ?? assert.fail(`no node ${id}`)
      return { ...doorOf(node), close: () => undefined }
    }
    const directory = await RegistryBookieDirectory.open({ metadata, clock, logger: silentLogger, connect })
    const world = new AuditWorld(directory, { nodes, metadata, clock })
    for (let i = 0; i < count; i++) await world.addNode(`n${i}`, racks[i] ?? '')
    return world
  }

  /** With the nodes that set themselves aside, for who puts the metadata right. Closed with the world. */
  async openWideDirectory(): Promise<RegistryBookieDirectory> {
    const { metadata, clock } = this
    const connect = ({ bookieId: id }: { bookieId: BookieId }) => {
      return { ...doorOf(this.node(id)), close: () => undefined }
    }
    const doors = { metadata, clock, logger: silentLogger, connect }
    this.#wide = await RegistryBookieDirectory.open({ ...doors, withSetAside: true })
    return this.#wide
  }

  async addNode(name: string, rack = ''): Promise<BookieId> {
    const id = bookieId(name)
    this.nodes.set(id, new MemoryBookieNode(id))
    await this.#put(`bookies/${name}/identity`, Buffer.from('joined'))
    await this.#register(id, { rack })
    return id
  }

  /** When it leads, and has looked at everything once. */
  async startAuditor(times: Partial<AuditTimes> = {}): Promise<Auditor> {
    const auditor = this.addCandidate('n0', times)
    await auditor.settled()
    return auditor
  }

  /** Leads when nobody else does. */
  addCandidate(name: string, times: Partial<AuditTimes> = {}): Auditor {
    const { metadata, directory, clock } = this
    const auditor = Auditor.start({
      ...{ metadata, directory, clock, ledgers: this.client, logger: silentLogger, random: () => 0.5 },
      ...{ bookieId: bookieId(name), leaseMs: 10_000, times: { ...TIMES, ...times } }
    })
    this.#auditors.push(auditor)
    return auditor
  }

  /** Its lease is gone, and it does not answer. */
  async takeAway(id: BookieId): Promise<void> {
    this.node(id).stop()
    await this.metadata.transact({ compares: [], changes: [{ kind: 'delete', key: availableBookieKey(id) }] })
  }

  /** It is back, with what it held, or (`isEmpty`) with an empty disk. */
  async bringBack(id: BookieId, { isEmpty = false }: { isEmpty?: boolean } = {}): Promise<void> {
    if (isEmpty) this.node(id).loseDisk()
    this.node(id).start()
    await this.#register(id, { incarnation: (this.#rows.get(id)?.incarnation ?? 0) + 1 })
  }

  /** It says of itself that something is wrong. */
  async tellOfTrouble(id: BookieId, ...reasons: string[]): Promise<void> {
    await this.#register(id, { reasons })
  }

  /** Whether it takes new ledgers and copies, as it says itself. */
  async setState(id: BookieId, state: AvailableBookie['state']): Promise<void> {
    await this.#register(id, { state })
  }

  /** As an operator does; what the node says of its rack stays. */
  async putInGroup(id: BookieId, group: string): Promise<void> {
    await this.#put(bookieRackKey(id), Buffer.from(encodeBookieRack({ group, rack: '', hostname: '' })))
  }

  async declare(id: BookieId, kind: 'leaving' | 'destroyed'): Promise<void> {
    const row = { kind, declaredAtMs: this.clock.wallMs(), completedAtMs: undefined }
    await this.#put(declarationKey(id), encodeDeclaration(row))
    if (kind === 'leaving') await this.#register(id, { state: 'decommissioning' })
  }

  node(id: BookieId): MemoryBookieNode {
    return this.nodes.get(id) ?? assert.fail(`no node ${id}`)
  }

  /** With so many entries, all confirmed. */
  async write(count: number, options: WriteOptions = {}): Promise<LedgerAppender> {
    let wake = (): void => undefined
    const { owner = 'test', quorum = QUORUM, groups } = options
    const client = groups === undefined ? this.client : this.client.among(() => groups)
    let failure: Error | undefined
    const onFailed = (error: Error): void => {
      failure = error // later on it may lose its ledger to a recoverer
      wake()
    }
    const listener = { onConfirmed: () => wake(), onFailed }
    const writer = await client.create({ owner, quorum, listener })
    for (let i = 0; i < count; i++) writer.append(Buffer.from(`entry ${i}`))
    while (writer.lastAddConfirmed < count - 1) {
      if (failure !== undefined) throw failure
      await new Promise<void>(resolve => (wake = resolve))
    }
    return writer
  }

  async writeClosed(count: number, options: WriteOptions = {}): Promise<LedgerId> {
    const writer = await this.write(count, options)
    await writer.close()
    return writer.ledgerId
  }

  async record(id: LedgerId): Promise<LedgerRecord> {
    const found = await new LedgerMetadata(this.metadata, this.clock).read(id)
    return found?.record ?? assert.fail(`no ledger ${id}`)
  }

  /** Every entry is good on every node of its write set, and all of these are there. */
  async checkWhole(id: LedgerId, last: number): Promise<void> {
    const { quorum, ensembles } = await this.record(id)
    for (let entry = 0; entry <= last; entry++) {
      const members = membersOf(entryId(entry), quorum, ensembles)
      assert.equal(new Set(members).size, quorum.writeQuorum)
      for (const member of members) {
        const limits = { bytesMax: 1, entriesMax: 1, fence: false }
        const first = entryId(entry)
        const answer = await this.node(member).read({ ledgerId: id, first, last: first, ...limits })
        const [found] = answer.entries
        assert(found !== undefined, `entry ${entry} is not on ${member}`)
        assert(hasValidDigest({ ledgerId: id, ...found }), `entry ${entry} is damaged on ${member}`)
        assert.equal(found.payload.toString(), `entry ${entry}`)
      }
    }
  }

  async close(): Promise<void> {
    for (const auditor of this.#auditors) await auditor.close()
    this.clock.advance(HOUR_MS)
    this.directory.close()
    this.#wide?.close()
    await this.metadata.close()
  }

  async #register(id: BookieId, change: Partial<AvailableBookie>): Promise<void> {
    const row: AvailableBookie = {
      ...{ bookieId: id, address: id, httpAddress: '', rack: '', host: '', freeBytes: 1e9, totalBytes: 1e9 },
      ...{ state: 'writable', softwareVersion: 'test', incarnation: 1, startedAtMs: 0, reasons: [] },
      ...this.#rows.get(id),
      ...change
    }
    this.#rows.set(id, row)
    await this.#put(availableBookieKey(id), encodeAvailableBookie(row))
  }

  async #put(key: string, value: Buffer): Promise<void> {
    await this.metadata.transact({ compares: [], changes: [{ kind: 'put', key, value }] })
  }
}

function doorOf(node: BookieNode): BookieNode {
  return {
    bookieId: node.bookieId,
    add: (request, sink) => node.add(request, sink),
    read: options => node.read(options),
    readRun: request => node.readRun(request),
    addRun: run => node.addRun(run),
    readLac: options => node.readLac(options),
    writeLac: options => node.writeLac(options),
    inventory: options => node.inventory(options),
    heldLedgers: options => node.heldLedgers(options),
    damagedEntries: page => node.damagedEntries(page)
  }
}
