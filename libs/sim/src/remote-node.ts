import type { BookieId } from '@strata/base'
import {
  LedgerError,
  type AddRequest,
  type AddSink,
  type BookieNode,
  type BulkCopies,
  type DamagedPage,
  type DamagedStretch,
  type EntryRun,
  type HeldLedger,
  type Inventory,
  type InventoryRequest,
  type LacAnswer,
  type LacRequest,
  type ReadAnswer,
  type RunFailure,
  type RunRequest
} from '@strata/ledger-client'
import { AddStream } from './add-stream.ts'
import type { SimNetwork } from './sim-network.ts'
import type { SimProcess } from './sim-process.ts'

/** What a node may take to copy, beyond the time-out. */
const COPY_WAIT_MS = 400

type ReadOptions = Parameters<BookieNode['read']>[0]
type LacTold = Parameters<BookieNode['writeLac']>[0]

/**
 * A node in another process, as the gRPC transport shows it: all adds through one stream, which fails everything
 * unanswered before it sends anything later; every other request by itself, with a deadline.
 */
export class RemoteNode implements BookieNode {
  readonly bookieId: BookieId
  readonly bulk: BulkCopies = {
    readRecords: request => this.#ask(node => node.bulk?.readRecords(request) ?? Promise.resolve(undefined)),
    copyFrom: order => {
      const nothing = { next: order.first, bytes: 0 }
      return this.#ask(node => node.bulk?.copyFrom(order) ?? Promise.resolve(nothing), COPY_WAIT_MS)
    }
  }
  readonly #network: SimNetwork
  readonly #process: SimProcess
  readonly #timeoutMs: number
  #stream: AddStream | undefined

  constructor(network: SimNetwork, options: { process: SimProcess; bookieId: BookieId; timeoutMs: number }) {
    this.#network = network
    this.#process = options.process
    this.bookieId = options.bookieId
    this.#timeoutMs = options.timeoutMs
  }

  add(request: AddRequest, sink: AddSink): void {
    if (this.#stream?.isBroken !== false) {
      this.#stream = new AddStream(this.#network, {
        process: this.#process,
        bookieId: this.bookieId,
        timeoutMs: this.#timeoutMs
      })
    }
    this.#stream.add(request, sink)
  }

  read(options: ReadOptions): Promise<ReadAnswer> {
    return this.#ask(node => node.read(options))
  }

  readRun(request: RunRequest): Promise<EntryRun | undefined> {
    return this.#ask(node => node.readRun(request))
  }

  addRun(run: EntryRun): Promise<RunFailure | undefined> {
    return this.#ask(node => node.addRun(run))
  }

  readLac(options: LacRequest): Promise<LacAnswer> {
    const waitMs = options.waitPast === undefined ? 0 : (options.timeoutMs ?? 0)
    return this.#ask(node => node.readLac(options), waitMs)
  }

  writeLac(options: LacTold): Promise<void> {
    return this.#ask(node => node.writeLac(options))
  }

  inventory(options: InventoryRequest): Promise<Inventory> {
    return this.#ask(node => node.inventory(options))
  }

  heldLedgers(options: { after: number; limit: number }): Promise<HeldLedger[]> {
    return this.#ask(node => node.heldLedgers(options))
  }

  damagedEntries(page: DamagedPage): Promise<DamagedStretch[]> {
    return this.#ask(node => node.damagedEntries(page))
  }

  #ask<Answer>(ask: (node: BookieNode) => Promise<Answer>, waitMs = 0): Promise<Answer> {
    const network = this.#network
    const there = { from: this.#process.name, to: this.bookieId }
    const back = { from: this.bookieId, to: this.#process.name }
    return new Promise((resolve, reject) => {
      const unavailable = (reason: string): void => {
        reject(LedgerError.create('UNAVAILABLE', { bookieId: this.bookieId, reason }))
      }
      const cancel = this.#process.after(this.#timeoutMs + waitMs, () => unavailable('no answer in time'))
      const answer = (settle: () => void): void => {
        network.send(this.#process, back, () => {
          cancel()
          settle()
        })
      }
      const arrive = (): void => {
        const listener = network.listenerOf(this.bookieId)
        if (listener === undefined) {
          answer(() => unavailable('connection refused'))
          return
        }
        listener.process.enter(() => {
          ask(listener.node).then(
            result => answer(() => resolve(result)),
            (error: unknown) => {
              const { code } = network.checkError(error)
              answer(() => unavailable(code))
            }
          )
        })
      }
      const copies = network.random.chance(network.trouble.duplicated) ? 2 : 1
      for (let i = 0; i < copies; i++) network.send(undefined, there, arrive)
    })
  }
}
