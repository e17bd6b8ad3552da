import type { LedgerRow } from './ledger-table.ts'
import { comparePositions, type Position } from './position.ts'

export interface RetentionLimits {
  /** Keep acknowledged data this long after its ledger closed; -1 for ever, 0 not at all. */
  readonly timeMs: number
  /** Keep at most this much acknowledged data; -1 no limit, 0 none. */
  readonly sizeBytes: number
}

/**
 * How many of the first ledgers may go. A ledger goes if it is closed, every cursor has passed its last entry, and it is
 * older than `timeMs` or does not fit into `sizeBytes` together with the acknowledged ledgers after it. Ledgers go in
 * order only: the first that must stay keeps all behind it.
 *
 * @param options.slowest  The lowest mark-delete of the cursors that hold data; undefined if there are none.
 */
export function trimmableLedgers(
  rows: readonly LedgerRow[],
  options: { slowest: Position | undefined; retention: RetentionLimits; nowMs: number }
): number {
  const { slowest, retention, nowMs } = options
  let consumed = 0
  let acknowledgedBytes = 0
  for (const row of rows) {
    if (row.closedAtMs === undefined || !isPassed(row, slowest)) break
    acknowledgedBytes += row.sizeBytes
    consumed += 1
  }
  for (let count = 0; count < consumed; count++) {
    const row = rows[count]
    if (row?.closedAtMs === undefined) return count
    const isOld = retention.timeMs >= 0 && nowMs - row.closedAtMs >= retention.timeMs
    const isTooMuch = retention.sizeBytes >= 0 && acknowledgedBytes > retention.sizeBytes
    if (!isOld && !isTooMuch) return count
    acknowledgedBytes -= row.sizeBytes
  }
  return consumed
}

function isPassed(row: LedgerRow, slowest: Position | undefined): boolean {
  if (slowest === undefined) return true
  return comparePositions({ ledgerId: row.ledgerId, entryId: row.entries - 1 }, slowest) <= 0
}
