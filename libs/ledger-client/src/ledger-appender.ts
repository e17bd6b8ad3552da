import type { Clock, EntryId, LedgerId, Logger } from '@strata/base'
import {
  chooseReplacements,
  LedgerWriter,
  type EnsembleChange,
  type EntryAdd,
  type LedgerEnd,
  type Replacement,
  type SlowBudget,
  type WriterFailure,
  type WriterMember,
  type WriterSink,
  type WriterTimes
} from '@strata/ledger-protocol'
import type { AppendListener, BookieDirectory, BookieNode, LedgerAppender, NodeChoice } from './contract.ts'
import { eligibleNodes } from './eligible-nodes.ts'
import { LedgerError } from './errors.ts'
import type { FailedNodes } from './failed-nodes.ts'
import { ignoreOperatingErrors, type LedgerMetadata, type VersionedLedger } from './ledger-metadata.ts'
import { OpenLedgerMetadata } from './open-ledger-metadata.ts'
import type { Ticked, WriterTicker } from './writer-ticker.ts'

/** What the appenders of a client share. */
export interface AppenderDoors {
  readonly directory: BookieDirectory
  readonly choice?: NodeChoice | undefined
  readonly metadata: LedgerMetadata
  readonly clock: Clock
  readonly logger: Logger
  readonly random: () => number
  readonly ticker: WriterTicker
  readonly failedNodes: FailedNodes
  readonly slowBudget: SlowBudget
  readonly times: Partial<WriterTimes>
}

/**
 * The shell of a `LedgerWriter`: hands its adds to nodes, its changes to the metadata, and its progress to the listener.
 * Holds no rule of the protocol.
 *
 * The hot path makes one object an entry (the add) and calls: no promise, closure or timer. A node is looked up once a
 * member, when it gets its place.
 */
export class NodeLedgerAppender implements LedgerAppender, WriterSink, Ticked {
  readonly ledgerId: LedgerId
  readonly #writer: LedgerWriter
  readonly #nodes: (BookieNode | undefined)[]
  readonly #listener: AppendListener
  readonly #doors: AppenderDoors
  readonly #metadata: OpenLedgerMetadata
  #isTicked = false
  #closing: Promise<LedgerEnd> | undefined
  #onSettled: (() => void) | undefined
  #failure: Error | undefined
  #change: EnsembleChange | undefined

  constructor(options: {
    ledgerId: LedgerId
    created: VersionedLedger
    listener: AppendListener
    doors: AppenderDoors
  }) {
    const { ledgerId, created, doors } = options
    const { quorum, ensembles } = created.record
    const bookies = ensembles.at(-1)?.bookies ?? []
    const { times, slowBudget } = doors
    this.ledgerId = ledgerId
    this.#doors = doors
    this.#metadata = new OpenLedgerMetadata({ ...doors, ledgerId, created })
    this.#listener = options.listener
    this.#nodes = bookies.map(bookie => doors.directory.node(bookie))
    this.#writer = new LedgerWriter({ ledgerId, quorum, bookies, sink: this, times, slowBudget })
  }

  get lastAddConfirmed(): EntryId {
    return this.#writer.lac
  }

  get nextEntryId(): EntryId {
    return this.#writer.nextEntryId
  }

  get lengthBytes(): number {
    return this.#writer.lengthBytes
  }

  get pendingBytes(): number {
    return this.#writer.pendingBytes
  }

