import { reasonOf, type Clock, type Logger } from '@strata/base'
import type { MetadataStore } from '@strata/metadata'
import type { BrokerSettings } from '../config/settings.ts'
import { parseBundlePath } from '../ownership/bundle-name.ts'
import type { BrokerAddress, Ownership } from '../ownership/contract.ts'
import type { BalanceActions } from './actions.ts'
import type { ClusterRules } from './cluster-rules.ts'
import { decide, type Decision, type Misplaced } from './decide.ts'
import type { DecisionLog } from './decision-log.ts'
import { MINUTE_MS, NO_HISTORY, type BalanceHistory } from './history.ts'
import { DividedNamespaces } from './divided-namespaces.ts'
import { LoadDigestWriter } from './load-digest.ts'
import { namespaceOfBundle, type BrokerView } from './load.ts'
import { Placement } from './placement.ts'
import { QuotaTable } from './quota-table.ts'
import { withQuotas } from './quotas.ts'
import { ReportTable, usagesOf } from './report-table.ts'
import type { LoggedDecision } from './rows.ts'
import { balanceSettingsOf, weightsOf } from './settings.ts'

/** What was done while this broker decided, since its start. */
export interface BalanceCounts {
  /** In each round, those that something was moved away from. */
  readonly unloadedBrokers: number
  readonly unloadedBundles: number
  readonly splitBundles: number
}

export interface BalancerOptions {
  readonly store: MetadataStore
  readonly clock: Clock
  readonly logger: Logger
  readonly settings: BrokerSettings
  readonly ownership: Pick<Ownership, 'self' | 'leader' | 'brokers' | 'owners' | 'ownerOf'>
  readonly rules: Pick<ClusterRules, 'rules' | 'refresh'>
  readonly log: Pick<DecisionLog, 'append' | 'cycles'>
  readonly actions: BalanceActions
}

/** How often it is looked at who leads, and what placement goes by is written; more often where cycles are. */
const TICK_MS_MAX = 10_000
const DONE = 'done'
/** Requests to owners at one time. */
const ACTIONS_AT_ONCE = 4
/** Bundles whose place is looked at in a cycle. */
const PLACES_PER_CYCLE = 20_000

/** What only the leader has. */
interface Office {
  readonly reports: ReportTable
  readonly quotas: QuotaTable
  readonly digest: LoadDigestWriter
  history: BalanceHistory
  nextCycleMs: number
  /** Goes on where it stopped. */
  places: Iterator<[string, BrokerAddress]> | undefined
}

/**
 * The loop of the broker that leads: reads what all say of their load, writes what placement goes by, decides, and asks
 * owners to do it. Advice only: whatever it does wrong or twice costs a move, never a message. A broker that does not lead
 * does nothing here; one that no longer leads stops at the next tick.
 */
export class Balancer {
  readonly #counts: { -readonly [Key in keyof BalanceCounts]: BalanceCounts[Key] } = noCounts()
  readonly #options: BalancerOptions
  readonly #divided: DividedNamespaces
  #office: Office | undefined
  #cancel: () => void = () => undefined
  #running: Promise<void> | undefined
  #isClosed = false

  constructor(options: BalancerOptions) {
    this.#options = options
    this.#divided = new DividedNamespaces(options.store)
  }

  get counts(): BalanceCounts {
    return this.#counts
  }

