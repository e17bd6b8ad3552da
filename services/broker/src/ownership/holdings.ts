import { strict as assert } from 'node:assert'
import type { Compare } from '@strata/metadata'
import { parseBundlePath } from './bundle-name.ts'
import { Candidates } from './candidates.ts'
import type { BrokerAddress, BundleName } from './contract.ts'
import type { OwnerRow, RawPut, Refusal, UnloadRequest } from './events.ts'
import { newLocalBundle, type LocalBundle, type Move } from './local-bundle.ts'
import type { MachineContext } from './machine-context.ts'
import type { KnownRow, Standing } from './owner-table.ts'
import { OwnerWriter } from './owner-writer.ts'
import { Waiting } from './waiting.ts'

/** How long the closing of topics may take; past it the bundle stays. */
export const HANDOVER_MS = 10_000
/** How long a bundle waits for who was chosen. */
export const GIVEN_MS = 2_000
/** Where nobody may take a bundle now. */
const PLACE_AGAIN_MS = 500

/**
 * The bundles of this broker, and those it was asked for. Everything follows from rows and registrations: each change of what
 * is known leads to `#reconcile`, which does the one next thing.
 *
 * Invariants
 *   H1  A bundle is held here if its row names the present registration of this broker, and only then.
 *   H2  What a transaction compares: see OwnerWriter.
 *   H3  While topics are closing the bundle is not used; it is released, or used again, only once they are closed.
 *   H4  Topics of a bundle that another has are dropped at once; those of a lost lease stay until another has it.
 */
export class Holdings {
  readonly #context: MachineContext
  readonly #candidates: Candidates
  readonly #writer: OwnerWriter
  readonly #waiting: Waiting
  readonly #locals = new Map<string, LocalBundle>()
  #keptCount = 0

