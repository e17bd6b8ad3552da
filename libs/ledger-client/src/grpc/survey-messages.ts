import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import { entryId, ledgerId, NO_ENTRY, type EntryId } from '@strata/base'
import type { DamagedPage, DamagedStretch, EntryRange, HeldLedger, Inventory, InventoryRequest } from '../contract.ts'
import { LedgerError } from '../errors.ts'
import {
  DamagedEntriesReplySchema,
  DamagedEntriesRequestSchema,
  HeldLedgersReplySchema,
  HeldLedgersRequestSchema,
  InventoryReplySchema,
  InventoryRequestSchema
} from '../generated/bookie_node_pb.ts'
import { decoded, safe } from './message-values.ts'

/** What is asked of a node by those who care for copies: which ledgers it has, and which of their entries. */

interface Names {
  readonly clusterId: string
  readonly nodeId: string
}

export interface HeldLedgersPage {
  readonly after: number
  readonly limit: number
}

const PAGE_LEDGERS_MAX = 10_000
const PAGE_STRETCHES_MAX = 10_000

export function encodeInventoryRequest(names: Names, request: InventoryRequest): Buffer {
  const message = create(InventoryRequestSchema, {
    ...names,
    ledgerId: BigInt(request.ledgerId),
    firstEntryId: BigInt(request.first),
    lastEntryId: BigInt(request.last),
    verify: request.verify
  })
  return Buffer.from(toBinary(InventoryRequestSchema, message))
}

/** @throws LedgerError MALFORMED_MESSAGE */
export function decodeInventoryRequest(bytes: Buffer): { names: Partial<Names>; options: InventoryRequest } {
  const names = decoded(() => fromBinary(InventoryRequestSchema, bytes))
  const first = safe(names.firstEntryId)
  const last = safe(names.lastEntryId)
  if (last < first) refuse('a stretch that ends before it begins')
  const ledger = ledgerId(safe(names.ledgerId))
  return {
    names,
    options: { ledgerId: ledger, first: entryId(first), last: entryId(last), verify: names.verify ?? false }
  }
}

export function encodeInventory(first: EntryId, { held, through }: Inventory): Buffer {
  const runs: bigint[] = []
  let next: number = first
  for (const range of held) {
    runs.push(BigInt(range.first - next), BigInt(range.last + 1 - range.first))
    next = range.last + 1
  }
  const message = create(InventoryReplySchema, { runs, endEntryId: BigInt(through + 1) })
  return Buffer.from(toBinary(InventoryReplySchema, message))
}

/** @throws LedgerError MALFORMED_MESSAGE */
export function decodeInventory({ first, last }: InventoryRequest, bytes: Buffer): Inventory {
  const { runs, endEntryId } = decoded(() => fromBinary(InventoryReplySchema, bytes))
  const through = safe(endEntryId) - 1
  if (through < first || through > last) refuse('an answer about other entries')
  const held: EntryRange[] = []
  let next: number = first
  for (let i = 0; i + 1 < runs.length; i += 2) {
    const start = next + safe(runs[i])
    next = start + safe(runs[i + 1])
    if (next <= start || next > through + 1) refuse('a run of entries that is none')
    held.push({ first: entryId(start), last: entryId(next - 1) })
  }
  return { held, through: entryId(through) }
}

export function encodeHeldLedgersRequest(names: Names, { after, limit }: HeldLedgersPage): Buffer {
  const page = { fromLedgerId: BigInt(after + 1), limit: Math.min(limit, PAGE_LEDGERS_MAX) }
  return Buffer.from(toBinary(HeldLedgersRequestSchema, create(HeldLedgersRequestSchema, { ...names, ...page })))
}

/** @throws LedgerError MALFORMED_MESSAGE */
export function decodeHeldLedgersRequest(bytes: Buffer): { names: Partial<Names>; options: HeldLedgersPage } {
  const names = decoded(() => fromBinary(HeldLedgersRequestSchema, bytes))
  const limit = Math.min(names.limit ?? 0, PAGE_LEDGERS_MAX)
  if (limit < 1) refuse('a page without room')
  return { names, options: { after: safe(names.fromLedgerId) - 1, limit } }
}

export function encodeHeldLedgers(ledgers: readonly HeldLedger[]): Buffer {
  const message = create(HeldLedgersReplySchema, {
    ledgers: ledgers.map(({ ledgerId: id, lastEntryId, lac, isFenced }) => ({
      $typeName: 'strata.ledger.HeldLedgerItem' as const,
      ledgerId: BigInt(id),
      endEntryId: BigInt(lastEntryId + 1),
      confirmedCount: BigInt(lac + 1),
      fenced: isFenced
    }))
  })
  return Buffer.from(toBinary(HeldLedgersReplySchema, message))
}

/** @throws LedgerError MALFORMED_MESSAGE */
export function decodeHeldLedgers(bytes: Buffer): HeldLedger[] {
  return decoded(() => fromBinary(HeldLedgersReplySchema, bytes)).ledgers.map(item => ({
    ledgerId: ledgerId(safe(item.ledgerId)),
    lastEntryId: (safe(item.endEntryId) + NO_ENTRY) as EntryId,
    lac: (safe(item.confirmedCount) + NO_ENTRY) as EntryId,
    isFenced: item.fenced ?? false
  }))
}

export function encodeDamagedEntriesRequest(
  names: Names,
  { ledgerId: ledger, entryId: entry, limit }: DamagedPage
): Buffer {
  const page = {
    fromLedgerId: BigInt(ledger),
    fromEntryId: BigInt(entry),
    limit: Math.min(limit, PAGE_STRETCHES_MAX)
  }
  return Buffer.from(toBinary(DamagedEntriesRequestSchema, create(DamagedEntriesRequestSchema, { ...names, ...page })))
}

/** @throws LedgerError MALFORMED_MESSAGE */
export function decodeDamagedEntriesRequest(bytes: Buffer): { names: Partial<Names>; options: DamagedPage } {
  const names = decoded(() => fromBinary(DamagedEntriesRequestSchema, bytes))
  const limit = Math.min(names.limit ?? 0, PAGE_STRETCHES_MAX)
  if (limit < 1) refuse('a page without room')
  return { names, options: { ledgerId: safe(names.fromLedgerId), entryId: safe(names.fromEntryId), limit } }
}

export function encodeDamagedEntries(stretches: readonly DamagedStretch[]): Buffer {
  const message = create(DamagedEntriesReplySchema, {
    stretches: stretches.map(({ ledgerId: id, first, last }) => ({
      $typeName: 'strata.ledger.DamagedStretch' as const,
      ledgerId: BigInt(id),
      firstEntryId: BigInt(first),
      lastEntryId: BigInt(last)
    }))
  })
  return Buffer.from(toBinary(DamagedEntriesReplySchema, message))
}

/** @throws LedgerError MALFORMED_MESSAGE */
export function decodeDamagedEntries(bytes: Buffer): DamagedStretch[] {
  return decoded(() => fromBinary(DamagedEntriesReplySchema, bytes)).stretches.map(stretch => {
    const first = safe(stretch.firstEntryId)
    const last = safe(stretch.lastEntryId)
    if (last < first) refuse('a stretch that ends before it begins')
    return { ledgerId: ledgerId(safe(stretch.ledgerId)), first: entryId(first), last: entryId(last) }
  })
}

function refuse(reason: string): never {
  throw LedgerError.create('MALFORMED_MESSAGE', { reason })
}
