import type { EntryId, LedgerId, Logger } from '@strata/base'
import {
  LedgerWriter,
  type EnsembleChange,
  type EntryAdd,
  type LedgerEnd,
  type WriterFailure,
  type WriterMember,
  type WriterSink
} from '@strata/ledger-protocol'
import type { AppendListener, BookieDirectory, BookieNode, LedgerAppender } from './contract.ts'
import { LedgerError } from './errors.ts'
import { present, type LedgerMetadata, type VersionedLedger } from './ledger-metadata.ts'

/**
 * The shell of a `LedgerWriter`: hands its adds to nodes and its progress to the listener. Holds no rule of the protocol.
 *
 * The hot path makes one object an entry (the add) and calls: no promise, closure or timer. A node is looked up once a
 * member, when the ledger is created.
 */
export class NodeLedgerAppender implements LedgerAppender, WriterSink {
  readonly ledgerId: LedgerId
  readonly #writer: LedgerWriter
  readonly #nodes: readonly (BookieNode | undefined)[]
  readonly #listener: AppendListener
  readonly #metadata: LedgerMetadata
  readonly #created: VersionedLedger
  readonly #log: Logger
  #closing: Promise<LedgerEnd> | undefined
  #onSettled: (() => void) | undefined
  #failure: Error | undefined
  #change: EnsembleChange | undefined

  constructor(options: {
    ledgerId: LedgerId
    created: VersionedLedger
    directory: BookieDirectory
    metadata: LedgerMetadata
    listener: AppendListener
    logger: Logger
  }) {
    const { quorum, ensembles } = options.created.record
    const bookies = ensembles.at(-1)?.bookies ?? []
    this.ledgerId = options.ledgerId
    this.#created = options.created
    this.#metadata = options.metadata
    this.#listener = options.listener
    this.#log = options.logger
    this.#nodes = bookies.map(bookie => options.directory.node(bookie))
    this.#writer = new LedgerWriter({ ledgerId: options.ledgerId, quorum, bookies, sink: this })
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
    return this.#writer.append(payload, payloadCrc)
  }

  close(): Promise<LedgerEnd> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  // ------------------------------------------------------------ what the writer wants done

  sendAdd(member: WriterMember, add: EntryAdd): void {
    const node = this.#nodes[member.index]
    if (node !== undefined) node.add(add, member)
    else queueMicrotask(() => member.onAddFailed(add.ledgerId, add.entryId, 'UNREACHABLE'))
  }

  onConfirmed(lac: EntryId): void {
    this.#listener.onConfirmed(lac)
    if (this.#onSettled !== undefined && !this.#writer.hasPending) this.#onSettled()
  }

  /** No node takes another's place yet: the ledger ends, and its owner goes on in a new one. */
  proposeChange(change: EnsembleChange): void {
    this.#change = change
    this.#writer.onChangeRefused('NO_REPLACEMENT')
  }

  onFailed(failure: WriterFailure, lac: EntryId): void {
    const failed = this.#change?.failed.map(({ bookieId, failure: reason }) => ({ bookieId, reason }))
    const details = { ledgerId: this.ledgerId, failure, lac, ...(failed === undefined ? {} : { failed }) }
    this.#failure = LedgerError.create('WRITER_FAILED', details)
    this.#log.warn({ event: 'ledger.writer_ended', ...details }, 'the writer of a ledger ended')
    this.#onSettled?.()
    this.#listener.onFailed(this.#failure, lac)
  }

  // ------------------------------------------------------------ closing

  async #close(): Promise<LedgerEnd> {
    if (this.#writer.hasPending && this.#failure === undefined) {
      await new Promise<void>(resolve => (this.#onSettled = resolve))
    }
    if (this.#failure !== undefined) throw this.#failure
    const end = { lastEntryId: this.#writer.lac, lengthBytes: this.#writer.lengthBytes }
    const closed = await this.#metadata.close(this.ledgerId, this.#created, end)
    if (closed !== undefined) return end
    // A recoverer was faster. Everything appended here is confirmed, so it can have closed at this very end only.
    const { record } = present(this.ledgerId, await this.#metadata.read(this.ledgerId))
    if (record.end?.lastEntryId === end.lastEntryId) return record.end
    this.#failure = LedgerError.create('WRITER_FAILED', {
      ledgerId: this.ledgerId,
      failure: 'FENCED',
      lac: end.lastEntryId
    })
    throw this.#failure
  }
}
