import { bookieId, entryId, type BookieId, type EntryId, type LedgerId } from '@strata/base'
import { decodeSegment, encodeSegment, rowCodec } from '@strata/metadata'
import { LedgerLossRowSchema, NodeDeclaration, NodeDeclarationRowSchema } from '../generated/bookie_pb.ts'
import { auditorErrors } from './errors.ts'

/** Values are stored in format version 1, see proto/storage/bookie.proto. */
const codec = rowCodec({
  version: 1,
  unreadable: ({ cause, ...problem }, key) => auditorErrors.create('CARE_RECORD_CORRUPT', { key, ...problem }, cause)
})

/** The record that the leading auditor holds; its value is the node in whose process it runs. */
export const AUDITOR_LEADER_KEY = 'auditor/leader'
export const DECLARATIONS_PREFIX = 'bookie-declarations/'
/** Below it each node that ever joined has its identity. */
export const JOINED_PREFIX = 'bookies/'
const LOSSES_PREFIX = 'ledger-losses/'
const ID_DIGITS = 16

/** What an operator says of a node. */
export interface Declaration {
  readonly kind: 'leaving' | 'destroyed'
  readonly declaredAtMs: number
  /** Since when nothing depends on the node any more. */
  readonly completedAtMs: number | undefined
}

/** Entries that nobody has any more. `last` undefined: whatever was behind the first. */
export interface LostEntries {
  readonly first: EntryId
  readonly last: EntryId | undefined
  /** Of these, only those whose id leaves the remainder when divided by `every`. */
  readonly stripe: { readonly remainder: number; readonly every: number } | undefined
}

export interface LedgerLoss {
  readonly lost: readonly LostEntries[]
  readonly cause: string
  readonly reportedAtMs: number
}

export const declarationKey = (id: BookieId): string => DECLARATIONS_PREFIX + encodeSegment(id)
export const lossKey = (id: LedgerId): string => LOSSES_PREFIX + String(id).padStart(ID_DIGITS, '0')

/** undefined: the key names no node. */
export function bookieOfDeclaration(key: string): BookieId | undefined {
  const id = decodeSegment(key.slice(DECLARATIONS_PREFIX.length))
  return id === undefined || id === '' ? undefined : bookieId(id)
}

/** The node whose identity is at a key below `JOINED_PREFIX`; undefined: it is no identity. */
export function joinedBookie(key: string): BookieId | undefined {
  const [, segment = '', kind] = key.split('/')
  const id = decodeSegment(segment)
  return kind !== 'identity' || id === undefined || id === '' ? undefined : bookieId(id)
}

export function encodeDeclaration({ kind, declaredAtMs, completedAtMs }: Declaration): Buffer {
  return codec.encode(NodeDeclarationRowSchema, {
    declaration: kind === 'destroyed' ? NodeDeclaration.DESTROYED : NodeDeclaration.LEAVING,
    declaredAtMs: BigInt(declaredAtMs),
    ...(completedAtMs === undefined ? {} : { completedAtMs: BigInt(completedAtMs) })
  })
}

/** What this version does not know is the weaker of the two. @throws auditorErrors CARE_RECORD_CORRUPT */
export function decodeDeclaration(bytes: Uint8Array): Declaration {
  const row = codec.decode(NodeDeclarationRowSchema, bytes, DECLARATIONS_PREFIX)
  return {
    kind: row.declaration === NodeDeclaration.DESTROYED ? 'destroyed' : 'leaving',
    declaredAtMs: Number(row.declaredAtMs ?? 0n),
    completedAtMs: row.completedAtMs === undefined ? undefined : Number(row.completedAtMs)
  }
}

export function encodeLoss({ lost, cause, reportedAtMs }: LedgerLoss): Buffer {
  return codec.encode(LedgerLossRowSchema, {
    lost: lost.map(({ first, last, stripe }) => ({
      $typeName: 'strata.storage.bookie.LostEntries' as const,
      firstEntryId: BigInt(first),
      ...(last === undefined ? {} : { lastEntryId: BigInt(last) }),
      ...stripe
    })),
    cause,
    reportedAtMs: BigInt(reportedAtMs)
  })
}

/** @throws auditorErrors CARE_RECORD_CORRUPT */
export function decodeLoss(bytes: Uint8Array): LedgerLoss {
  const row = codec.decode(LedgerLossRowSchema, bytes, LOSSES_PREFIX)
  const lost = row.lost.map(({ firstEntryId, lastEntryId, remainder, every }) => ({
    first: entryId(Number(firstEntryId ?? 0n)),
    last: lastEntryId === undefined ? undefined : entryId(Number(lastEntryId)),
    stripe: remainder === undefined || every === undefined ? undefined : { remainder, every }
  }))
  return { lost, cause: row.cause ?? '', reportedAtMs: Number(row.reportedAtMs ?? 0n) }
}
