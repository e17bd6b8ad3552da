import { reasonOf, type Logger } from '@strata/base'
import type { Entry } from '@strata/managed-ledger'
import { MetadataView, readEntryProperties, readMessageMetadata } from '@strata/wire'
import type { FilterContext, FilteredEntry, FilterResult } from './entry-filter.ts'
import type { NamedFilter } from './filter-registry.ts'

/** Messages, by what filters said of them: fields of Pulsar's stats. */
export interface FilterCounts {
  filterProcessedMsgCount: number
  filterAcceptedMsgCount: number
  filterRejectedMsgCount: number
  filterRescheduledMsgCount: number
}

export const NEVER_FILTERED: Readonly<FilterCounts> = {
  filterProcessedMsgCount: 0,
  filterAcceptedMsgCount: 0,
  filterRejectedMsgCount: 0,
  filterRescheduledMsgCount: 0
}

interface SubscriptionFilterOptions {
  readonly logger: Logger
  readonly topic: string
  readonly subscription: string
  readonly subscriptionProperties: () => Readonly<Record<string, string>>
}

/** The filters of one subscription. */
export class SubscriptionFilter {
  readonly counts: FilterCounts = { ...NEVER_FILTERED }
  readonly #options: SubscriptionFilterOptions
  readonly #context: FilterContext
  #filters: readonly NamedFilter[] = []
  /** Who is asked again for an entry that had no taker is told the same. */
  #last: { ledgerId: number; entryId: number } | undefined

  constructor(options: SubscriptionFilterOptions) {
    this.#options = options
    this.#context = {
      topic: options.topic,
      subscription: options.subscription,
      get subscriptionProperties() {
        return options.subscriptionProperties()
      }
    }
  }

  get isOn(): boolean {
    return this.#filters.length > 0
  }

  set(filters: readonly NamedFilter[]): void {
    if (filters === this.#filters) return
    this.#filters = filters
    this.#last = undefined
  }

  /** What the first says that does not accept it. */
  judge(entry: Entry): FilterResult {
    if (this.#last?.ledgerId === entry.ledgerId && this.#last.entryId === entry.entryId) return 'accept'
    const filtered = readEntry(entry)
    const { counts } = this
    counts.filterProcessedMsgCount += filtered.messages
    const result = this.#judge(filtered)
    if (result === 'reject') counts.filterRejectedMsgCount += filtered.messages
    else if (result === 'reschedule') counts.filterRescheduledMsgCount += filtered.messages
    else counts.filterAcceptedMsgCount += filtered.messages
    return result
  }

  /** It was accepted and had no taker: it will be asked for again. */
  keepVerdict({ ledgerId, entryId }: Entry): void {
    this.#last = { ledgerId, entryId }
  }

  /** It was delivered: whoever asks again asks anew. */
  forgetVerdict(): void {
    if (this.#last !== undefined) this.#last = undefined
  }

  #judge(entry: FilteredEntry): FilterResult {
    for (const { name, filter } of this.#filters) {
      try {
        const result = filter.filterEntry(entry, this.#context)
        if (result === 'reject' || result === 'reschedule') return result
      } catch (error) {
        const { logger, topic, subscription } = this.#options
        const fields = { event: 'filters.threw', filter: name, topic, subscription, reason: reasonOf(error) }
        logger.warn(fields, 'a filter failed; the entry is looked at again later')
        return 'reschedule'
      }
    }
    return 'accept'
  }
}

/** What cannot be read is one message without properties: filters decide by what is there. */
function readEntry({ ledgerId, entryId, payload }: Entry): FilteredEntry {
  const view = new MetadataView()
  try {
    readMessageMetadata(payload, 0, payload.length, view)
    const properties = readEntryProperties(payload, view.metadataStart, view.payloadStart)
    const messages = Math.max(1, view.numMessages)
    return { ledgerId, entryId, properties, publishTimeMs: view.publishTimeMs, messages, payload }
  } catch {
    return { ledgerId, entryId, properties: {}, publishTimeMs: 0, messages: 1, payload }
  } finally {
    view.reader.close()
  }
}
