import { CodedError, type BookieId, type EntryId, type LedgerId, type Logger } from '@strata/base'
import {
  createLedgerClient,
  decodeLedger,
  ledgerIdOfKey,
  LEDGERS_PREFIX,
  type AvailableBookie,
  type BookieDescription,
  type BookieDirectory,
  type BookieNode,
  type FollowingLedgerClient,
  type LedgerEnd,
  type QuorumConfig
} from '@strata/ledger-client'
import type { MetadataStore } from '@strata/metadata'
import {
  RemoteNode,
  type Random,
  type Scheduler,
  type SimMetadata,
  type SimNetwork,
  type SimProcess
} from '@strata/sim'
import type { History, LedgerHistory } from './history.ts'
import { LogStore } from './log-record.ts'

/** The nodes that the registry names now. */
export interface Registry {
  readonly all: readonly BookieId[]
  writable(): readonly BookieDescription[]
  bookies(): AvailableBookie[]
  onChange(run: () => void): () => void
}

export interface ActorWorld {
  readonly scheduler: Scheduler
  readonly network: SimNetwork
  readonly metadata: SimMetadata
  readonly history: History
  readonly registry: Registry
  readonly logger: Logger
  readonly quorum: QuorumConfig
  /** Entries up to `lac` are about to be acknowledged: were they on enough nodes? */
  checkAcks(ledger: LedgerHistory, lac: EntryId): void
  /** Is the ledger's writer alive and writing? */
  readonly isBeingWritten: (ledgerId: LedgerId) => boolean
}

const TIMEOUT_MS = 150
/** Production's, shortened to the length of a run. */
const WRITER_TIMES = { retryMsMin: 30, retryMsMax: 300, stalledMsMax: 700, slowMs: 120, slowPauseMs: 400 }
const PAUSE_MS = 5
const PAUSE_MS_MAX = 40

/**
 * One process that uses ledgers: the real ledger client over the simulated network and metadata store. After `kill`
 * nothing reaches it any more, so whatever it was doing never goes on.
 */
export class Actor {
  readonly name: string
  readonly process: SimProcess
  readonly random: Random
  readonly world: ActorWorld
  readonly client: FollowingLedgerClient
  readonly metadata: MetadataStore
  readonly log: LogStore
  readonly #nodes = new Map<BookieId, BookieNode>()

  constructor(world: ActorWorld, options: { name: string; log: string; random: Random }) {
    this.world = world
    this.name = options.name
    this.random = options.random
    this.process = world.scheduler.createProcess(options.name)
    this.metadata = this.#watched(world.metadata.handle(this.process))
    this.log = new LogStore(options.log, this.metadata, this.process)
    for (const bookie of world.registry.all) {
      this.#nodes.set(
        bookie,
        new RemoteNode(world.network, { process: this.process, bookieId: bookie, timeoutMs: TIMEOUT_MS })
      )
    }
    this.client = createLedgerClient({
      metadata: this.metadata,
      directory: this.directory,
      quorum: world.quorum,
      clock: this.process,
      logger: world.logger,
      random: this.random.next,
      times: WRITER_TIMES
    })
  }

  get directory(): BookieDirectory {
    const { registry } = this.world
    return {
      writable: () => registry.writable(),
      node: id => this.#nodes.get(id),
      onChange: run =>
        registry.onChange(() => {
          this.process.post(1, run)
        })
    }
  }

  /** Tells the history when a writer changes its ensemble while somebody recovers the ledger, whoever is faster. */
  #watched(handle: MetadataStore): MetadataStore {
    const { history } = this.world
    return {
      ...handle,
      transact: transaction => {
        const [compare] = transaction.compares
        const [change] = transaction.changes
        const id =
          change?.kind === 'put' && change.key.startsWith(LEDGERS_PREFIX) ? ledgerIdOfKey(change.key) : undefined
        const isNew = compare?.version === 0
        if (change?.kind === 'put' && id !== undefined && !isNew && history.isRecovering(id)) {
          if (decodeLedger(change.value).state === 'open') history.races.recoveryWithChange++
        }
        return handle.transact(transaction)
      }
    }
  }

  node(bookie: BookieId): BookieNode | undefined {
    return this.#nodes.get(bookie)
  }

  tell(what: string | (() => string)): void {
    this.world.history.tell(this.name, what)
  }

  kill(): void {
    if (!this.process.isDead) this.tell('is killed')
    this.process.kill()
  }

  pause(ms: number): Promise<void> {
    return new Promise(resolve => void this.process.after(ms, resolve))
  }

  /** Runs `run` in this process; what is no operating error ends the world. */
  begin(run: () => Promise<void>): void {
    this.process.post(0, () => {
      run().catch((error: unknown) => this.world.scheduler.fail(error))
    })
  }

  /** Again and again while it fails for now. undefined: it failed for good, with one of `lasting`. */
  async untilDone<Result>(run: () => Promise<Result>, lasting: readonly string[]): Promise<Result | undefined> {
    for (let pauseMs = PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, PAUSE_MS_MAX)) {
      try {
        return await run()
      } catch (error) {
        if (!(error instanceof CodedError)) throw error
        if (lasting.includes(String(error.code))) return undefined
        if (!error.retryable) throw error
        await this.pause(pauseMs)
      }
    }
  }

  /** Closes the ledger at what recovery finds. undefined: it was deleted. */
  async recover(id: LedgerId): Promise<LedgerEnd | undefined> {
    const { history, isBeingWritten } = this.world
    const end = await this.untilDone(async () => {
      history.recoveryBegan(id, { isWriterAlive: isBeingWritten(id) })
      this.tell(() => `recovers ledger ${id}`)
      try {
        return await this.client.recover(id)
      } catch (error) {
        this.tell(() => `fails to recover ledger ${id}: ${whyOf(error)}`)
        throw error
      } finally {
        history.recoveryEnded(id)
      }
    }, ['NO_SUCH_LEDGER'])
    if (end === undefined) return undefined
    history.counts.recovered++
    history.ended(id, end, this.name)
    return end
  }

  /** From here on nobody may expect to read it. */
  async delete(id: LedgerId): Promise<void> {
    const { history } = this.world
    history.deleting(id)
    this.tell(() => `deletes ledger ${id}`)
    await this.untilDone(() => this.client.delete(id), [])
    history.counts.deleted++
  }
}

function whyOf(error: unknown): string {
  return error instanceof CodedError ? JSON.stringify([error.code, error.details]) : String(error)
}
