import { bookieId, silentLogger, type BookieId, type EntryId, type LedgerId } from '@strata/base'
import type { AvailableBookie, BookieDescription } from '@strata/ledger-client'
import { Random, Scheduler, SimMetadata, SimNetwork, type SimProcess } from '@strata/sim'
import { Actor, type ActorWorld } from './actor.ts'
import { Carer } from './carer.ts'
import { History, type LedgerHistory } from './history.ts'
import { LedgerView } from './ledger-view.ts'
import type { Plan } from './plan.ts'
import { Reader } from './reader.ts'
import { SimNode } from './sim-node.ts'
import { Writer } from './writer.ts'

const REGISTRY_LAG_MS = 30
/** How soon the registry says what trouble a node is in. */
const TROUBLE_MS = 60
const CARERS = 2
/** At most, between two looks of a reader. */
const READER_PAUSE_MS = 400

/** One simulated cluster with everybody who uses it. Everything in it follows from the plan. */
export class World implements ActorWorld {
  readonly plan: Plan
  readonly scheduler = new Scheduler()
  readonly history: History
  readonly network: SimNetwork
  readonly metadata: SimMetadata
  readonly nodes: SimNode[]
  readonly actors: Actor[] = []
  readonly writers: { readonly log: number; readonly actor: Writer }[] = []
  readonly readers: Reader[] = []
  readonly carers: Carer[] = []
  readonly view: LedgerView
  readonly logger = silentLogger
  readonly random: Random
  /** True once the faults have stopped. */
  isHealed = false
  readonly #registered = new Set<BookieId>()
  readonly #listeners: (() => void)[] = []

  constructor(plan: Plan, options: { isTold: boolean }) {
    this.plan = plan
    this.random = Random.ofSeed(plan.seed).fork('world')
    this.history = new History(this.scheduler, options.isTold)
    this.network = new SimNetwork(this.scheduler, this.random.fork('network'))
    this.metadata = new SimMetadata(this.scheduler, this.random.fork('metadata'))
    const fragile = new Set(plan.fragile.map(bookieOf))
    const doors = {
      ...{ scheduler: this.scheduler, network: this.network, metadata: this.metadata, history: this.history },
      logger: this.logger,
      storage: plan.storage,
      mayDestroy: (bookie: BookieId) => fragile.has(bookie),
      onRegistered: (bookie: BookieId, isThere: boolean) => this.#register(bookie, isThere)
    }
    this.nodes = Array.from({ length: plan.nodes }, (_, i) => {
      return new SimNode(bookieOf(i), doors, this.random.fork(`disk ${i}`))
    })
    this.view = new LedgerView({ history: this.history, store: this.metadata.store, nodes: this.nodes })
  }

  get quorum(): Plan['quorum'] {
    return this.plan.quorum
  }

  get processes(): SimProcess[] {
    return [...this.actors.map(actor => actor.process), ...this.nodes.flatMap(({ process }) => process ?? [])]
  }

