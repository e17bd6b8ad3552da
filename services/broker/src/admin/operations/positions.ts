import { EARLIEST, LATEST, type Position } from '@strata/cursor-protocol'
import { MetadataView, readBrokerEntryMetadata, readMessageMetadata } from '@strata/wire'
import type { Entry } from '@strata/managed-ledger'
import { isObject } from '../operation.ts'
import { refuse } from '../rest-error.ts'

/** A message id as the admin API takes it. */
export interface MessageIdBody {
  readonly position: Position | 'earliest' | 'latest'
  /** -1: the whole entry. */
  readonly batchIndex: number
  readonly isExcluded: boolean
}

/** Ids past 2^53 are `latest`, negative ones `earliest`. @throws RestError 400 */
export function messageIdOf(value: unknown): MessageIdBody {
  if (!isObject(value)) return refuse(400, 'A message id is needed')
  const { ledgerId, entryId, batchIndex, excluded, isExcluded } = value
  if (typeof ledgerId !== 'number' || typeof entryId !== 'number') return refuse(400, 'A message id is needed')
  return {
    position: positionOf(ledgerId, entryId),
    batchIndex: typeof batchIndex === 'number' ? batchIndex : -1,
    // Pulsar's own tools write the first; its REST documentation shows the second.
    isExcluded: excluded === true || isExcluded === true
  }
}

function positionOf(ledgerId: number, entryId: number): MessageIdBody['position'] {
  if (ledgerId > Number.MAX_SAFE_INTEGER || entryId > Number.MAX_SAFE_INTEGER) return 'latest'
  if (ledgerId < 0) return 'earliest'
  return { ledgerId: Math.trunc(ledgerId), entryId: Math.max(-1, Math.trunc(entryId)) }
}

export function asPosition(position: MessageIdBody['position']): Position {
  if (position === 'earliest') return EARLIEST
  return position === 'latest' ? LATEST : position
}

export function messageIdJson(position: Position, partition: number): Record<string, number> {
  return {
    ledgerId: position.ledgerId,
    entryId: position.entryId,
    partitionIndex: partition,
    batchIndex: -1,
    batchSize: 0
  }
}

/** What is in front of an entry's payload. @throws RestError 500 for stored bytes that nobody can read */
export function metadataOf(entry: Entry): MetadataView {
  const view = new MetadataView()
  try {
    readMessageMetadata(entry.payload, 0, entry.payload.length, view)
  } catch {
    refuse(500, 'The stored message cannot be read')
  }
  return view
}

/** Index, in the topic, of the last message of an entry; undefined: it was published while none were written. */
export function entryIndexOf(entry: Entry): number | undefined {
  const { brokerMetadataStart, brokerMetadataEnd } = metadataOf(entry)
  if (brokerMetadataStart >= brokerMetadataEnd) return undefined
  return readBrokerEntryMetadata(entry.payload, brokerMetadataStart, brokerMetadataEnd).index
}

/** Words of a batch in which the messages before `first` are acknowledged. */
export function ackSetFrom(first: number, batchSize: number): Int32Array {
  const words = new Int32Array(Math.ceil(batchSize / 64) * 2)
  for (let index = first; index < batchSize; index++) {
    const word = index >>> 5
    words[word] = (words[word] ?? 0) | (1 << (index & 31))
  }
  return words
}
