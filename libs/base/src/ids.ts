import { strict as assert } from 'node:assert'

declare const tag: unique symbol
type Branded<Base, Name extends string> = Base & { readonly [tag]: Name }

export type LedgerId = Branded<number, 'LedgerId'>
export type EntryId = Branded<number, 'EntryId'>
export type BookieId = Branded<string, 'BookieId'>

/** The entry before the first one: the last add confirmed of a ledger that confirmed nothing. */
export const NO_ENTRY = -1 as EntryId

/** A safe integer (< 2^53), never negative. */
export function ledgerId(value: number): LedgerId {
  assert(Number.isSafeInteger(value) && value >= 0, `ledger id out of range: ${value}`)
  return value as LedgerId
}

/** A safe integer (< 2^53), or `NO_ENTRY`. */
export function entryId(value: number): EntryId {
  assert(Number.isSafeInteger(value) && value >= NO_ENTRY, `entry id out of range: ${value}`)
  return value as EntryId
}

export function bookieId(value: string): BookieId {
  assert(value.length > 0 && value.length <= 255, `bookie id length out of range: ${value.length}`)
  return value as BookieId
}

export function assertNever(value: never): never {
  throw new Error(`unhandled case: ${JSON.stringify(value)}`)
}
