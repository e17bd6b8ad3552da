import type { BookieId, Clock, Logger } from '@strata/base'
import type { MetadataStore } from '@strata/metadata'
import type { BookieDescription, BookieDirectory, BookieNode } from '../contract.ts'
import { LedgerError } from '../errors.ts'
import {
  AVAILABLE_BOOKIES_PREFIX,
  bookieIdOfKey,
  decodeAvailableBookie,
  type AvailableBookie
} from './bookie-records.ts'
import { BookieRacks, placedAs } from './bookie-racks.ts'
import { RegisteredNode, type NodeConnection } from './registered-node.ts'
import { WatchedRows } from './watched-rows.ts'

export interface RegistryOptions {
  readonly metadata: MetadataStore
  readonly clock: Clock
  readonly logger: Logger
  readonly connect: (bookie: { bookieId: BookieId; address: string }) => NodeConnection
  /** How long a node that is no more in the registry is still used where it was. */
  readonly graceMs?: number
  /** Nodes that are set aside count as well, though they are not writable: for who puts the metadata right. */
  readonly withSetAside?: boolean
}

interface Known {
  readonly node: RegisteredNode
  /** As it said last. */
  bookie: AvailableBookie
  /** Is its lease there? */
  isAvailable: boolean
  cancelGrace: () => void
}

const GRACE_MS = 60_000

/**
 * The nodes of a cluster, by watching what they say of themselves in the metadata store.
 *
 * Invariants
 *   R1  A node whose row is gone takes no new ledgers at once. It is still read from and written to where it was for
 *       `graceMs`: that its lease is gone says nothing about the node itself.
 *   R2  One object a node as long as it is known: a node that moved to another address is the same one.
 *   R3  A node that is set aside is as good as gone: what it says does not belong to what the metadata says now.
 *   R4  Where an operator said that a node stands counts over what the node says itself.
 *   R5  Who listens is told after the answers of `writable`, `node` and `bookies` have changed.
 */
export class RegistryBookieDirectory implements BookieDirectory {
  readonly #options: RegistryOptions
  readonly #known = new Map<BookieId, Known>()
  readonly #listeners = new Set<() => void>()
  #rows: WatchedRows | undefined
  #racks: BookieRacks | undefined
  /** Undefined: to be made anew. */
  #writable: readonly BookieDescription[] | undefined
  #isClosed = false

  private constructor(options: RegistryOptions) {
    this.#options = options
  }

  /** Knows every node that is registered when it resolves. @throws MetadataError */
  static async open(options: RegistryOptions): Promise<RegistryBookieDirectory> {
    const directory = new RegistryBookieDirectory(options)
    const { metadata, logger } = options
    try {
      directory.#racks = await BookieRacks.open({ metadata, logger, onChange: () => directory.#changed() })
      directory.#rows = await WatchedRows.open(metadata, AVAILABLE_BOOKIES_PREFIX, (key, value) => {
        directory.#onRow(key, value)
      })
    } catch (error) {
      directory.close()
      throw error
    }
    return directory
  }

  writable(): readonly BookieDescription[] {
    this.#writable ??= this.bookies()
      .filter(({ state }) => state === 'writable')
      .map(({ bookieId, rack, host, freeBytes, group }) => ({
        bookieId,
        freeBytes,
        ...(rack === '' ? {} : { rack }),
        ...(host === '' ? {} : { host }),
        ...(group === undefined ? {} : { group })
      }))
    return this.#writable
  }

  node(id: BookieId): BookieNode | undefined {
    return this.#known.get(id)?.node
  }

  onChange(run: () => void): () => void {
    this.#listeners.add(run)
    return () => this.#listeners.delete(run)
  }

  /** Every node whose lease is there, by id. */
  bookies(): AvailableBookie[] {
    return [...this.#known.values()]
      .filter(({ isAvailable }) => isAvailable)
      .map(({ bookie }) => placedAs(bookie, this.#racks?.of(bookie.bookieId)))
      .sort((a, b) => (a.bookieId < b.bookieId ? -1 : 1))
  }

  /** Fails what is pending with every node. Idempotent. */
  close(): void {
    this.#isClosed = true
    this.#rows?.close()
    this.#racks?.close()
    for (const { node, cancelGrace } of this.#known.values()) {
      cancelGrace()
      node.close()
    }
    this.#known.clear()
    this.#listeners.clear()
    this.#writable = []
  }

  #onRow(key: string, value: Uint8Array | undefined): void {
    const id = bookieIdOfKey(key)
    if (id === undefined || this.#isClosed) return
    if (value === undefined) this.#onGone(id)
    else {
      const bookie = this.#decoded(id, value)
      if (bookie === undefined) return
      if (bookie.state === 'set-aside' && this.#options.withSetAside !== true) this.#onGone(id)
      else this.#onAvailable(bookie)
    }
    this.#changed()
  }

  #changed(): void {
    if (this.#isClosed) return
    this.#writable = undefined
    for (const run of this.#listeners) run()
  }

  #onAvailable(bookie: AvailableBookie): void {
    const { bookieId, address } = bookie
    const known = this.#known.get(bookieId)
    if (known === undefined) {
      const connect = (to: string): NodeConnection => this.#options.connect({ bookieId, address: to })
      const node = new RegisteredNode({ bookieId, address, connect })
      this.#known.set(bookieId, { node, bookie, isAvailable: true, cancelGrace: () => undefined })
      return
    }
    known.cancelGrace()
    known.bookie = bookie
    known.isAvailable = true
    if (known.node.address !== address) {
      const fields = { event: 'bookie.moved', bookieId, from: known.node.address, to: address }
      this.#options.logger.info(fields, 'a storage node has another address')
      known.node.moveTo(address)
    }
  }

  #onGone(id: BookieId): void {
    const known = this.#known.get(id)
    if (known?.isAvailable !== true) return
    known.isAvailable = false
    known.cancelGrace = this.#options.clock.after(this.#options.graceMs ?? GRACE_MS, () => {
      this.#known.delete(id)
      known.node.close()
      for (const run of this.#listeners) run()
    })
  }

  #decoded(id: BookieId, value: Uint8Array): AvailableBookie | undefined {
    try {
      return decodeAvailableBookie(id, value)
    } catch (error) {
      if (!LedgerError.is(error)) throw error
      const fields = { event: 'bookie.row_unreadable', bookieId: id, err: error }
      this.#options.logger.warn(fields, 'what a storage node says of itself cannot be read; the node is not used')
      return undefined
    }
  }
}
