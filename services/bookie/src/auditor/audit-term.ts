import { CodedError, type BookieId, type Clock, type LedgerId, type Logger } from '@strata/base'
import {
  decodeLedger,
  LedgerError,
  LedgerMetadata,
  ledgerIdOfKey,
  LEDGERS_PREFIX,
  type LedgerClient,
  type LedgerRecord,
  type VersionedLedger
} from '@strata/ledger-client'
import { repairStance, type RepairStance } from '@strata/ledger-protocol'
import type { Leadership, MetadataStore, Watch, WatchEvent } from '@strata/metadata'
import { PassMeter, type AuditStatus, type PassProgress } from './audit-status.ts'
import { ByteRate } from './byte-rate.ts'
import { damagedLedgers } from './damaged-ledgers.ts'
import { Departures } from './departures.ts'
import { LedgerRepair, type Unfinished } from './ledger-repair.ts'
import { LossBook } from './loss-book.ts'
import { NodeWatch, type AuditedDirectory } from './node-watch.ts'
import { OpenLedgers } from './open-ledgers.ts'
import { OrphanCollector } from './orphan-collector.ts'
import { settledPart } from './survey.ts'

export interface AuditTimes {
  /** How long a node may be away before it counts as lost. */
  readonly lostAfterMs: number
  /** How long a ledger that is not closed is left to its writer. */
  readonly openLedgerGraceMs: number
  /** How often every ledger's members are asked what they hold. */
  readonly checkMs: number
  /** How often they are asked to read it. */
  readonly verifyMs: number
  /** How long a ledger that its owner does not list is kept; negative: for ever. */
  readonly orphanGraceMs: number
  /** The first pause before what was left undone is tried again; it doubles. */
  readonly retryMs: number
  /** Over all copies; 0: as fast as it goes. */
  readonly bytesPerSecond: number
}

export interface AuditDoors {
  readonly metadata: MetadataStore
  readonly directory: AuditedDirectory
  readonly ledgers: LedgerClient
  readonly clock: Clock
  readonly logger: Logger
  readonly random: () => number
  readonly times: AuditTimes
}

const LEDGERS_AT_ONCE = 4
/** Kept by name; past it a whole pass is made. */
const UNFINISHED_MAX = 10_000
const UNFINISHED_SHOWN = 100
const RETRY_MS_MAX = 5 * 60 * 1000

/**
 * One leadership of the auditor: walks the metadata of all ledgers, a page at a time, whenever something happened to nodes
 * and now and then, and has each ledger that needs it repaired or recovered. Work is recomputed each time, never queued.
 *
 * Invariants
 *   T1  Nothing is begun when the leadership is lost, and no change of a ledger's members is made without it.
 *   T2  While too many nodes went at once, nothing is repaired.
 */
export class AuditTerm {
  readonly #doors: AuditDoors
  readonly #leadership: Leadership
  readonly #nodes: NodeWatch
  readonly #metadata: LedgerMetadata
  readonly #openLedgers: OpenLedgers
  readonly #departures: Departures
  readonly #losses: LossBook
  readonly #orphans: OrphanCollector | undefined
  readonly #rate: ByteRate
  #stance: RepairStance = { kind: 'repair' }
  #isNodesDue = false
  #isDamageDue = false
  #isCheckDue = true
  #isVerifyDue = false
  #isRetryDue = false
  /** The next retry is of everything that is left, also of what time alone does not help. */
  #isRoomNew = false
  #unfinished = new Map<LedgerId, Unfinished>()
  /** Of ledgers that their writers still had when these were looked at, it is seen when they are closed what is missing. */
  readonly #everSuspect = new Set<BookieId>()
  #overflowed = false
  #retryMs: number
  #cancelRetry: () => void = () => undefined
  #isRetryPlanned = false
  #meter: PassMeter | undefined
  #lastPass: PassProgress | null = null
  #isOver = false
  #wake: () => void = () => undefined
  #settled: (() => void)[] = []
  readonly #timers: (() => void)[] = []