  append(payload: Buffer, payloadCrc?: number): EntryId {
    if (this.#failure !== undefined) throw this.#failure
    if (this.#closing !== undefined) throw LedgerError.create('WRITER_CLOSED', { ledgerId: this.ledgerId })
    if (!this.#isTicked) this.#startTicks()
    return this.#writer.append(payload, payloadCrc)
  }

  close(): Promise<LedgerEnd> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  tick(nowMs: number): boolean {
    this.#writer.tick(nowMs)
    this.#isTicked = !this.#writer.isQuiet
    return this.#isTicked
  }

  onNodesChanged(): void {
    this.#writer.onNodesChanged()
  }

  // ------------------------------------------------------------ what the writer wants done

  sendAdd(member: WriterMember, add: EntryAdd): void {
    const node = this.#nodes[member.index]
    if (node !== undefined) node.add(add, member)
    else queueMicrotask(() => member.onAddFailed(add.ledgerId, add.entryId, 'UNREACHABLE'))
  }

  sendLac(member: WriterMember, lac: EntryId): void {
    this.#nodes[member.index]?.writeLac({ ledgerId: this.ledgerId, lac }).catch(ignoreOperatingErrors)
  }

  onConfirmed(lac: EntryId): void {
    this.#listener.onConfirmed(lac)
    if (this.#onSettled !== undefined && this.#writer.canFinish) this.#onSettled()
  }

  proposeChange(change: EnsembleChange): void {
    const { failedNodes, random } = this.#doors
    this.#change = change
    if (!this.#isTicked) this.#startTicks()
    for (const { bookieId } of change.failed) failedNodes.note(bookieId)
    const { bookies, quorum } = this.#writer
    const writable = eligibleNodes(this.#doors, this.#metadata.record)
    const view = { writable, avoided: failedNodes.recent(), seed: random() }
    const replacements = chooseReplacements(change, { bookies, quorum, ...view })
    if (replacements.some(({ index, bookieId }) => bookies[index] !== bookieId)) {
      if (this.#metadata.hasRoomFor(change.firstEntryId)) void this.#commitChange(change, replacements)
      else this.#writer.onChangeRefused('NO_REPLACEMENT')
    } else this.#decided(change, replacements) // nobody, or the nodes that had the places: the metadata stays
  }

  onFailed(failure: WriterFailure, lac: EntryId): void {
    const failed = this.#change?.failed.map(({ bookieId, failure: reason }) => ({ bookieId, reason }))
    const details = { ledgerId: this.ledgerId, failure, lac, ...(failed === undefined ? {} : { failed }) }
    this.#failure = LedgerError.create('WRITER_FAILED', details)
    this.#doors.logger.warn({ event: 'ledger.writer_ended', ...details }, 'the writer of a ledger ended')
    this.#onSettled?.()
    this.#listener.onFailed(this.#failure, lac)
  }

  #startTicks(): void {
    this.#isTicked = true
    this.#doors.ticker.add(this)
  }

  // ------------------------------------------------------------ changing the ensemble

  async #commitChange(change: EnsembleChange, replacements: readonly Replacement[]): Promise<void> {
    const { firstEntryId } = change
    const bookies = this.#writer.bookies
    for (const { index, bookieId } of replacements) bookies[index] = bookieId
    const committed = await this.#metadata.changeEnsemble({ firstEntryId, bookies })
    if (this.#failure !== undefined) return
    if (committed === 'fenced') this.#writer.onChangeRefused('FENCED')
    else this.#decided(change, replacements)
  }

  #decided(change: EnsembleChange, replacements: readonly Replacement[]): void {
    const { directory, logger } = this.#doors
    const details = { ledgerId: this.ledgerId, firstEntryId: change.firstEntryId, failed: change.failed, replacements }
    if (replacements.length > 0)
      logger.info({ event: 'ledger.ensemble_changed', ...details }, 'replaced nodes of a ledger')
    else if (change.attempt === 0) {
      logger.warn({ event: 'ledger.replacement_missing', ...details }, 'no node can take the place of one that failed')
    }
    for (const { index, bookieId } of replacements) this.#nodes[index] = directory.node(bookieId)
    this.#change = replacements.length > 0 ? undefined : change
    this.#writer.onChangeDecided(replacements)
    if (this.#onSettled !== undefined && this.#writer.canFinish) this.#onSettled()
  }

  // ------------------------------------------------------------ closing

  async #close(): Promise<LedgerEnd> {
    while (this.#failure === undefined && !this.#writer.canFinish) {
      await new Promise<void>(resolve => (this.#onSettled = resolve))
      this.#onSettled = undefined
    }
    if (this.#failure !== undefined) throw this.#failure
    const end = this.#writer.finish()
    if ((await this.#metadata.close(end)) === 'committed') return end
    const details = { ledgerId: this.ledgerId, failure: 'FENCED', lac: end.lastEntryId }
    this.#failure = LedgerError.create('WRITER_FAILED', details)
    throw this.#failure
  }
}
