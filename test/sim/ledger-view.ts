import { entryId, type BookieId, type LedgerId } from '@strata/base'
import { decodeLedger, ledgerIdOfKey, type LedgerDescription } from '@strata/ledger-client'
import { membersOf, writeSet, type Ensemble } from '@strata/ledger-protocol'
import type { MetadataStore } from '@strata/metadata'
import type { History, LedgerHistory } from './history.ts'
import type { NodeWatch } from './node-watch.ts'

const LEDGERS_PREFIX = 'ledgers/'

export interface LedgerViewOptions {
  readonly history: History
  /** The store itself, with nothing in the way. */
  readonly store: MetadataStore
  readonly nodes: readonly { readonly bookieId: BookieId; readonly watch: NodeWatch }[]
}

/**
 * What metadata says of every ledger at this moment, as somebody sees it who needs no network: checks each change of it
 * as it is made (`state-moves`, `one-end`), and each acknowledgement against the nodes (`quorum-acked`).
 */
export class LedgerView {
  readonly #world: LedgerViewOptions
  readonly #ledgers = new Map<LedgerId, LedgerDescription>()
  readonly #watches: ReadonlyMap<BookieId, NodeWatch>

  constructor(world: LedgerViewOptions) {
    this.#world = world
    this.#watches = new Map(world.nodes.map(({ bookieId, watch }) => [bookieId, watch]))
  }