  start(): void {
    const { clock, settings } = this.#options
    const tickMs = Math.min(TICK_MS_MAX, settings.loadBalancerSheddingIntervalMinutes * MINUTE_MS)
    this.#cancel = clock.after(tickMs, () => {
      this.#running = this.tick().then(() => {
        this.#running = undefined
        if (!this.#isClosed) this.start()
      })
    })
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#cancel()
    await this.#running
    this.#leave()
  }

  /** Never throws. */
  async tick(): Promise<void> {
    const { logger, rules, clock, settings } = this.#options
    try {
      if (!this.#leads()) {
        this.#leave()
        return
      }
      const office = (this.#office ??= await this.#enter())
      await office.digest.write(usagesOf(this.#views(office)))
      // monotonic: a wall clock that is set back by an hour must not end balancing for an hour
      const nowMs = clock.nowMs()
      if (nowMs < office.nextCycleMs || !settings.loadBalancerEnabled) return
      office.nextCycleMs = nowMs + settings.loadBalancerSheddingIntervalMinutes * MINUTE_MS
      await rules.refresh()
      await this.#cycle(office, nowMs)
    } catch (error) {
      logger.warn({ event: 'balance.cycle_failed', reason: reasonOf(error) }, 'nothing was balanced this time')
    }
  }

  #leads(): boolean {
    const { ownership } = this.#options
    return ownership.leader()?.instance === ownership.self.instance
  }

  async #enter(): Promise<Office> {
    const { store, logger, clock } = this.#options
    const reports = await ReportTable.open(store, logger)
    let quotas: QuotaTable | undefined
    try {
      quotas = await QuotaTable.open(store, logger)
      const history = await this.#remembered()
      logger.info({ event: 'balance.leader_began' }, 'this broker decides about balance')
      const digest = new LoadDigestWriter(store, clock)
      return { reports, quotas, digest, history, nextCycleMs: -Infinity, places: undefined }
    } catch (error) {
      reports.close()
      quotas?.close()
      throw error
    }
  }

  #leave(): void {
    this.#office?.reports.close()
    this.#office?.quotas.close()
    this.#office = undefined
  }

  /**
   * What a leader before has done counts for the cap and for cool-downs. Its times are those of another wall clock: what it
   * did in the future was done just now.
   */
  async #remembered(): Promise<BalanceHistory> {
    const { log, settings, clock } = this.#options
    const { coolDownMs } = balanceSettingsOf(settings)
    const cycles = await log.cycles()
    const [nowMs, wallMs] = [clock.nowMs(), clock.wallMs()]
    const touched = new Map<string, number>()
    const moves: number[] = []
    for (const { atMs, decisions } of cycles) {
      const agoMs = Math.max(0, wallMs - atMs)
      for (const { kind, bundle } of decisions) {
        if (agoMs < coolDownMs) touched.set(bundle, nowMs - agoMs)
        if (kind !== 'split' && agoMs < MINUTE_MS) moves.push(nowMs - agoMs)
      }
    }
    return { ...NO_HISTORY, touched, moves }
  }

  async #cycle(office: Office, nowMs: number): Promise<void> {
    const { ownership, settings, rules, log, logger, clock } = this.#options
    const brokers = this.#views(office)
    const all = rules.rules()
    const balanceSettings = balanceSettingsOf(settings)
    const placement = new Placement(brokers, all, balanceSettings.placement)
    const misplaced = all.isolation.length === 0 ? [] : this.#misplaced(office, placement)
    const { decisions, history } = decide({
      brokers,
      rules: all,
      misplaced: balanceSettings.isShedding ? misplaced : [],
      initialCount: balanceSettings.isMerging ? await this.#divided.initialCounts(namespacesOf(brokers)) : new Map(),
      settings: balanceSettings,
      history: office.history,
      nowMs
    })
    office.history = history
    if (decisions.length === 0) return
    const done = await this.#perform(decisions)
    office.history = withoutFailed(history, done)
    for (const each of done) logger.info({ event: 'balance.decided', ...each }, 'balance decided')
    await log.append({ atMs: clock.wallMs(), leader: ownership.self.id, decisions: done })
  }

  /** By what brokers say, and by what operators expect. */
  #views({ reports, quotas }: Office): BrokerView[] {
    const { ownership, settings } = this.#options
    const views = reports.views(ownership.brokers(), weightsOf(settings))
    return withQuotas(views, quotas.quotas, bundle => {
      const name = parseBundlePath(bundle)
      return name === undefined ? undefined : ownership.ownerOf(name)?.instance
    })
  }

  #misplaced(office: Office, placement: Placement): Misplaced[] {
    const found: Misplaced[] = []
    for (let looked = 0; looked < PLACES_PER_CYCLE; looked++) {
      office.places ??= this.#options.ownership.owners().entries()
      const next = office.places.next()
      if (next.done === true) {
        office.places = undefined
        break
      }
      const [bundle, { instance }] = next.value
      if (!placement.mayStay(bundle, instance)) found.push({ bundle, from: instance })
    }
    return found
  }

  /** A few at a time. A failure is its decision's outcome, no more: the next cycle sees what came of it. */
  async #perform(decisions: readonly Decision[]): Promise<LoggedDecision[]> {
    const done: LoggedDecision[] = []
    const left = [...decisions.entries()]
    const work = async (): Promise<void> => {
      for (let next = left.shift(); next !== undefined; next = left.shift()) {
        const [index, decision] = next
        done[index] = { ...this.#shown(decision), outcome: await this.#performOne(decision) }
      }
    }
    await Promise.all(Array.from({ length: ACTIONS_AT_ONCE }, work))
    this.#count(done)
    return done
  }

  #count(performed: readonly LoggedDecision[]): void {
    const done = performed.filter(({ outcome }) => outcome === DONE)
    const moves = done.filter(({ kind }) => kind === 'move')
    this.#counts.unloadedBundles += moves.length
    this.#counts.unloadedBrokers += new Set(moves.map(({ from }) => from)).size
    this.#counts.splitBundles += done.filter(({ kind }) => kind === 'split').length
  }

  async #performOne(decision: Decision): Promise<string> {
    const { actions, ownership, settings } = this.#options
    if (this.#isClosed || !this.#leads()) return 'not done: this broker no longer decides'
    const owners = subjectsOf(decision).map(({ bundle, wanted }) => {
      const name = parseBundlePath(bundle)
      const owner = name === undefined ? undefined : ownership.ownerOf(name)
      return owner?.instance === wanted ? owner : undefined
    })
    const [owner] = owners
    if (owner === undefined || owners.includes(undefined)) return 'not done: it is elsewhere by now'
    try {
      if (decision.kind === 'move') {
        const to = this.#broker(decision.to)
        if (to === undefined) return 'not done: the broker it should go to is gone'
        await actions.move(decision.bundle, owner, to)
      } else if (decision.kind === 'split') {
        await actions.split(decision.bundle, owner, { unload: settings.loadBalancerAutoUnloadSplitBundlesEnabled })
      } else await actions.merge(decision.left, decision.right, owner)
      return DONE
    } catch (error) {
      return `not done: ${reasonOf(error)}`
    }
  }

  #shown(decision: Decision): Omit<LoggedDecision, 'outcome'> {
    const { kind, reason } = decision
    const idOf = (instance: string): string => this.#broker(instance)?.id ?? instance
    switch (decision.kind) {
      case 'move':
        return { kind, bundle: decision.bundle, from: idOf(decision.from), to: idOf(decision.to), reason }
      case 'split':
        return { kind, bundle: decision.bundle, from: idOf(decision.owner), to: '', reason }
      case 'merge':
        return { kind, bundle: decision.left, from: idOf(decision.leftOwner), to: decision.right, reason }
    }
  }

  #broker(instance: string): BrokerAddress | undefined {
    return this.#options.ownership.brokers().find(broker => broker.instance === instance)
  }
}