  readonly registry = {
    all: [] as BookieId[],
    writable: (): BookieDescription[] =>
      this.nodes
        .map((node, i) => ({ bookieId: node.bookieId, rack: `rack-${this.plan.racks[i] ?? 0}` }))
        .filter(node => this.#registered.has(node.bookieId)),
    bookies: (): AvailableBookie[] => this.nodes.flatMap((node, i) => this.#available(node, i)),
    onChange: (run: () => void): (() => void) => {
      this.#listeners.push(run)
      return () => void this.#listeners.splice(this.#listeners.indexOf(run), 1)
    }
  }

  checkAcks(ledger: LedgerHistory, lac: EntryId): void {
    this.view.checkAcks(ledger, lac)
  }

  readonly isBeingWritten = (ledgerId: LedgerId): boolean =>
    this.writers.some(({ actor }) => actor.writing === ledgerId)

  /** Something of the world itself, which no process has to be alive for. */
  later(delayMs: number, run: () => void): void {
    this.scheduler.post(undefined, delayMs, run)
  }

  start(): void {
    this.registry.all.push(...this.nodes.map(({ bookieId: id }) => id))
    for (const node of this.nodes) node.start()
    for (let log = 0; log < this.plan.logs; log++) {
      this.later(15, () => this.startWriter(log))
      for (let i = 0; i < this.plan.readersPerLog; i++) this.later(20, () => this.#startReader(log))
    }
    if (this.plan.isCared) {
      for (let i = 0; i < CARERS; i++) this.later(18, () => this.#startCarer())
      this.#lookForTrouble('')
    }
    for (const { atMs, ...visit } of this.plan.visits) {
      this.later(atMs, () => {
        if (visit.kind === 'take-over') this.startWriter(visit.log)
        else this.startRecoverer(visit)
      })
    }
  }

  startWriter(log: number): void {
    if (this.isHealed) return
    const name = `writer-${log}.${this.writers.length}`
    const writer = new Writer(this, { name, log: logOf(log), random: this.random.fork(name), plan: this.plan.writer })
    this.actors.push(writer)
    this.writers.push({ log, actor: writer })
    writer.start()
  }

  /** The one that leads dies; another one comes. */
  crashAuditor(forMs: number): void {
    const leader = this.carers.find(({ status }) => status !== undefined)
    if (leader === undefined) return
    leader.kill()
    this.later(forMs, () => this.#startCarer())
  }

  newActor(name: string, log: number): Actor {
    const actor = new Actor(this, { name, log: logOf(log), random: this.random.fork(name) })
    this.actors.push(actor)
    return actor
  }

  /** Ends every fault, and starts whatever is down. */
  heal(): void {
    this.isHealed = true
    this.history.tell('world', 'all faults end')
    this.network.heal()
    this.metadata.heal()
    for (const process of this.processes) process.resume()
    for (const node of this.nodes) {
      node.volume.heal()
      node.start()
    }
    for (const { actor } of this.writers) actor.finish()
    for (const reader of this.readers) reader.stop()
  }

  #startCarer(): void {
    const name = `carer-${this.carers.length}`
    const carer = new Carer(this, { name, log: logOf(0), random: this.random.fork(name) })
    this.actors.push(carer)
    this.carers.push(carer)
    carer.start(bookieId(name))
  }

  /** The node's row in the registry, as it would write it itself. */
  #available({ bookieId: id, bookie, incarnation }: SimNode, index: number): AvailableBookie[] {
    if (bookie === undefined || !this.#registered.has(id)) return []
    const { state, reasons } = bookie.health()
    return [
      {
        ...{ bookieId: id, address: id, httpAddress: '', rack: `rack-${this.plan.racks[index] ?? 0}`, host: '' },
        ...{ freeBytes: 1e12, totalBytes: 1e12, softwareVersion: '', startedAtMs: 0, reasons },
        state: state === 'writable' ? 'writable' : 'read-only',
        incarnation
      }
    ]
  }

  #lookForTrouble(before: string): void {
    this.later(TROUBLE_MS, () => {
      const now = this.nodes.map(({ bookie }) => bookie?.health().reasons.join() ?? '').join(';')
      if (now !== before) for (const run of [...this.#listeners]) run()
      this.#lookForTrouble(now)
    })
  }

  #startReader(log: number): void {
    const name = `reader-${log}.${this.readers.length}`
    const reader = new Reader(this, { name, log: logOf(log), random: this.random.fork(name) })
    this.actors.push(reader)
    this.readers.push(reader)
    reader.start(READER_PAUSE_MS)
  }

  /** Recovers some ledger of the log, whoever owns it. */
  startRecoverer(visit: { log: number; diesAfterMs: number | undefined }): void {
    if (this.isHealed) return
    const actor = this.newActor(`recoverer-${this.actors.length}`, visit.log)
    actor.begin(async () => {
      const record = await actor.untilDone(() => actor.log.read(), [])
      const open = record?.ledgers.filter(({ isClosed }) => !isClosed) ?? []
      if (open.length > 0) await actor.recover(actor.random.pick(open).ledgerId)
    })
    if (visit.diesAfterMs !== undefined) this.later(visit.diesAfterMs, () => actor.kill())
  }

  #register(bookie: BookieId, isThere: boolean): void {
    const change = (): void => {
      if (isThere) this.#registered.add(bookie)
      else if (this.nodes.every(node => node.bookieId !== bookie || !node.isUp)) this.#registered.delete(bookie)
      for (const run of [...this.#listeners]) run()
    }
    this.later(isThere ? 0 : REGISTRY_LAG_MS, change)
  }
}

function bookieOf(index: number): BookieId {
  return bookieId(`bookie-${index}`)
}

function logOf(index: number): string {
  return `log-${index}`
}