  constructor(context: MachineContext) {
    this.#context = context
    this.#candidates = new Candidates(context)
    this.#waiting = new Waiting(context)
    this.#writer = new OwnerWriter(context, (local, outcome) => {
      if (outcome.kind === 'obsolete') this.#onNoSuchBundle(local)
      this.#reconcile(local)
    })
  }

  get waiterCount(): number {
    return this.#waiting.count
  }

  /** Bundles whose topics wait for a new lease to be taken back. */
  get keptCount(): number {
    return this.#keptCount
  }

  /** The version of the row that makes this broker the one to act on it. */
  holdVersion(bundle: string): number | undefined {
    const local = this.#locals.get(bundle)
    return local !== undefined && this.#isUsable(local) ? this.#context.table.get(bundle)?.version : undefined
  }

  held(): BundleName[] {
    return [...this.#locals.values()].filter(local => this.#isMine(local)).map(local => local.name)
  }

  // what is asked

  locate({ id, bundle, take }: { id: number; bundle: BundleName; take: boolean }): void {
    const local = this.#local(bundle)
    local.isObsolete = false // whoever asks has just read that it is there
    this.#waiting.add(local, { id, take })
    this.#reconcile(local)
  }

  unload({ id, bundle, to, isAbrupt }: UnloadRequest): void {
    const { registry, isRegistered } = this.#context
    const local = this.#locals.get(bundle.toString())
    if (local === undefined || !this.#isMine(local) || !isRegistered) {
      this.#done(id, { code: 'MetadataError', reason: 'the bundle is not held here' })
      return
    }
    const chosen = to === undefined ? undefined : registry.peers().find(broker => broker.id === to)
    if (to !== undefined && chosen === undefined) {
      const isHere = to === registry.self.id
      this.#done(id, isHere ? undefined : { code: 'NotAllowedError', reason: `there is no broker ${to}` })
      return
    }
    if (local.move !== undefined) local.move.ids.push(id)
    else local.move = { ids: [id], to: chosen?.instance, isAbrupt, next: undefined, phase: 'wanted', untilMs: Infinity }
    this.#reconcile(local)
  }

  /** A split or a merge: topics stay open, under whatever bundles they are in afterwards. */
  redivide(request: {
    id: number
    bundles: readonly BundleName[]
    parts: readonly BundleName[]
    compares: readonly Compare[]
    change: RawPut
  }): void {
    const { id, bundles, parts } = request
    const { isRegistered, registry } = this.#context
    const locals = bundles.flatMap(bundle => this.#locals.get(bundle.toString()) ?? [])
    const areHere = locals.length === bundles.length && locals.every(each => this.#isUsable(each))
    if (!areHere || !isRegistered || locals.some(({ pending }) => pending !== 'no')) {
      this.#done(id, { code: 'MetadataError', reason: 'the bundle is not held here, or is moving' })
      return
    }
    const from = bundles.map(({ range }) => range).join(' and ')
    const reason = bundles.length === 1 ? `part of ${from}` : `merged from ${from}`
    const row = this.#writer.rowOf({ owner: registry.instance, next: '', reason })
    this.#writer.redivide(locals, { ...request, row }, outcome => {
      if (outcome.kind === 'committed') this.#redivided(locals, parts)
      const refusal = 'the bundle was moved or divided meanwhile'
      this.#done(id, outcome.kind === 'committed' ? undefined : { code: 'MetadataError', reason: refusal })
    })
  }

  // what happens

  /** Its row changed. */
  onRow(bundle: string, before: OwnerRow | undefined): void {
    const { table, registry, isRegistered } = this.#context
    const { instance } = registry
    const row = table.get(bundle)?.row
    if (row === undefined && before !== undefined && isRegistered) {
      const isLost = before.owner === '' ? before.next === instance : before.owner !== instance
      if (isLost) this.#inherit(bundle)
    }
    const isOurs = row !== undefined && instance !== '' && (row.owner === instance || row.next === instance)
    const local = this.#locals.get(bundle) ?? (isOurs ? this.#localOf(bundle) : undefined)
    if (local === undefined) return
    local.pausedUntilMs = 0
    this.#reconcile(local)
  }

  /** A broker came or went: bundles that name it are judged anew. */
  onBroker(instance: string): void {
    const { table, isRegistered, isAlive } = this.#context
    const isGone = !isAlive(instance)
    if (isGone) this.#candidates.onGone(instance)
    for (const [bundle, { row }] of table.entries()) {
      if (row.owner !== instance && row.next !== instance) continue
      if (isGone && isRegistered && row.owner === instance) this.#inherit(bundle)
      this.reconcile(bundle)
    }
  }

  onClosed(bundle: string): void {
    const local = this.#locals.get(bundle)
    if (local === undefined) return
    assert(local.topics === 'closing', 'topics are closed that nobody closes')
    local.topics = 'none'
    if (local.move?.phase === 'closing') local.move.phase = 'closed'
    this.#reconcile(local)
  }

  onObsolete(bundle: string): void {
    const local = this.#locals.get(bundle)
    if (local === undefined || local.pending === 'redivide') return
    this.#onNoSuchBundle(local)
    this.#reconcile(local)
  }

  /** What is open stays open, and is to be taken back. */
  onLeaseLost(): void {
    for (const local of this.#locals.values()) {
      local.isWanted = false
      this.#endMove(local, { code: 'MetadataError', reason: 'the metadata store is out of reach' })
      if (local.topics === 'open') this.#keep(local, true)
    }
  }

  /** Declared dead: everything is another's, or will be. */
  onExpelled(): void {
    for (const local of this.#locals.values()) {
      local.isWanted = false
      if (local.topics === 'open') this.#lose(local)
      this.#endMove(local, { code: 'MetadataError', reason: 'this broker was taken for dead' })
    }
  }

  reconcileAll(): void {
    for (const local of [...this.#locals.values()]) this.#reconcile(local)
  }

  reconcile(bundle: string): void {
    const local = this.#locals.get(bundle)
    if (local !== undefined) this.#reconcile(local)
  }

  // the one next thing

  #reconcile(local: LocalBundle): void {
    const { table, isAlive, nowMs, isRegistered } = this.#context
    const standing = table.standing(local.key, isAlive, nowMs)
    this.#context.stayAsleep(local.key)
    this.#guardTopics(local, standing)
    if (isRegistered && local.pending === 'no') {
      if (nowMs < local.pausedUntilMs) this.#context.wakeAt(local.key, local.pausedUntilMs)
      else if (this.#isMine(local)) this.#tend(local)
      else this.#seek(local, standing)
    }
    this.#answer(local, standing)
    this.#forgetIfIdle(local)
  }

  /** H4 */
  #guardTopics(local: LocalBundle, standing: Standing): void {
    if (local.topics !== 'open' || local.pending === 'redivide' || this.#isMine(local)) return
    const { table, registry } = this.#context
    const owner = table.get(local.key)?.row.owner ?? ''
    const isOthers = owner !== '' && owner !== local.heldAs && owner !== registry.instance
    const isGivenAway = standing.kind === 'given' && standing.next !== registry.instance
    if (local.isKept && !isOthers && !isGivenAway && !local.isObsolete) return
    this.#lose(local)
  }

  /** The row names this broker. */
  #tend(local: LocalBundle): void {
    const { table, registry, nowMs } = this.#context
    const known = table.get(local.key)
    assert(known !== undefined)
    const { move } = local
    this.#keep(local, false)
    local.isWanted = false
    local.heldAs = registry.instance
    if (local.isObsolete) {
      this.#discard(local)
      return
    }
    if (local.topics === 'none' && move?.phase !== 'closed') this.#open(local)
    if (move === undefined) {
      if (known.row.next !== '') this.#writer.put(local, { owner: registry.instance, next: '', reason: 'it stays' })
    } else if (move.phase === 'wanted') this.#announce(local, { move, known })
    else if (move.phase === 'closed') this.#letGo(local, move)
    else if (nowMs < move.untilMs) this.#context.wakeAt(local.key, move.untilMs)
    else {
      this.#endMove(local, { code: 'MetadataError', reason: 'its topics were not closed in time: it stays' })
      this.#tend(local)
    }
  }

  #open(local: LocalBundle): void {
    local.topics = 'open'
    const names = local.preload
    local.preload = []
    if (names.length > 0) this.#context.emit({ kind: 'preload', bundle: local.name, names })
  }

  /** Says in the row who is next, then closes the topics. */
  #announce(local: LocalBundle, { move, known }: { move: Move; known: KnownRow }): void {
    const { registry, isAlive } = this.#context
    const owner = registry.instance
    if (known.row.next !== '') {
      if (known.row.next === move.next) this.#close(local, move)
      else this.#writer.put(local, { owner, next: '', reason: 'it goes elsewhere' })
      return
    }
    const isThere = move.to !== undefined && isAlive(move.to)
    move.next = isThere ? move.to : this.#candidates.elsewhere(local.name)?.instance
    if (move.next === undefined) this.#close(local, move)
    else {
      const reason = `unloaded from ${registry.self.id}`
      this.#writer.put(local, { owner, next: move.next, movingMs: HANDOVER_MS, reason })
    }
  }

  #close(local: LocalBundle, move: Move): void {
    if (local.topics !== 'open') return // an earlier hand-over closes them still
    const { registry, nowMs, isLeaving } = this.#context
    local.topics = 'closing'
    move.phase = 'closing'
    move.untilMs = nowMs + HANDOVER_MS
    // where nobody else could have it, it stays
    const staying = isLeaving ? undefined : registry.self
    const next = move.next === undefined ? staying : registry.get(move.next)
    this.#context.emit({ kind: 'release', bundle: local.name, next, isAbrupt: move.isAbrupt })
    this.#context.wakeAt(local.key, move.untilMs)
  }

  #letGo(local: LocalBundle, move: Move): void {
    const { isAlive, registry } = this.#context
    const isAlone = move.next === undefined
    const next = isAlone || isAlive(move.next ?? '') ? move.next : this.#candidates.elsewhere(local.name)?.instance
    if (next === undefined) {
      const reason = 'the broker it was to go to is gone'
      this.#endMove(local, isAlone ? undefined : { code: 'MetadataError', reason })
      this.#tend(local)
      return
    }
    const reason = `handed over by ${registry.self.id}`
    this.#writer.put(local, { owner: '', next, movingMs: GIVEN_MS, reason, namesTopics: true })
  }

  /** The row names another broker or none. */
  #seek(local: LocalBundle, standing: Standing): void {
    const { registry, nowMs, settleUntilMs } = this.#context
    if (standing.kind === 'owned') {
      this.#endMove(local, undefined)
      local.isWanted = false
    } else if (standing.kind === 'given') {
      if (standing.next === registry.instance) this.#take(local, 'handed over')
      else this.#context.wakeAt(local.key, standing.untilMs)
    } else if (standing.kind === 'none') {
      if (standing.failed !== undefined) this.#candidates.avoid(standing.failed)
      const isAsked = local.waiters.length > 0 || local.move !== undefined || local.isWanted
      if (local.isKept) this.#take(local, 'taken back')
      else if (isAsked && nowMs < settleUntilMs) this.#context.wakeAt(local.key, settleUntilMs)
      else if (isAsked) this.#assign(local)
    }
  }

  #assign(local: LocalBundle): void {
    const { registry, isLeaving } = this.#context
    const isMeant = local.isWanted || local.waiters.some(({ take }) => take)
    if (isMeant && !registry.self.isDraining && !isLeaving) {
      this.#take(local, local.isWanted ? 'its owner is gone' : 'asked for here')
      return
    }
    const placed = this.#candidates.place(local.name)
    if (placed === undefined) {
      this.#context.wakeAt(local.key, this.#context.nowMs + PLACE_AGAIN_MS)
      return
    }
    const { broker, reason } = placed
    if (broker.instance === registry.instance) this.#take(local, reason)
    else this.#writer.put(local, { owner: '', next: broker.instance, movingMs: GIVEN_MS, reason, isGiving: true })
  }

  #take(local: LocalBundle, reason: string): void {
    if (local.topics === 'closing') return // H3: `onClosed` comes here again
    if (this.#context.isLeaving) return
    const { table, registry } = this.#context
    local.preload = table.get(local.key)?.row.loadedTopics ?? []
    this.#endMove(local, { code: 'MetadataError', reason: 'nobody else took it' })
    this.#writer.put(local, { owner: registry.instance, next: '', reason, isGiving: true })
  }

  /** Of a namespace that has no such bundle: its topics go, then its row. */
  #discard(local: LocalBundle): void {
    if (local.topics === 'open') this.#lose(local)
    if (local.topics === 'none') this.#writer.remove(local)
  }

  #onNoSuchBundle(local: LocalBundle): void {
    local.isWanted = false
    local.isObsolete = true
    this.#endMove(local, { code: 'MetadataError', reason: 'there is no such bundle any more' })
    const reason = 'the namespace was divided anew: look the topic up again'
    this.#waiting.answerAll(local, { kind: 'refused', reason })
  }

  #redivided(locals: readonly LocalBundle[], parts: readonly BundleName[]): void {
    const into = parts.map(({ range }) => range).join(', ')
    const open = locals.find(({ topics }) => topics === 'open')
    for (const part of parts) {
      const next = this.#local(part)
      if (next.topics === 'none' && open !== undefined) {
        next.topics = 'open'
        next.heldAs = open.heldAs
        this.#keep(next, open.isKept)
      }
      this.#reconcile(next)
    }
    for (const local of locals) {
      this.#context.decided(local.key, `${parts.length === 1 ? 'merged' : 'divided'} into ${into}`)
      if (local.topics === 'open') local.topics = 'none'
      this.#keep(local, false)
      this.#onNoSuchBundle(local)
    }
  }

  #answer(local: LocalBundle, standing: Standing): void {
    const { registry, isSuspended, isRegistered } = this.#context
    if (local.waiters.length === 0) return
    if (isSuspended && !isRegistered) {
      // it learns of no owner, and other brokers know
      this.#waiting.answerAll(local, { kind: 'refused', reason: 'this broker is out of touch with its cluster' })
    } else if (this.#isUsable(local)) this.#waiting.answerAll(local, { kind: 'here' })
    else if (standing.kind === 'owned' && standing.owner !== registry.instance) {
      const broker = registry.get(standing.owner)
      if (broker !== undefined) this.#waiting.answerAll(local, { kind: 'there', broker })
    }
    this.#waiting.expire(local)
  }

  #done(id: number, refusal: Refusal | undefined): void {
    this.#context.emit({ kind: 'done', id, refusal })
  }

  #endMove(local: LocalBundle, refusal: Refusal | undefined): void {
    for (const id of local.move?.ids ?? []) this.#done(id, refusal)
    local.move = undefined
  }

  // what a bundle is to this broker

  /** H1 */
  #isMine({ key }: LocalBundle): boolean {
    const { table, registry } = this.#context
    return registry.instance !== '' && table.get(key)?.row.owner === registry.instance
  }

  #isUsable(local: LocalBundle): boolean {
    const { mode, isSuspended, isLeaving, table } = this.#context
    if (local.topics !== 'open' || local.move !== undefined || local.isObsolete) return false
    if (mode === 'joining' || isSuspended || isLeaving) return false
    return this.#isMine(local) && table.get(local.key)?.row.next === ''
  }

  #lose(local: LocalBundle): void {
    const { table, registry, isAlive, nowMs } = this.#context
    const standing = table.standing(local.key, isAlive, nowMs)
    const next = standing.kind === 'none' ? '' : 'owner' in standing ? standing.owner : standing.next
    const to: BrokerAddress | undefined = next === registry.instance ? undefined : registry.get(next)
    local.topics = 'closing'
    this.#keep(local, false)
    this.#endMove(local, { code: 'MetadataError', reason: 'the bundle was taken over' })
    this.#context.decided(local.key, `dropped: ${to === undefined ? 'it is not ours any more' : `${to.id} has it`}`)
    this.#context.emit({ kind: 'drop', bundle: local.name, next: to })
  }

  #keep(local: LocalBundle, isKept: boolean): void {
    if (local.isKept === isKept) return
    local.isKept = isKept
    this.#keptCount += isKept ? 1 : -1
  }

  /** Its owner is gone: whoever it falls to takes it before anyone has to ask. */
  #inherit(bundle: string): void {
    const name = parseBundlePath(bundle)
    if (name === undefined) return
    if (this.#candidates.place(name)?.broker.instance !== this.#context.registry.instance) return
    const local = this.#local(name)
    local.isWanted = true
    this.#reconcile(local)
  }

  #local(name: BundleName): LocalBundle {
    const known = this.#locals.get(name.toString())
    if (known !== undefined) return known
    const local = newLocalBundle(name)
    this.#locals.set(local.key, local)
    return local
  }

  #localOf(bundle: string): LocalBundle | undefined {
    const name = parseBundlePath(bundle)
    return name === undefined ? undefined : this.#local(name)
  }

  #forgetIfIdle(local: LocalBundle): void {
    const { topics, pending, isWanted, move, waiters } = local
    if (topics !== 'none' || pending !== 'no' || isWanted || move !== undefined || waiters.length > 0) return
    const { table, registry } = this.#context
    if (this.#isMine(local) || table.get(local.key)?.row.next === registry.instance) return
    this.#context.stayAsleep(local.key)
    this.#locals.delete(local.key)
  }
}
