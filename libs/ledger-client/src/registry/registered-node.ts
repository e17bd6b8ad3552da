import type { BookieId } from '@strata/base'
import type {
  AddRequest,
  AddSink,
  BookieNode,
  BulkCopies,
  DamagedPage,
  DamagedStretch,
  EntryRun,
  HeldLedger,
  Inventory,
  InventoryRequest,
  LacAnswer,
  LacRequest,
  ReadAnswer,
  RunFailure,
  RunRequest
} from '../contract.ts'
import { LedgerError } from '../errors.ts'

export interface NodeConnection extends BookieNode {
  /** Fails what is pending. */
  close(): void
}

/**
 * A node wherever it is: its address may change, this object does not. A connection that is given up fails all that it
 * owes before anything goes to the next one.
 */
export class RegisteredNode implements BookieNode {
  readonly bookieId: BookieId
  readonly bulk: BulkCopies = {
    readRecords: async request => this.#connected().bulk?.readRecords(request),
    copyFrom: async order => (await this.#connected().bulk?.copyFrom(order)) ?? { next: order.first, bytes: 0 }
  }
  readonly #connect: (address: string) => NodeConnection
  #address: string
  /** Made on first use. */
  #connection: NodeConnection | undefined
  #isClosed = false

  constructor(options: { bookieId: BookieId; address: string; connect: (address: string) => NodeConnection }) {
    this.bookieId = options.bookieId
    this.#address = options.address
    this.#connect = options.connect
  }

  get address(): string {
    return this.#address
  }

  moveTo(address: string): void {
    if (this.#address === address) return
    this.#address = address
    const connection = this.#connection
    this.#connection = undefined
    connection?.close()
  }

  close(): void {
    this.#isClosed = true
    const connection = this.#connection
    this.#connection = undefined
    connection?.close()
  }

  add(request: AddRequest, sink: AddSink): void {
    if (this.#isClosed) queueMicrotask(() => sink.onAddFailed(request.ledgerId, request.entryId, 'UNREACHABLE'))
    else this.#connected().add(request, sink)
  }

  async read(options: Parameters<BookieNode['read']>[0]): Promise<ReadAnswer> {
    return this.#connected().read(options)
  }

  async readRun(request: RunRequest): Promise<EntryRun | undefined> {
    return this.#connected().readRun(request)
  }

  async addRun(run: EntryRun): Promise<RunFailure | undefined> {
    return this.#connected().addRun(run)
  }

  async readLac(options: LacRequest): Promise<LacAnswer> {
    return this.#connected().readLac(options)
  }

  async writeLac(options: Parameters<BookieNode['writeLac']>[0]): Promise<void> {
    await this.#connected().writeLac(options)
  }

  async inventory(options: InventoryRequest): Promise<Inventory> {
    return this.#connected().inventory(options)
  }

  async heldLedgers(options: { after: number; limit: number }): Promise<HeldLedger[]> {
    return this.#connected().heldLedgers(options)
  }

  async damagedEntries(page: DamagedPage): Promise<DamagedStretch[]> {
    return this.#connected().damagedEntries(page)
  }

  #connected(): NodeConnection {
    if (this.#isClosed) throw LedgerError.create('UNAVAILABLE', { bookieId: this.bookieId, reason: 'gone' })
    this.#connection ??= this.#connect(this.#address)
    return this.#connection
  }
}
