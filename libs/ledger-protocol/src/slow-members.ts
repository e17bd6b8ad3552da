import { entryId, NO_ENTRY, type EntryId } from '@strata/base'
import { writeSet, type QuorumConfig } from './quorum.ts'
import type { WriterMember } from './writer-member.ts'

/** More time than this between two ticks is a pause of this process, and says nothing of the nodes. */
const TICK_MS_MAX = 1_000

/**
 * How many slow members may be replaced, over all writers of a process: `burst` at once, then one each `perMs`. A node that
 * is slow for one ledger is so for thousands, and so is everything when the network is: neither must end in thousands of
 * changes at once. Pure: the caller tells the time.
 */
export class SlowBudget {
  readonly #burst: number
  readonly #perMs: number
  #left: number
  #filledAtMs: number | undefined

  constructor({ burst, perMs }: { burst: number; perMs: number }) {
    this.#burst = burst
    this.#perMs = perMs
    this.#left = burst
  }

  take(nowMs: number): boolean {
    const gained = Math.max(0, nowMs - (this.#filledAtMs ?? nowMs)) / this.#perMs
    this.#filledAtMs = nowMs
    this.#left = Math.min(this.#burst, this.#left + gained)
    if (this.#left < 1) return false
    this.#left -= 1
    return true
  }
}

/** Marks, in each member, an add that waits, and counts the time until it is answered. No work an entry. */
export function observeMembers(
  members: readonly WriterMember[],
  { quorum, nextEntryId, sinceLastMs }: { quorum: QuorumConfig; nextEntryId: EntryId; sinceLastMs: number }
): void {
  const passedMs = Math.min(Math.max(0, sinceLastMs), TICK_MS_MAX)
  for (const member of members) {
    if (member.ackedThrough < member.markEntry) member.waitedMs += passedMs
    else {
      member.markEntry = lastSentTo(member, quorum, nextEntryId)
      member.waitedMs = 0
    }
  }
}

function lastSentTo(member: WriterMember, { ensembleSize, writeQuorum }: QuorumConfig, nextEntryId: EntryId): EntryId {
  for (let id = nextEntryId - 1; id >= Math.max(member.firstEntryId, nextEntryId - ensembleSize); id--) {
    if ((member.index - (id % ensembleSize) + ensembleSize) % ensembleSize < writeQuorum) return entryId(id)
  }
  return NO_ENTRY
}

/**
 * The member to replace for being slow: the one that owes an answer longest, at least `slowMs`, for an entry that enough
 * others of its write set have. Enough is an ack quorum, or all the others where that is more than there are: so where two
 * of three lag, neither is replaced, and with a write quorum of one nobody ever is.
 */
export function slowMember(
  members: readonly WriterMember[],
  { quorum, slowMs }: { quorum: QuorumConfig; slowMs: number }
): WriterMember | undefined {
  let slowest: WriterMember | undefined
  for (const member of members) {
    if (member.failure !== undefined || member.waitedMs < Math.max(slowMs, slowest?.waitedMs ?? 0)) continue
    const enough = Math.max(1, Math.min(quorum.ackQuorum, quorum.writeQuorum - 1))
    const others = writeSet(member.markEntry, quorum).filter(index => {
      const other = members[index]
      if (other === undefined || other === member || other.failure !== undefined) return false
      return other.ackedThrough >= member.markEntry
    })
    if (others.length >= enough) slowest = member
  }
  return slowest
}
