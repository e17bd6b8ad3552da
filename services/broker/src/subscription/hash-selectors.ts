import { HASH_RANGE_SIZE, hashOfText } from './hashes.ts'
import { brokerError } from '../errors.ts'
import type { Member } from './member.ts'
import { StickyRanges } from './sticky-ranges.ts'
import type { SubscriptionSettings } from '../contract.ts'

const BLOCK_HASHES = 64

/** Who serves which hashes. Pure; every change is made by `add` and `remove` alone. */
export interface HashSelector {
  /** @throws BrokerError ConsumerAssignError; nothing has changed then. */
  add(member: Member): void
  remove(member: Member): void
  ownerOf(hash: number): Member | undefined
  /** As `[start, end]`, both inclusive. */
  rangesOf(member: Member): string[]
}

export function createHashSelector(mode: 'AUTO_SPLIT' | 'STICKY', settings: SubscriptionSettings): HashSelector {
  if (mode === 'STICKY') return new StickyRanges()
  if (!settings.subscriptionKeySharedUseConsistentHashing) return new HalvedRanges()
  return new ConsistentRing(settings.subscriptionKeySharedConsistentHashingReplicaPoints)
}

/**
 * Points of every consumer's name on a ring; a hash belongs to the next point at or after it. A join or leave moves only
 * the hashes next to that consumer's points. Points that fall together are decided by priority and name, and between
 * consumers of one name shared out, so that none of them is left without hashes.
 */
export class ConsistentRing implements HashSelector {
  readonly #pointsPerMember: number
  #members: Member[] = []
  #points = new Int32Array(0)
  #owners: Member[] = []
  /** Per block of hashes the first point at or after its beginning: a look-up for each message must not search the ring. */
  readonly #firstPoints = new Int32Array(HASH_RANGE_SIZE / BLOCK_HASHES)

  constructor(pointsPerMember: number) {
    this.#pointsPerMember = pointsPerMember
  }

  add(member: Member): void {
    this.#members.push(member)
    this.#rebuild()
  }

  remove(member: Member): void {
    this.#members = this.#members.filter(other => other !== member)
    this.#rebuild()
  }

  ownerOf(hash: number): Member | undefined {
    const points = this.#points
    let at = this.#firstPoints[(hash / BLOCK_HASHES) | 0] as number
    while (at < points.length && (points[at] as number) < hash) at++
    return this.#owners[at] ?? this.#owners[0]
  }

  rangesOf(member: Member): string[] {
    const ranges: string[] = []
    let start = 0
    for (const [index, owner] of this.#owners.entries()) {
      const end = this.#points[index] as number
      if (owner === member) ranges.push(`[${start}, ${end}]`)
      start = end + 1
    }
    if (this.#owners[0] === member && start < HASH_RANGE_SIZE) ranges.push(`[${start}, ${HASH_RANGE_SIZE - 1}]`)
    return ranges
  }

  #rebuild(): void {
    const sorted = [...this.#members].sort(
      (a, b) =>
        b.options.priorityLevel - a.options.priorityLevel ||
        compareText(a.options.consumerName, b.options.consumerName) ||
        a.serial - b.serial
    )
    const ring = new Map<number, Member>()
    for (let from = 0; from < sorted.length;) {
      const name = (sorted[from] as Member).options.consumerName
      let to = from
      while (sorted[to]?.options.consumerName === name) to++
      for (let point = 0; point < this.#pointsPerMember; point++) {
        const at = hashOfText(`${name}\0${point}`) % HASH_RANGE_SIZE || 1
        if (!ring.has(at)) ring.set(at, sorted[from + (point % (to - from))] as Member)
      }
      from = to
    }
    this.#points = Int32Array.from(ring.keys()).sort()
    this.#owners = Array.from(this.#points, point => ring.get(point) as Member)
    for (let block = 0, at = 0; block < this.#firstPoints.length; block++) {
      while (at < this.#points.length && (this.#points[at] as number) < block * BLOCK_HASHES) at++
      this.#firstPoints[block] = at
    }
  }
}

/** One range a consumer. A newcomer takes the lower half of the largest; who leaves gives its range to its neighbour. */
export class HalvedRanges implements HashSelector {
  /** Sorted by `end`, exclusive; a range begins where the one before it ends. The last ends with the hash space. */
  #ranges: { end: number; member: Member }[] = []

  add(member: Member): void {
    if (this.#ranges.length === 0) {
      this.#ranges.push({ end: HASH_RANGE_SIZE, member })
      return
    }
    let largest = 0
    for (let index = 1; index < this.#ranges.length; index++) {
      if (this.#sizeOf(index) > this.#sizeOf(largest)) largest = index
    }
    const size = this.#sizeOf(largest)
    if (size <= 1) {
      const count = this.#ranges.length
      throw brokerError(
        'ConsumerAssignError',
        `No more range can assigned to new consumer, assigned consumers ${count}`
      )
    }
    this.#ranges.splice(largest, 0, { end: this.#startOf(largest) + Math.ceil(size / 2), member })
  }

  remove(member: Member): void {
    const index = this.#ranges.findIndex(range => range.member === member)
    if (index < 0) return
    this.#ranges.splice(index, 1)
    const last = this.#ranges.at(-1)
    if (last !== undefined) last.end = HASH_RANGE_SIZE
  }

  ownerOf(hash: number): Member | undefined {
    let low = 0
    let high = this.#ranges.length - 1
    while (low < high) {
      const middle = (low + high) >> 1
      if (hash < (this.#ranges[middle]?.end ?? 0)) high = middle
      else low = middle + 1
    }
    return this.#ranges[low]?.member
  }

  rangesOf(member: Member): string[] {
    const index = this.#ranges.findIndex(range => range.member === member)
    const range = this.#ranges[index]
    return range === undefined ? [] : [`[${this.#startOf(index)}, ${range.end - 1}]`]
  }

  #startOf(index: number): number {
    return this.#ranges[index - 1]?.end ?? 0
  }

  #sizeOf(index: number): number {
    return (this.#ranges[index]?.end ?? 0) - this.#startOf(index)
  }
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
