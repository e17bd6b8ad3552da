/*
  What a module of entry filters provides. Example: `examples/by-property.mjs`.
*/

/** `reject`: it is acknowledged instead of being sent. `reschedule`: it is looked at again after a while. */
export type FilterResult = 'accept' | 'reject' | 'reschedule'

/** An entry, a message or a batch of them, before it goes to a consumer. Valid during the call only. */
export interface FilteredEntry {
  readonly ledgerId: number
  readonly entryId: number
  /** Of the message, or of the first of a batch. */
  readonly properties: Readonly<Record<string, string>>
  /** By its client's clock, since 1970. */
  readonly publishTimeMs: number
  /** Messages in it. */
  readonly messages: number
  /** As it is stored: metadata and content, the latter compressed or encrypted as its client sent it. Not to be changed. */
  readonly payload: Buffer
}

export interface FilterContext {
  /** Its full name. */
  readonly topic: string
  readonly subscription: string
  readonly subscriptionProperties: Readonly<Record<string, string>>
}

export interface EntryFilter {
  /**
   * Called for each entry, on the broker's only thread: it must be quick and cannot wait for anything. Nothing is `accept`.
   * If it throws the entry is neither sent nor acknowledged, but looked at again after a while.
   */
  filterEntry(entry: FilteredEntry, context: FilterContext): FilterResult | undefined
  /** The broker shuts down. */
  close?(): void
}

/** What a module exports. */
export interface EntryFilterModule {
  createEntryFilter(): EntryFilter
}
