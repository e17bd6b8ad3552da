import type { BookieId } from '@strata/base'
import { Auditor, type AuditedDirectory, type AuditStatus, type AuditTimes } from '@strata/bookie/testing'
import type { BookieNode, FollowingLedgerClient } from '@strata/ledger-client'
import { Actor } from './actor.ts'

/** Production's, shortened to the length of a run. */
const TIMES: AuditTimes = {
  lostAfterMs: 350,
  openLedgerGraceMs: 120,
  checkMs: 600,
  verifyMs: 1_500,
  orphanGraceMs: 200,
  retryMs: 60,
  bytesPerSecond: 0
}
const LEASE_MS = 200

/** A process that stands for election as the one that cares for copies: production's auditor, with a client of its own. */
export class Carer extends Actor {
  readonly #watched = new Map<BookieId, BookieNode>()
  #auditor: Auditor | undefined

  /** undefined: it does not lead. */
  get status(): AuditStatus | undefined {
    return this.process.isDead ? undefined : this.#auditor?.status()
  }

  trigger(kind: 'check' | 'verify'): void {
    this.#auditor?.trigger(kind)
  }

  start(bookieId: BookieId): void {
    this.begin(() => {
      const { metadata, random, process: clock } = this
      const { logger } = this.world
      const doors = { metadata, clock, logger, directory: this.#audited(), ledgers: this.#ledgers() }
      this.#auditor = Auditor.start({ ...doors, bookieId, random: random.next, leaseMs: LEASE_MS, times: TIMES })
      return Promise.resolve()
    })
  }

  #audited(): AuditedDirectory {
    const { registry } = this.world
    return { ...this.directory, node: id => this.#watchedNode(id), bookies: () => registry.bookies() }
  }

  /** What it does to a ledger is known to the history. */
  #watchedNode(id: BookieId): BookieNode | undefined {
    const node = this.node(id)
    const known = this.#watched.get(id)
    if (known !== undefined || node === undefined) return known
    const { history } = this.world
    const watched: BookieNode = {
      bookieId: id,
      add: (request, sink) => {
        history.cared(request.ledgerId)
        node.add(request, sink)
      },
      read: options => {
        history.cared(options.ledgerId)
        return node.read(options)
      },
      readRun: request => {
        history.cared(request.ledgerId)
        return node.readRun(request)
      },
      addRun: run => {
        history.cared(run.ledgerId)
        return node.addRun(run)
      },
      bulk: {
        readRecords: request => node.bulk?.readRecords(request) ?? Promise.resolve(undefined),
        copyFrom: order => {
          history.cared(order.ledgerId)
          return node.bulk?.copyFrom(order) ?? Promise.resolve({ next: order.first, bytes: 0 })
        }
      },
      readLac: options => node.readLac(options),
      writeLac: options => node.writeLac(options),
      inventory: options => {
        history.cared(options.ledgerId)
        return node.inventory(options)
      },
      heldLedgers: options => node.heldLedgers(options),
      damagedEntries: page => node.damagedEntries(page)
    }
    this.#watched.set(id, watched)
    return watched
  }

  #ledgers(): FollowingLedgerClient {
    const { history, isBeingWritten } = this.world
    return {
      ...this.client,
      recover: async id => {
        history.recoveryBegan(id, { isWriterAlive: isBeingWritten(id) })
        try {
          const end = await this.client.recover(id)
          history.ended(id, end, this.name)
          return end
        } finally {
          history.recoveryEnded(id)
        }
      }
    }
  }
}