export function noCounts(): BalanceCounts {
  return { unloadedBrokers: 0, unloadedBundles: 0, splitBundles: 0 }
}

function namespacesOf(brokers: readonly BrokerView[]): Set<string> {
  return new Set(brokers.flatMap(({ bundles }) => bundles.map(({ bundle }) => namespaceOfBundle(bundle))))
}

/** Bundles that it is about, with who has to have them still. */
function subjectsOf(decision: Decision): { bundle: string; wanted: string }[] {
  switch (decision.kind) {
    case 'move':
      return [{ bundle: decision.bundle, wanted: decision.from }]
    case 'split':
      return [{ bundle: decision.bundle, wanted: decision.owner }]
    case 'merge':
      return [
        { bundle: decision.left, wanted: decision.leftOwner },
        { bundle: decision.right, wanted: decision.rightOwner }
      ]
  }
}

/** What was not done needs no rest: it may be decided otherwise the next time. It counts for the cap nonetheless. */
function withoutFailed(history: BalanceHistory, done: readonly LoggedDecision[]): BalanceHistory {
  const touched = new Map(history.touched)
  for (const { kind, bundle, to, outcome } of done) {
    if (outcome === DONE) continue
    touched.delete(bundle)
    if (kind === 'merge') touched.delete(to)
  }
  return { ...history, touched }
}
