import { entryId, type BookieId, type LedgerId } from '@strata/base'
import { ledgerIdOfKey, type LedgerClient, type LedgerDescription } from '@strata/ledger-client'
import { membersOf } from '@strata/ledger-protocol'
import type { MetadataStore } from '@strata/metadata'
import type { Scheduler } from '@strata/sim'
import type { History, LedgerHistory } from './history.ts'
import type { NodeWatch } from './node-watch.ts'

const LEDGERS_PREFIX = 'ledgers/'

export interface LedgerViewOptions {
  readonly scheduler: Scheduler
  readonly history: History
  /** The store itself, with nothing in the way. */
  readonly store: MetadataStore
  readonly client: LedgerClient
  readonly nodes: readonly { readonly bookieId: BookieId; readonly watch: NodeWatch }[]
}

/**
 * What metadata says of every ledger at this moment, as somebody sees it who needs no network: checks each change of it
 * as it is made (`state-moves`, `one-end`), and each acknowledgement against the nodes (`quorum-acked`).
 */
export class LedgerView {
  readonly #world: LedgerViewOptions
  readonly #ledgers = new Map<LedgerId, LedgerDescription>()

  constructor(world: LedgerViewOptions) {
    this.#world = world
  }

  async start(): Promise<void> {
    const { client, store, scheduler } = this.#world
    await store.watch(LEDGERS_PREFIX, events => {
      for (const { key, value } of events) {
        const id = ledgerIdOfKey(key)
        if (id === undefined) continue
        if (value === undefined) this.#onDeleted(id)
        else {
          client.describe(id).then(
            described => this.#onChange(id, described),
            (error: unknown) => scheduler.fail(error)
          )
        }
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
    return this.#world.nodes.some(node => node.bookieId === bookie && node.watch.hasAcked(ledgerId, id))
  }

  #onDeleted(id: LedgerId): void {
    this.#ledgers.delete(id)
    if (!this.#world.history.isDeleting(id)) {
      this.#world.history.violate('nothing-lost', `the metadata of ledger ${id} is gone, and nobody deleted it`)
    }
  }

  #onChange(id: LedgerId, now: LedgerDescription | undefined): void {
    if (now === undefined) return
    const { history } = this.#world
    const before = this.#ledgers.get(id)
    this.#ledgers.set(id, now)
    if (now.end !== undefined) history.ended(id, now.end, 'metadata')
    if (before === undefined) return
    const rank = { open: 0, 'in-recovery': 1, closed: 2 } as const
    if (rank[now.state] < rank[before.state]) {
      history.violate('state-moves', `ledger ${id} went from ${before.state} to ${now.state}`)
    }
    const isChanged = JSON.stringify(now.ensembles) !== JSON.stringify(before.ensembles)
    if (!isChanged) return
    history.counts.changes++
    history.tell('metadata', () => `ledger ${id}: ensembles ${describeEnsembles(now)}`)
    if (history.isRecovering(id)) history.races.recoveryWithChange++
    if (before.state === 'closed')
      history.violate('state-moves', `the ensembles of ledger ${id} changed after it closed`)
  }
}

function describeEnsembles({ ensembles }: LedgerDescription): string {
  return ensembles.map(({ firstEntryId, bookies }) => `${firstEntryId}: ${bookies.join(' ')}`).join('; ')
}