  private constructor(doors: AuditDoors, leadership: Leadership, nodes: NodeWatch) {
    const { metadata, clock, logger, times, ledgers } = doors
    this.#doors = doors
    this.#leadership = leadership
    this.#nodes = nodes
    const guards = [{ key: leadership.key, version: leadership.version }]
    this.#metadata = new LedgerMetadata(metadata, clock, guards)
    this.#openLedgers = new OpenLedgers({ ledgers, nodes, clock, logger, graceMs: times.openLedgerGraceMs })
    this.#departures = new Departures({ metadata, nodes, clock, logger, guards })
    this.#orphans =
      times.orphanGraceMs < 0
        ? undefined
        : new OrphanCollector({ metadata, clock, logger, guards, graceMs: times.orphanGraceMs })
    this.#losses = new LossBook({ metadata, clock, logger })
    this.#rate = new ByteRate(clock, times.bytesPerSecond)
    this.#retryMs = times.retryMs
  }

  /** @throws MetadataError */
  static async open(doors: AuditDoors, leadership: Leadership): Promise<AuditTerm> {
    let onNodes = (): void => undefined
    let onTrouble = (): void => undefined
    let onRoom = (): void => undefined
    const { metadata, directory, clock, logger, times } = doors
    const nodes = await NodeWatch.open({
      ...{ metadata, directory, clock, logger },
      lostAfterMs: times.lostAfterMs,
      onChange: () => onNodes(),
      onTrouble: () => onTrouble(),
      onRoom: () => onRoom()
    })
    const term = new AuditTerm(doors, leadership, nodes)
    onNodes = () => term.#onNodes()
    onTrouble = () => {
      term.#isDamageDue = true
      term.#wake()
    }
    onRoom = () => term.#onRoom()
    return term
  }

