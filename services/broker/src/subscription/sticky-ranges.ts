import { brokerError } from '../errors.ts'
import type { Member } from './member.ts'

interface OwnedRange {
  readonly start: number
  readonly end: number
  readonly member: Member
}

/** Hash ranges that consumers chose themselves. Ranges never overlap; a hash in none of them has no owner. */
export class StickyRanges {
  #ranges: OwnedRange[] = []

  /** The holder of a range that overlaps one of the member's, if any. */
  conflictOf(member: { options: Member['options'] }): Member | undefined {
    for (const { start, end } of member.options.keyShared?.ranges ?? []) {
      const other = this.#ranges.find(range => range.start <= end && start <= range.end)
      if (other !== undefined) return other.member
    }
    return undefined
  }

  /** @throws BrokerError ConsumerAssignError */
  add(member: Member): void {
    checkRanges(member.options.keyShared?.ranges ?? [])
    const other = this.conflictOf(member)
    if (other !== undefined) {
      throw brokerError('ConsumerAssignError', `Range conflict with consumer ${other.options.consumerName}`)
    }
    for (const { start, end } of member.options.keyShared?.ranges ?? []) this.#ranges.push({ start, end, member })
    this.#ranges.sort((a, b) => a.start - b.start)
  }

  remove(member: Member): void {
    this.#ranges = this.#ranges.filter(range => range.member !== member)
  }

  ownerOf(hash: number): Member | undefined {
    let low = 0
    let high = this.#ranges.length - 1
    while (low <= high) {
      const middle = (low + high) >> 1
      const range = this.#ranges[middle] as OwnedRange
      if (hash < range.start) high = middle - 1
      else if (hash > range.end) low = middle + 1
      else return range.member
    }
    return undefined
  }

  rangesOf(member: Member): string[] {
    return this.#ranges.filter(range => range.member === member).map(({ start, end }) => `[${start}, ${end}]`)
  }
}

function checkRanges(ranges: readonly { readonly start: number; readonly end: number }[]): void {
  if (ranges.length === 0) {
    throw brokerError('ConsumerAssignError', 'Ranges for KeyShared policy must not be empty.')
  }
  const sorted = [...ranges].sort((a, b) => a.start - b.start)
  let lastEnd = -1
  for (const { start, end } of sorted) {
    if (start > end || start < 0) throw brokerError('ConsumerAssignError', 'Fixed hash range start > end')
    if (start <= lastEnd) throw brokerError('ConsumerAssignError', 'Ranges of one consumer must not overlap')
    lastEnd = end
  }
}
