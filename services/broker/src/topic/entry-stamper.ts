import type { Clock } from '@strata/base'
import type { ManagedLedger } from '@strata/managed-ledger'
import {
  MetadataView,
  readBrokerEntryMetadata,
  readMessageMetadata,
  WriteBuffer,
  writeBrokerEntryMetadata
} from '@strata/wire'
import { brokerError } from '../errors.ts'
import type { Publication } from './publication.ts'

export const INDEX_PROPERTY = 'strata.entry.index'

/** What the interceptors that are configured ask for. */
export interface StampKinds {
  readonly index: boolean
  readonly timestamp: boolean
}

/** @throws BrokerError NotAllowedError for a class that Strata does not know: an unstamped entry cannot be mended later */
export function stampKindsOf(interceptors: string): StampKinds {
  const kinds = { index: false, timestamp: false }
  for (const name of interceptors.split(',').map(part => part.trim())) {
    if (name === '') continue
    if (name.endsWith('AppendIndexMetadataInterceptor')) kinds.index = true
    else if (name.endsWith('AppendBrokerTimestampMetadataInterceptor')) kinds.timestamp = true
    else throw brokerError('NotAllowedError', `brokerEntryMetadataInterceptors: ${name} is not available`)
  }
  return kinds
}

/**
 * Puts the broker's own block in front of each entry of one topic. The index counts messages: an entry carries that of
 * its last one, the first message of a topic has 0.
 *
 * Invariant: the index of the last entry that is in the log, or was ever, can always be read: from that entry, or, once
 * entries are dropped, from what was recorded in the transaction that dropped them.
 */
export class EntryStamper {
  readonly #kinds: StampKinds
  readonly #clock: Clock
  readonly #scratch = new WriteBuffer(64)
  /** Of what was stamped, and of what is known to be in the log. */
  #lastIndex: number
  #confirmedIndex: number

  constructor(kinds: StampKinds, clock: Clock, lastIndex: number) {
    this.#kinds = kinds
    this.#clock = clock
    this.#lastIndex = lastIndex
    this.#confirmedIndex = lastIndex
  }

  /**
   * Goes on behind the last entry of the log; what the log remembers counts where the entry itself was trimmed. Nothing
   * may be trimmed before this resolves.
   */
  static async open(kinds: StampKinds, clock: Clock, log: ManagedLedger<Publication>): Promise<EntryStamper> {
    const remembered = Number(log.properties[INDEX_PROPERTY] ?? -1)
    const last = log.lastConfirmed.entryId < 0 ? undefined : await log.readOne(log.lastConfirmed)
    const stamped = last === undefined ? -1 : indexOf(last.payload)
    return new EntryStamper(kinds, clock, Math.max(remembered, stamped))
  }

  stamp(payload: Buffer, messages: number): Buffer {
    const fields: { brokerTimestampMs?: number; index?: number } = {}
    if (this.#kinds.timestamp) fields.brokerTimestampMs = Math.trunc(this.#clock.wallMs())
    if (this.#kinds.index) fields.index = this.#lastIndex += messages
    writeBrokerEntryMetadata(this.#scratch, fields)
    return Buffer.concat([this.#scratch.take(), payload])
  }

  /** An entry of so many messages is in the log, the next one of those that were stamped. */
  confirm(messages: number): void {
    this.#confirmedIndex += messages
  }

  /** What the log must remember once entries go. Entries that may yet be lost do not count: no index is left out. */
  propertiesOnTrim(): Record<string, string> {
    return { [INDEX_PROPERTY]: String(this.#confirmedIndex) }
  }
}

/** -1: the entry has no index. */
function indexOf(payload: Buffer): number {
  const view = new MetadataView()
  readMessageMetadata(payload, 0, payload.length, view)
  if (view.brokerMetadataStart < 0) return -1
  return readBrokerEntryMetadata(payload, view.brokerMetadataStart, view.brokerMetadataEnd).index ?? -1
}