  #onNodes(): void {
    this.#isNodesDue = true
    this.#forgetRetry()
    this.#wake()
  }

  /** What nobody could take, somebody may take now. Nothing that was whole became less: no ledger but those left is looked at. */
  #onRoom(): void {
    this.#isRoomNew = true
    this.#isRetryDue = true
    this.#forgetRetry()
    this.#wake()
  }

  /** An operator wants everything looked at now. */
  trigger(kind: 'check' | 'verify'): void {
    if (kind === 'verify') this.#isVerifyDue = true
    else this.#isCheckDue = true
    this.#wake()
  }

  /** Ends what is under way as soon as it can be ended. */
  end(): void {
    this.#isOver = true
    this.#wake()
  }

  /** Resolves when nothing is due and nothing runs; what waits for time or nodes is left. For tests and commands. */
  settled(): Promise<void> {
    if (!this.#isBusy && !this.#isDue) return Promise.resolve()
    return new Promise(resolve => this.#settled.push(resolve))
  }

  /** Until the leadership is over. @throws MetadataError, CodedError: nothing can be concluded; begin anew */
  async run(): Promise<void> {
    const { clock, times } = this.#doors
    this.#leadership.onLost(() => this.end())
    let watch: Watch | undefined
    this.#repeat(times.checkMs, () => this.trigger('check'))
    this.#repeat(times.verifyMs, () => this.trigger('verify'))
    try {
      watch = await this.#doors.metadata.watch(LEDGERS_PREFIX, events => this.#onLedgers(events))
      while (!this.#hasEnded) {
        if (this.#isDue) await this.#passNow(clock.wallMs())
        else {
          for (const resolve of this.#settled.splice(0)) resolve()
          await new Promise<void>(resolve => (this.#wake = resolve))
        }
      }
    } finally {
      this.#isOver = true
      watch?.close()
      this.#cancelRetry()
      for (const cancel of this.#timers.splice(0)) cancel()
      this.#nodes.close()
      for (const resolve of this.#settled.splice(0)) resolve()
    }
  }

  status(): AuditStatus {
    const stance = this.#stance
    return {
      nodes: this.#nodes.absences().flatMap(({ bookieId }) => {
        const standing = this.#nodes.standing(bookieId)
        const isAvailable = this.#nodes.isAvailable(bookieId)
        return standing === 'present' && isAvailable ? [] : [{ bookieId, standing, isAvailable }]
      }),
      waiting: stance.kind === 'wait' ? { rack: stance.rack ?? null, gone: stance.gone, of: stance.of } : null,
      departures: this.#departures.current,
      pass: this.#meter?.progress(this.#doors.clock.wallMs()) ?? null,
      lastPass: this.#lastPass,
      unfinishedCount: this.#unfinished.size,
      unfinished: [...this.#unfinished].slice(0, UNFINISHED_SHOWN).map(([ledgerId, { why }]) => ({ ledgerId, why }))
    }
  }

  get #hasEnded(): boolean {
    return this.#isOver || this.#leadership.isLost
  }

  get #isBusy(): boolean {
    return this.#meter !== undefined
  }

  get #isDue(): boolean {
    return this.#isNodesDue || this.#isDamageDue || this.#isCheckDue || this.#isVerifyDue || this.#isRetryDue
  }

  #repeat(everyMs: number, run: () => void): void {
    if (everyMs <= 0) return
    const at = this.#timers.length
    const again = (): void => {
      run()
      this.#timers[at] = this.#doors.clock.after(everyMs, again)
    }
    this.#timers[at] = this.#doors.clock.after(everyMs, again)
  }

  async #passNow(startedAtMs: number): Promise<void> {
    const kind = this.#takeKind()
    this.#mustWait()
    const meter = new PassMeter(kind, startedAtMs)
    this.#meter = meter
    try {
      if (kind === 'retry') await this.#retry(meter)
      else if (kind === 'damage') await this.#lookAtDamage(meter)
      else await this.#lookAtAll(kind, meter)
      if (!this.#hasEnded && !this.#mustWait() && !this.#isNodesDue) {
        await this.#departures.settle(visit => {
          return this.#walk((id, { record }) => {
            visit({ ledgerId: id, ...record })
            return Promise.resolve()
          })
        })
      }
    } finally {
      meter.end(this.#doors.clock.wallMs())
      this.#lastPass = meter.progress(this.#doors.clock.wallMs())
      this.#meter = undefined
    }
    this.#planRetry()
  }

  /** Only what nodes say themselves that they cannot read: a rotten block costs no walk over all ledgers. */
  async #lookAtDamage(meter: PassMeter): Promise<void> {
    const { directory } = this.#doors
    const troubled = this.#nodes.takeTroubled()
    const { ledgers, silent } = await damagedLedgers(troubled, directory)
    // of a ledger that is still written to, it is seen when it is closed what is missing
    if (ledgers.size > 0) for (const id of troubled) this.#everSuspect.add(id)
    if (silent.length > 0) {
      this.#nodes.suspect(silent)
      this.#isNodesDue = true
    }
    await this.#visitNamed([...ledgers], meter)
  }

  async #lookAtAll(kind: Exclude<PassProgress['kind'], 'retry' | 'damage'>, meter: PassMeter): Promise<void> {
    const suspects = this.#nodes.takeSuspects()
    for (const id of suspects) this.#everSuspect.add(id)
    const wants = this.#selector(kind, suspects)
    const leftBefore = this.#unfinished
    if (kind === 'copies') await this.#estimate(meter)
    this.#unfinished = new Map()
    this.#overflowed = false
    await this.#walk(async (id, ledger) => {
      meter.seen += 1
      if (kind !== 'copies') await this.#orphans?.look(id, ledger.record)
      if (wants(ledger.record) || leftBefore.has(id) || this.#openLedgers.needsRecovery(ledger)) {
        await this.#visit(id, { ledger, verify: kind === 'verify', meter })
      }
    })
  }

  #takeKind(): PassProgress['kind'] {
    const kind = this.#nextKind()
    if (kind === 'damage') {
      this.#isDamageDue = false
      return kind
    }
    this.#isRetryDue = false
    const isWalk = kind !== 'retry' || this.#overflowed
    if (isWalk) this.#isRoomNew = false
    if (kind === 'retry') return isWalk ? 'check' : kind
    this.#isNodesDue = false
    if (kind === 'copies') return kind
    this.#isCheckDue = false
    if (kind === 'verify') this.#isVerifyDue = false
    return kind
  }

  #nextKind(): PassProgress['kind'] {
    if (this.#isVerifyDue) return 'verify'
    if (this.#isCheckDue) return 'check'
    if (this.#isNodesDue) return 'copies'
    return this.#isDamageDue ? 'damage' : 'retry'
  }

  /** As of this moment, also amid a pass. Says once that everything waits, and once that it goes on. */
  #mustWait(): boolean {
    const before = this.#stance.kind
    this.#stance = repairStance(this.#nodes.absences())
    if (this.#stance.kind === 'wait' && before === 'repair') {
      const { rack, gone, of } = this.#stance
      const fields = { event: 'auditor.waiting', rack, gone, of }
      this.#doors.logger.error(
        fields,
        'too many nodes went at once: nothing is repaired until they are back or declared'
      )
    } else if (this.#stance.kind === 'repair' && before === 'wait') {
      this.#doors.logger.info({ event: 'auditor.resumed' }, 'repair goes on')
    }
    return this.#stance.kind === 'wait'
  }

  #selector(kind: PassProgress['kind'], suspects: ReadonlySet<BookieId>): (record: LedgerRecord) => boolean {
    if (kind === 'check' || kind === 'verify') return record => settledPart(record) !== undefined
    const isTroubled = (id: BookieId): boolean => suspects.has(id) || this.#nodes.standing(id) !== 'present'
    return record => settledPart(record)?.ensembles.some(({ bookies }) => bookies.some(isTroubled)) ?? false
  }

  async #retry(meter: PassMeter): Promise<void> {
    const isAll = this.#isRoomNew
    this.#isRoomNew = false
    const again = [...this.#unfinished].filter(([, { retry }]) => retry || isAll).map(([id]) => id)
    await this.#visitNamed(again, meter)
  }

  async #visitNamed(ids: readonly LedgerId[], meter: PassMeter): Promise<void> {
    await inParallel(ids, async id => {
      if (this.#hasEnded) return
      meter.seen += 1
      const ledger = await this.#metadata.read(id)
      this.#unfinished.delete(id)
      if (ledger !== undefined) await this.#visit(id, { ledger, verify: false, meter })
    })
  }

  /** Closes what must be closed, then brings back what is missing. */
  async #visit(
    id: LedgerId,
    { ledger, verify, meter }: { ledger: VersionedLedger; verify: boolean; meter: PassMeter }
  ): Promise<void> {
    if (this.#hasEnded) return
    if (this.#mustWait()) {
      this.#leave(id, { why: 'too many nodes went at once', retry: false })
      return
    }
    const { directory, logger, random } = this.#doors
    try {
      const open = this.#openLedgers.needsRecovery(ledger) ? await this.#openLedgers.visit(id, ledger) : undefined
      const repair = new LedgerRepair(id, {
        ...{ metadata: this.#metadata, directory, nodes: this.#nodes, rate: this.#rate },
        ...{ losses: this.#losses, logger, random, verify },
        isOver: () => this.#hasEnded || this.#mustWait(),
        onCopied: bytes => (meter.bytesCopied += bytes)
      })
      const left = (await repair.run()) ?? open
      if (left !== undefined) this.#leave(id, left)
    } catch (error) {
      if (!(error instanceof CodedError)) throw error
      if (LedgerError.is(error, 'NOT_LEADER')) this.end()
      else this.#leave(id, { why: error.message, retry: true })
    }
    meter.done += 1
  }

  #leave(id: LedgerId, unfinished: Unfinished): void {
    if (this.#unfinished.size >= UNFINISHED_MAX && !this.#unfinished.has(id)) this.#overflowed = true
    else this.#unfinished.set(id, unfinished)
  }

  #onLedgers(events: readonly WatchEvent[]): void {
    if (this.#everSuspect.size === 0) return
    for (const { key, value } of events) {
      const id = ledgerIdOfKey(key)
      const record = id === undefined || value === undefined ? undefined : this.#decoded(id, value)
      if (id === undefined || record?.state !== 'closed') continue
      if (!record.ensembles.some(({ bookies }) => bookies.some(bookie => this.#everSuspect.has(bookie)))) continue
      this.#leave(id, { why: 'it was closed, and a node may hold less of it than it did', retry: true })
      if (!this.#isBusy && !this.#isRetryPlanned) this.#planRetry()
    }
  }

  /** One that is planned stays as it is: what else happens meanwhile does not put it off. */
  #planRetry(): void {
    const mayHelp = this.#overflowed || [...this.#unfinished.values()].some(({ retry }) => retry)
    if (!mayHelp || this.#hasEnded) this.#forgetRetry()
    if (!mayHelp || this.#hasEnded || this.#isRetryPlanned) return
    const waitMs = this.#retryMs
    this.#retryMs = Math.min(waitMs * 2, RETRY_MS_MAX)
    this.#isRetryPlanned = true
    this.#cancelRetry = this.#doors.clock.after(waitMs, () => {
      this.#isRetryPlanned = false
      this.#isRetryDue = true
      this.#wake()
    })
  }

  /** The next pause is the first one again. */
  #forgetRetry(): void {
    this.#cancelRetry()
    this.#isRetryPlanned = false
    this.#retryMs = this.#doors.times.retryMs
  }

  /** Counts what is to be copied, so that one can say how long it takes. */
  async #estimate(meter: PassMeter): Promise<void> {
    const isAbsent = (id: BookieId): boolean => this.#nodes.standing(id) !== 'present'
    await this.#walk((_, { record }) => {
      const part = settledPart(record)
      const places = part?.ensembles.flatMap(({ bookies }) => bookies) ?? []
      const absent = places.filter(isAbsent).length
      if (absent === 0 || part === undefined) return Promise.resolve()
      meter.due += 1
      const { writeQuorum } = part.quorum
      meter.bytesDue += (part.end.lengthBytes * writeQuorum * absent) / places.length
      return Promise.resolve()
    })
  }

  /** All ledgers, a page at a time, some at once. */
  async #walk(visit: (id: LedgerId, ledger: VersionedLedger) => Promise<void>): Promise<void> {
    let after: string | undefined
    do {
      const page = await this.#doors.metadata.scan({
        prefix: LEDGERS_PREFIX,
        ...(after === undefined ? {} : { after })
      })
      await inParallel(page.records, async ({ key, value, version }) => {
        const id = ledgerIdOfKey(key)
        const record = id === undefined || this.#hasEnded ? undefined : this.#decoded(id, value)
        if (id !== undefined && record !== undefined) await visit(id, { record, version })
      })
      after = page.next
    } while (after !== undefined && !this.#hasEnded)
  }

  #decoded(id: LedgerId, value: Uint8Array): LedgerRecord | undefined {
    try {
      return decodeLedger(value)
    } catch (error) {
      if (!LedgerError.is(error)) throw error
      const fields = { event: 'auditor.ledger_unreadable', ledgerId: id, err: error }
      this.#doors.logger.error(fields, 'the metadata of a ledger cannot be read; it is left as it is')
      return undefined
    }
  }
}

async function inParallel<Item>(items: readonly Item[], run: (item: Item) => Promise<void>): Promise<void> {
  const rest = items.values()
  const work = async (): Promise<void> => {
    for (const item of rest) await run(item)
  }
  const workers = Array.from({ length: LEDGERS_AT_ONCE }, work)
  const results = await Promise.allSettled(workers)
  for (const result of results) if (result.status === 'rejected') throw result.reason
}