  async start(): Promise<void> {
    await this.#world.store.watch(LEDGERS_PREFIX, events => {
      for (const { key, value } of events) {
        const id = ledgerIdOfKey(key)
        if (id === undefined) continue
        if (value === undefined) this.#onDeleted(id)
        else this.#onChange(id, { ledgerId: id, ...decodeLedger(value) })
      }
    })
  }

  get(id: LedgerId): LedgerDescription | undefined {
    return this.#ledgers.get(id)
  }

  get all(): IterableIterator<LedgerDescription> {
    return this.#ledgers.values()
  }

  /** Entries past `ledger.acked` up to `lac` are acknowledged to their writer at this moment. */
  checkAcks(ledger: LedgerHistory, lac: number): void {
    const described = this.#ledgers.get(ledger.ledgerId)
    if (described === undefined) return
    const { quorum, ensembles } = described
    for (let id = ledger.acked + 1; id <= lac; id++) {
      const members = membersOf(entryId(id), quorum, ensembles)
      const holders = members.filter(bookie => this.#hasAcked(bookie, ledger.ledgerId, id))
      if (holders.length >= quorum.ackQuorum) continue
      const what = `${ledger.ledgerId}:${id} was acknowledged, and of ${members.join(', ')} only ${holders.join(', ')} answered`
      this.#world.history.violate('quorum-acked', what)
    }
  }

  #hasAcked(bookie: BookieId, ledgerId: LedgerId, id: number): boolean {
    return this.#watchOf(bookie)?.hasAcked(ledgerId, id) === true
  }

  #watchOf(bookie: BookieId): NodeWatch | undefined {
    return this.#watches.get(bookie)
  }

  #onDeleted(id: LedgerId): void {
    this.#ledgers.delete(id)
    if (!this.#world.history.isDeleting(id)) {
      this.#world.history.violate('nothing-lost', `the metadata of ledger ${id} is gone, and nobody deleted it`)
    }
  }

  #onChange(id: LedgerId, now: LedgerDescription): void {
    const { history } = this.#world
    const before = this.#ledgers.get(id)
    this.#ledgers.set(id, now)
    if (now.end !== undefined) history.ended(id, now.end, 'metadata')
    if (before === undefined) return
    if (now.state === 'closed' && before.state !== 'closed') this.#checkClosed(now)
    const rank = { open: 0, 'in-recovery': 1, closed: 2 } as const
    if (rank[now.state] < rank[before.state]) {
      history.violate('state-moves', `ledger ${id} went from ${before.state} to ${now.state}`)
    }
    const isSame =
      now.ensembles.length === before.ensembles.length && now.ensembles.every((e, i) => isEqual(e, before.ensembles[i]))
    if (isSame) return
    history.counts.changes++
    history.tell('metadata', () => `ledger ${id}: ensembles ${describeEnsembles(now)}`)
    if (now.state === 'closed' && before.state !== 'closed') history.races.recoveryWithChange++ // the recoverer's own
    this.#checkRepair(before, now)
    this.#checkLastEnsemble(before, now)
  }

  #checkClosed({ ledgerId, end, quorum, ensembles }: LedgerDescription): void {
    for (let id = 0; id <= (end?.lastEntryId ?? -1); id++) {
      const members = membersOf(entryId(id), quorum, ensembles)
      const holders = members.filter(bookie => this.#watchOf(bookie)?.saysItHas(ledgerId, id) === true)
      if (holders.length >= quorum.ackQuorum) continue
      const what = `ledger ${ledgerId} is closed, and of ${members.join(', ')} only ${holders.join(', ')} said to have ${id}`
      this.#world.history.violate('closed-copies', what)
      return
    }
  }

  /** What is settled may be handed on, place by place, to who has all of it. */
  #checkRepair(before: LedgerDescription, now: LedgerDescription): void {
    const { history } = this.#world
    const settled = before.state === 'closed' ? before.ensembles : before.ensembles.slice(0, -1)
    for (const [i, { firstEntryId, bookies }] of settled.entries()) {
      const after = now.ensembles[i]
      if (after === undefined || after.firstEntryId !== firstEntryId) {
        const isReplaced = before.state !== 'closed' && firstEntryId >= (now.ensembles.at(-1)?.firstEntryId ?? 0)
        if (!isReplaced) history.violate('state-moves', `an ensemble of ledger ${before.ledgerId} is gone`)
        continue
      }
      const last = (before.ensembles[i + 1]?.firstEntryId ?? (before.end?.lastEntryId ?? -1) + 1) - 1
      for (const [index, bookie] of after.bookies.entries()) {
        if (bookies[index] === bookie) continue
        history.counts.repairs++
        this.#checkHeir(now, { bookie, index, first: firstEntryId, last })
      }
    }
  }

  #checkHeir(
    { ledgerId, quorum }: LedgerDescription,
    place: { bookie: BookieId; index: number; first: number; last: number }
  ): void {
    const { bookie, index, first, last } = place
    for (let id = first; id <= last; id++) {
      if (!writeSet(entryId(id), quorum).includes(index) || this.#watchOf(bookie)?.saysItHas(ledgerId, id) === true)
        continue
      const what = `${bookie} takes a place of ledger ${ledgerId}, and does not have ${id} of ${first} to ${last}`
      this.#world.history.violate('repair-proved', what)
      return
    }
  }

  /** The last ensemble changes while the ledger is open, from the first entry on that is not acknowledged; or when it closes. */
  #checkLastEnsemble(before: LedgerDescription, now: LedgerDescription): void {
    const { history } = this.#world
    const last = now.ensembles.at(-1)
    if (before.state === 'closed' || isEqual(last, before.ensembles.at(-1))) return
    if (now.state === 'in-recovery') history.violate('state-moves', `ledger ${now.ledgerId} changed in recovery`)
    const acked = history.ledger(now.ledgerId)?.acked ?? -1
    if (now.state === 'open' && last !== undefined && last.firstEntryId <= acked) {
      const what = `ledger ${now.ledgerId} has another ensemble from ${last.firstEntryId} on, and ${acked} is acknowledged`
      history.violate('state-moves', what)
    }
  }
}

function isEqual(a: Ensemble | undefined, b: Ensemble | undefined): boolean {
  if (a === undefined || b === undefined) return a === b
  return (
    a.firstEntryId === b.firstEntryId &&
    a.bookies.length === b.bookies.length &&
    a.bookies.every((id, i) => id === b.bookies[i])
  )
}

function describeEnsembles({ ensembles }: LedgerDescription): string {
  return ensembles.map(({ firstEntryId, bookies }) => `${firstEntryId}: ${bookies.join(' ')}`).join('; ')
}
