import { brokerError } from '../errors.ts'
import type { ConsumerOptions, SubscriptionType } from '../contract.ts'
import type { Member } from './member.ts'
import { StickyRanges } from './sticky-ranges.ts'

/** A consumer that left during a probe makes room for another try; that many tries are more than bad luck. */
const JOIN_ATTEMPTS_MAX = 5

/** Who is on the subscription, as the rules of joining see it. */
export interface Roster {
  readonly members: readonly Member[]
  readonly type: SubscriptionType | undefined
  /** What everybody who wants to join waits for, if anything. @throws BrokerError when nobody may join any more */
  readonly joinable: Promise<void> | undefined
}

/**
 * Calls `join` in the moment in which the consumer may join. A holder in the way is asked whether it lives: a client
 * that comes back after a cut must not be refused because of its own former connection.
 * @throws BrokerError ConsumerBusy, ConsumerAssignError
 */
export async function joinWhenFree(options: ConsumerOptions, roster: Roster, join: () => Member): Promise<Member> {
  for (let attempt = 0; attempt < JOIN_ATTEMPTS_MAX;) {
    if (roster.joinable !== undefined) {
      await roster.joinable
      continue
    }
    checkCompatible(options, roster)
    const holder = holderInTheWay(options, roster)
    if (holder === undefined) return join()
    const isAlive = await holder.connection.probe()
    if (isAlive && !holder.isGone) break
    holder.leave()
    attempt++
  }
  if (options.type === 'Exclusive') throw brokerError('ConsumerBusy', 'Exclusive consumer is already connected')
  throw brokerError('ConsumerAssignError', 'Range conflict with another consumer')
}

function checkCompatible(options: ConsumerOptions, { members, type }: Roster): void {
  const other = members[0]
  if (other === undefined || type === undefined) return
  if (options.type !== type) {
    throw brokerError(
      'ConsumerBusy',
      `Subscription is of different type. Active subscription type of '${type}' is different than the connecting consumer's type '${options.type}'.`
    )
  }
  if (type !== 'Key_Shared') return
  const here = other.options.keyShared
  const mode = here?.mode ?? 'AUTO_SPLIT'
  const wanted = options.keyShared?.mode ?? 'AUTO_SPLIT'
  if (mode !== wanted) {
    throw brokerError(
      'ConsumerBusy',
      `Subscription is of different type. Active subscription key_shared mode of '${mode}' is different than the connecting consumer's key_shared mode '${wanted}'.`
    )
  }
  if ((here?.allowOutOfOrderDelivery ?? false) !== (options.keyShared?.allowOutOfOrderDelivery ?? false)) {
    throw brokerError(
      'ConsumerBusy',
      "Subscription is of different type. Active subscription key_shared allowOutOfOrderDelivery differs from the connecting consumer's."
    )
  }
}

function holderInTheWay(options: ConsumerOptions, { members }: Roster): Member | undefined {
  if (options.type === 'Exclusive') return members[0]
  if (options.type !== 'Key_Shared' || options.keyShared?.mode !== 'STICKY') return undefined
  const ranges = new StickyRanges()
  for (const member of members) ranges.add(member)
  return ranges.conflictOf({ options })
}
