import { CodedError, type EntryId, type LedgerId } from '@strata/base'
import { blockingQuorum, hasValidDigest, readOrder, type StoredEntry } from '@strata/ledger-protocol'
import type { BookieDirectory, LedgerEntry, LedgerReader } from './contract.ts'
import { LedgerError } from './errors.ts'
import { present, type LedgerMetadata, type VersionedLedger } from './ledger-metadata.ts'

interface ReadLimits {
  readonly first: EntryId
  readonly last: EntryId
  readonly bytesMax: number
  readonly entriesMax: number
}

/** Why no node gave an entry. */
type Miss = 'NO_SUCH_ENTRY' | 'UNAVAILABLE' | 'CORRUPT'

/** Reads a ledger from whichever members of the write set answer, every digest verified. */
export class NodeLedgerReader implements LedgerReader {
  readonly ledgerId: LedgerId
  readonly #directory: BookieDirectory
  readonly #metadata: LedgerMetadata
  readonly #random: () => number
  #ledger: VersionedLedger

  constructor(options: {
    ledgerId: LedgerId
    ledger: VersionedLedger
    directory: BookieDirectory
    metadata: LedgerMetadata
    random: () => number
  }) {
    this.ledgerId = options.ledgerId
    this.#ledger = options.ledger
    this.#directory = options.directory
    this.#metadata = options.metadata
    this.#random = options.random
  }

  async read(limits: ReadLimits): Promise<LedgerEntry[]> {
    const found: StoredEntry[] = []
    let { first, bytesMax, entriesMax } = limits
    while (first <= limits.last && entriesMax > 0 && (bytesMax > 0 || found.length === 0)) {
      const run = await this.#readRun({ first, last: limits.last, bytesMax: Math.max(bytesMax, 1), entriesMax })
      if (typeof run === 'string') {
        if (found.length > 0) break // the next call says why
        throw LedgerError.create(run, { ledgerId: this.ledgerId, entryId: first })
      }
      for (const entry of run) {
        found.push(entry)
        bytesMax -= entry.payload.length
      }
      entriesMax -= run.length
      first = (first + run.length) as EntryId
    }
    return found
  }

  /** At least one entry from `first` on, from one node; after a miss the metadata may know newer places. */
  async #readRun(limits: ReadLimits): Promise<StoredEntry[] | Miss> {
    const run = await this.#askMembers(limits)
    if (typeof run !== 'string' || this.#ledger.record.state === 'closed') return run
    const before = this.#ledger.version
    this.#ledger = present(this.ledgerId, await this.#metadata.read(this.ledgerId))
    return this.#ledger.version === before ? run : this.#askMembers(limits)
  }

  async #askMembers(limits: ReadLimits): Promise<StoredEntry[] | Miss> {
    const { record } = this.#ledger
    let absences = 0
    let isCorrupt = false
    for (const bookie of readOrder(limits.first, record, this.#random())) {
      const node = this.#directory.node(bookie)
      const answer = await node?.read({ ledgerId: this.ledgerId, ...limits, fence: false }).catch(ignoreUnavailable)
      if (answer === undefined) continue
      const valid = this.#validPrefix(answer.entries, limits.first)
      if (valid.length > 0) return valid
      if (answer.entries.length > 0) isCorrupt = true
      else if (answer.end === 'absent') absences += 1
    }
    if (absences >= blockingQuorum(record.quorum)) return 'NO_SUCH_ENTRY'
    return isCorrupt ? 'CORRUPT' : 'UNAVAILABLE'
  }

  #validPrefix(entries: readonly StoredEntry[], first: EntryId): StoredEntry[] {
    const { ledgerId } = this
    const bad = entries.findIndex(
      ({ entryId, lac, lengthBytes, payload, crc32c }, i) =>
        entryId !== first + i || !hasValidDigest({ ledgerId, entryId, lac, lengthBytes, payload, crc32c })
    )
    return bad === -1 ? (entries as StoredEntry[]) : entries.slice(0, bad)
  }
}

/** Another member may know. What is no operating error of a node is a bug here. */
function ignoreUnavailable(error: unknown): undefined {
  if (!(error instanceof CodedError)) throw error
}
