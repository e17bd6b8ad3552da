import type { BookieId, Clock, Logger } from '@strata/base'
import { WatchedRows, type AvailableBookie, type BookieDirectory } from '@strata/ledger-client'
import type { NodeAbsence, NodeStanding } from '@strata/ledger-protocol'
import type { MetadataStore } from '@strata/metadata'
import {
  bookieOfDeclaration,
  DECLARATIONS_PREFIX,
  decodeDeclaration,
  joinedBookie,
  JOINED_PREFIX,
  type Declaration
} from './care-records.ts'
import { auditorErrors } from './errors.ts'

/** A directory that tells what nodes say of themselves. */
export interface AuditedDirectory extends BookieDirectory {
  /** Every node whose lease is there. */
  bookies(): AvailableBookie[]
}

export interface NodeWatchOptions {
  readonly metadata: MetadataStore
  readonly directory: AuditedDirectory
  readonly clock: Clock
  readonly logger: Logger
  /** How long a node may be away before it counts as gone. */
  readonly lostAfterMs: number
  readonly onChange: () => void
  /** A node that is there tells of other trouble than before. */
  readonly onTrouble: () => void
  /** A node that was there takes copies that it did not take before. */
  readonly onRoom: () => void
}

interface Seen {
  incarnation: number
  trouble: string
  isWritable: boolean
  rack: string
  group: string | undefined
  /** Since when its lease is not there; undefined: it is. */
  awaySinceMs: number | undefined
}

/**
 * How every node of the cluster stands: by the registry, by what operators declared, and by how long it is away.
 *
 * A node is away from the moment that this process sees it so: a new leader grants the whole grace anew. One that comes back,
 * or is there under another incarnation, is a suspect: it may hold less than it did. One that tells of trouble can say itself
 * what it lacks.
 */
export class NodeWatch {
  readonly #options: NodeWatchOptions
  readonly #startedMs: number
  readonly #seen = new Map<BookieId, Seen>()
  readonly #joined = new Set<BookieId>()
  readonly #declared = new Map<BookieId, Declaration>()
  readonly #suspects = new Set<BookieId>()
  readonly #troubled = new Set<BookieId>()
  #closing: (() => void)[] = []
  #cancelGrace: () => void = () => undefined
  #isOpen = false

  private constructor(options: NodeWatchOptions) {
    this.#options = options
    this.#startedMs = options.clock.nowMs()
  }

