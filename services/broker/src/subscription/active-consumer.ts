import { hashOfText } from './hashes.ts'
import type { Member } from './member.ts'

const RING_POINTS_PER_CONSUMER = 100

/**
 * Which of a Failover subscription's consumers is the active one. Candidates are those of the highest priority (lowest
 * level), sorted by name. Partition n takes the n-th of them, so that partitions spread evenly; a topic that is no
 * partition takes the one that follows the hash of the topic's name on a ring of the consumers' names. The result
 * depends on who is there, not on who came first.
 */
export function pickActive(
  members: readonly Member[],
  { topic, partition }: { topic: string; partition: number }
): Member | undefined {
  const highest = Math.min(...members.map(member => member.options.priorityLevel))
  const candidates = members
    .filter(member => member.options.priorityLevel === highest)
    .sort((a, b) => compareNames(a.options.consumerName, b.options.consumerName) || a.serial - b.serial)
  return partition >= 0 ? candidates[partition % candidates.length] : nextOnRing(candidates, hashOfText(topic))
}

function nextOnRing(candidates: readonly Member[], hash: number): Member | undefined {
  if (candidates.length <= 1) return candidates[0]
  let next: Member | undefined
  let nextPoint = Infinity
  let first: Member | undefined
  let firstPoint = Infinity
  for (const member of candidates) {
    for (let point = 0; point < RING_POINTS_PER_CONSUMER; point++) {
      const at = hashOfText(`${member.options.consumerName}${point}`)
      // <=: of two at one point the later one counts
      if (at >= hash && at <= nextPoint) {
        nextPoint = at
        next = member
      }
      if (at <= firstPoint) {
        firstPoint = at
        first = member
      }
    }
  }
  return next ?? first
}

function compareNames(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
