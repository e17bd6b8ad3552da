/** Place of an entry in a topic's log. Ordered by ledger, then entry. Both are safe integers; entry -1 is 'before the first'. */
export interface Position {
  readonly ledgerId: number
  readonly entryId: number
}

/** Before everything. */
export const EARLIEST: Position = { ledgerId: -1, entryId: -1 }
/** After everything (Pulsar's wire value 2^63-1 is mapped to it by the codec). */
export const LATEST: Position = { ledgerId: Number.MAX_SAFE_INTEGER, entryId: Number.MAX_SAFE_INTEGER }

export function comparePositions(a: Position, b: Position): number {
  return a.ledgerId - b.ledgerId || a.entryId - b.entryId
}

export function samePosition(a: Position, b: Position): boolean {
  return a.ledgerId === b.ledgerId && a.entryId === b.entryId
}

/** `ledger:entry`, as Pulsar prints it. */
export function formatPosition(position: Position): string {
  return `${position.ledgerId}:${position.entryId}`
}