  /** @throws MetadataError */
  static async open(options: NodeWatchOptions): Promise<NodeWatch> {
    const watch = new NodeWatch(options)
    const { metadata, directory } = options
    try {
      const joined = await WatchedRows.open(metadata, JOINED_PREFIX, (key, value) => watch.#onJoined(key, value))
      watch.#closing.push(() => joined.close())
      const declared = await WatchedRows.open(metadata, DECLARATIONS_PREFIX, (key, value) => {
        watch.#onDeclared(key, value)
      })
      watch.#closing.push(() => declared.close())
    } catch (error) {
      watch.close()
      throw error
    }
    watch.#closing.push(directory.onChange(() => watch.#onRegistry()))
    watch.#onRegistry()
    watch.#suspects.clear() // whoever begins looks at everything
    watch.#troubled.clear()
    watch.#isOpen = true
    watch.#awaitGrace()
    return watch
  }

  close(): void {
    for (const close of this.#closing.splice(0)) close()
    this.#cancelGrace()
    this.#isOpen = false
  }

  /** Away for less than the grace counts as present: it is left alone, and may not answer. */
  standing(id: BookieId): NodeStanding {
    const declared = this.#declared.get(id)
    if (this.isAvailable(id)) return declared?.kind === 'leaving' ? 'leaving' : 'present'
    if (declared?.kind === 'destroyed') return 'destroyed'
    if (declared?.completedAtMs !== undefined) return 'destroyed' // nothing depended on it when it went
    if (this.#goneSinceMs(id) !== undefined) return 'gone'
    return declared === undefined ? 'present' : 'leaving'
  }

  isAvailable(id: BookieId): boolean {
    return this.#seen.get(id)?.awaySinceMs === undefined && this.#seen.has(id)
  }

  /** By what the node itself says: those who place ledgers go by it. */
  takesNewLedgers(id: BookieId): boolean {
    return this.#options.directory.writable().some(({ bookieId }) => bookieId === id)
  }

  /** Of every node that joined and was not let go. */
  absences(): NodeAbsence[] {
    const nodes = new Set([...this.#joined, ...this.#seen.keys()])
    return [...nodes].flatMap(bookieId => {
      const declared = this.#declared.get(bookieId)
      const isLetGo = !this.isAvailable(bookieId) && declared?.completedAtMs !== undefined
      if (isLetGo) return []
      const rack = this.#seen.get(bookieId)?.rack ?? ''
      const goneSinceMs = declared?.kind === 'destroyed' ? undefined : this.#goneSinceMs(bookieId)
      return [{ bookieId, goneSinceMs, ...(rack === '' ? {} : { rack }) }]
    })
  }

  /** Nodes that operators declared, as far as it is not done. */
  leaving(): BookieId[] {
    return [...this.#declared].filter(([, { completedAtMs }]) => completedAtMs === undefined).map(([id]) => id)
  }

  declaration(id: BookieId): Declaration | undefined {
    return this.#declared.get(id)
  }

  /** Those that may hold less than they did, since this was asked last. */
  takeSuspects(): Set<BookieId> {
    const suspects = new Set(this.#suspects)
    this.#suspects.clear()
    return suspects
  }

  /** They may hold less than they did. */
  suspect(nodes: Iterable<BookieId>): void {
    for (const id of nodes) this.#suspects.add(id)
  }

  /** Those that tell of other trouble than before, since this was asked last. */
  takeTroubled(): Set<BookieId> {
    const troubled = new Set(this.#troubled)
    this.#troubled.clear()
    return troubled
  }

  #goneSinceMs(id: BookieId): number | undefined {
    const seen = this.#seen.get(id)
    const awaySinceMs = seen === undefined ? this.#startedMs : seen.awaySinceMs
    if (awaySinceMs === undefined) return undefined
    const goneSinceMs = awaySinceMs + this.#options.lostAfterMs
    return goneSinceMs <= this.#options.clock.nowMs() ? goneSinceMs : undefined
  }

  #onRegistry(): void {
    const nowMs = this.#options.clock.nowMs()
    const available = new Map(this.#options.directory.bookies().map(bookie => [bookie.bookieId, bookie]))
    let isNews = false
    for (const [id, seen] of this.#seen) {
      if (available.has(id) || seen.awaySinceMs !== undefined) continue
      seen.awaySinceMs = nowMs
      isNews = true
    }
    for (const bookie of available.values()) if (this.#onAvailable(bookie)) isNews = true
    if (isNews) this.#changed()
  }

  /** Only what matters for copies: free space changes all the time. */
  #onAvailable({ bookieId, incarnation, reasons, rack, group, state }: AvailableBookie): boolean {
    const isWritable = state === 'writable'
    const trouble = JSON.stringify([state, reasons])
    const now = { incarnation, trouble, isWritable, rack, group, awaySinceMs: undefined }
    const before = this.#seen.get(bookieId)
    this.#seen.set(bookieId, now)
    const wasThere = before !== undefined && before.awaySinceMs === undefined
    if (!wasThere || before.incarnation !== incarnation) {
      this.#suspects.add(bookieId)
      return true
    }
    if (before.trouble !== now.trouble) {
      this.#troubled.add(bookieId)
      if (this.#isOpen) this.#options.onTrouble()
    }
    const hasRoom = isWritable && (!before.isWritable || before.group !== group)
    if (hasRoom && this.#isOpen) this.#options.onRoom()
    return false
  }

  #onJoined(key: string, value: Uint8Array | undefined): void {
    const id = joinedBookie(key)
    if (id === undefined) return
    if (value === undefined) this.#joined.delete(id)
    else this.#joined.add(id)
    this.#changed()
  }

  #onDeclared(key: string, value: Uint8Array | undefined): void {
    const id = bookieOfDeclaration(key)
    if (id === undefined) return
    try {
      if (value === undefined) this.#declared.delete(id)
      else this.#declared.set(id, decodeDeclaration(value))
    } catch (error) {
      if (!auditorErrors.is(error)) throw error
      const fields = { event: 'auditor.declaration_unreadable', bookieId: id, err: error }
      this.#options.logger.warn(fields, 'what was declared of a node cannot be read; it is left as it was')
      return
    }
    this.#changed()
  }

  #changed(): void {
    if (!this.#isOpen) return
    this.#awaitGrace()
    this.#options.onChange()
  }

  /** Until the next one that is away counts as gone. */
  #awaitGrace(): void {
    this.#cancelGrace()
    const { clock, lostAfterMs, onChange } = this.#options
    const nowMs = clock.nowMs()
    const ends = [...this.#seen.values()].flatMap(({ awaySinceMs }) =>
      awaySinceMs === undefined || awaySinceMs + lostAfterMs <= nowMs ? [] : [awaySinceMs + lostAfterMs]
    )
    if (this.#startedMs + lostAfterMs > nowMs) ends.push(this.#startedMs + lostAfterMs)
    if (ends.length === 0) return
    this.#cancelGrace = clock.after(Math.min(...ends) - nowMs, () => {
      this.#awaitGrace()
      onChange()
    })
  }
}
