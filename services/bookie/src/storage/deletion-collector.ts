import type { LedgerId, Logger } from '@strata/base'
import {
  decodeDeletion,
  LEDGER_DELETIONS_PREFIX,
  ledgerDeletionKey,
  ledgerIdOfKey,
  ledgerKey as ledgerMetadataKey
} from '@strata/ledger-client'
import { readMany, type MetadataStore, type Watch } from '@strata/metadata'
import { IndexPage, PAGE_SLOTS } from '../format/page.ts'
import { recordBytes } from '../format/record.ts'
import type { EntryIndex } from '../index/entry-index.ts'
import { breath, type IndexEdit, type IndexWriter } from '../index/index-writer.ts'
import { deletedKey, ledgerKey, ledgerOfKey, pageKey, rangeOf } from '../index/rows.ts'
import type { Volume } from '../volume/volume.ts'

export interface DeletionCollectorOptions {
  readonly metadata: MetadataStore
  readonly volume: Volume
  readonly index: EntryIndex
  readonly writer: IndexWriter
  /** Brings everything synced into the index. */
  readonly flush: () => Promise<void>
  readonly log: Logger
}

const PAGES_PER_BATCH = 256
const AUDITED_PER_ROUND = 200

/**
 * Gives deleted ledgers' space back. A ledger is deleted here only when a deletion record for it was read from a store
 * that is this cluster's and not older than what this node has seen of it. A ledger that the store knows nothing of at
 * all is kept, and reported as quarantined: an empty or restored store must not cost a byte. That a ledger was deleted is
 * remembered, since its fence goes with it: a writer that slept through all that must not be told that it stored anything.
 */
export class DeletionCollector {
  readonly #options: DeletionCollectorOptions
  readonly #queue = new Set<LedgerId>()
  readonly #quarantined = new Set<LedgerId>()
  #watch: Watch | undefined
  #scanAfter: string | undefined
  #isScanned = false
  #auditFrom: Buffer | undefined

  constructor(options: DeletionCollectorOptions) {
    this.#options = options
  }

  get quarantined(): ReadonlySet<LedgerId> {
    return this.#quarantined
  }

  async start(): Promise<void> {
    this.#watch = await this.#options.metadata.watch(LEDGER_DELETIONS_PREFIX, events => {
      for (const { key, value } of events) {
        const id = ledgerIdOfKey(key)
        if (id !== undefined && value !== undefined) this.#queue.add(id)
      }
    })
  }

  close(): void {
    this.#watch?.close()
  }

  /** @throws MetadataError, a system error of the index: what was not done is done in a later round */
  async round(): Promise<void> {
    await this.#scanPage()
    await this.#audit()
    const { volume } = this.#options
    if (this.#queue.size === 0 || !(await volume.trustsMetadata())) return
    const recorded: LedgerId[] = []
    for (const id of [...this.#queue]) {
      if (await this.#hasDeletionRecord(id)) recorded.push(id)
      else this.#queue.delete(id)
    }
    // It was this store that said so, and none that stood in its place for a moment.
    if (recorded.length === 0 || !(await volume.trustsMetadata())) return
    for (const id of recorded) {
      await this.#deleteLedger(id)
      this.#queue.delete(id)
    }
  }

  /** Records from before the watch began, a page a round. */
  async #scanPage(): Promise<void> {
    if (this.#isScanned) return
    const after = this.#scanAfter === undefined ? {} : { after: this.#scanAfter }
    const page = await this.#options.metadata.scan({ prefix: LEDGER_DELETIONS_PREFIX, keysOnly: true, ...after })
    for (const { key } of page.records) {
      const id = ledgerIdOfKey(key)
      if (id !== undefined && this.#holds(id)) this.#queue.add(id)
    }
    this.#scanAfter = page.next
    this.#isScanned = page.next === undefined
  }

  #holds(id: LedgerId): boolean {
    const { index } = this.#options
    return index.ledger(id).hasUnindexed || index.store.getSync(ledgerKey(id)) !== undefined
  }

  async #hasDeletionRecord(id: LedgerId): Promise<boolean> {
    const { metadata } = this.#options
    const record = await metadata.get(ledgerDeletionKey(id))
    if (record === undefined) return false
    decodeDeletion(record.value)
    // both at once is what no version writes: then nothing is certain
    return (await metadata.get(ledgerMetadataKey(id))) === undefined
  }

  async #deleteLedger(id: LedgerId): Promise<void> {
    const { index, writer, flush, log } = this.#options
    if (!this.#holds(id)) {
      index.forget(id)
      return
    }
    const ledger = index.ledger(id)
    ledger.isDeleted = true
    ledger.isFenced = true
    // What came before the mark is still on its way through the journal: it is deleted once the index has it.
    while (ledger.hasUnindexed) {
      await flush()
      await breath()
    }
    for (let hasMore = true; hasMore;) hasMore = await writer.exclusive(edit => this.#deletePages(edit, id))
    await writer.exclusive(async edit => {
      edit.put(ledgerKey(id), undefined)
      edit.put(deletedKey(id), Buffer.alloc(0))
      await edit.commit({ sync: false })
    })
    index.forget(id)
    this.#quarantined.delete(id)
    log.debug({ event: 'ledger.deleted', ledgerId: id }, 'deleted a ledger')
  }

  async #deletePages(edit: IndexEdit, id: LedgerId): Promise<boolean> {
    const { index } = this.#options
    const from = pageKey(id, 0)
    const rows = await index.store.scan({ from, to: pageKey((id + 1) as LedgerId, 0), limit: PAGES_PER_BATCH })
    for (const { key, value } of rows) {
      const page = IndexPage.decode(value)
      for (let slot = 0; page !== undefined && slot < PAGE_SLOTS; slot++) {
        if (page.fileAt(slot) !== 0) edit.addLive(page.fileAt(slot), -recordBytes(page.payloadBytesAt(slot)))
      }
      edit.put(key, undefined)
    }
    await edit.commit({ sync: false })
    return rows.length === PAGES_PER_BATCH
  }

  /** Looks for ledgers that the store does not know, some every round, all over and over. */
  async #audit(): Promise<void> {
    const { index, metadata, log } = this.#options
    const { from, to } = rangeOf('l')
    const rows = await index.store.scan({ from: this.#auditFrom ?? from, to, limit: AUDITED_PER_ROUND })
    const ids = rows.map(({ key }) => ledgerOfKey(key))
    const known = await readMany(metadata, ids.map(ledgerMetadataKey))
    for (const [at, id] of ids.entries()) {
      if (known[at] !== undefined) this.#quarantined.delete(id)
      else if ((await metadata.get(ledgerDeletionKey(id))) !== undefined) this.#queue.add(id)
      else if (!this.#quarantined.has(id)) {
        this.#quarantined.add(id)
        const fields = { event: 'ledger.quarantined', ledgerId: id }
        log.warn(fields, 'the metadata store knows nothing of this ledger; it is kept')
      }
    }
    const last = rows.length === AUDITED_PER_ROUND ? rows.at(-1)?.key : undefined
    this.#auditFrom = last === undefined ? undefined : Buffer.concat([last, Buffer.alloc(1)])
  }
}
