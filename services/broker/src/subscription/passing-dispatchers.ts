import type { Entry } from '@strata/managed-ledger'
import type { ConsumerOptions, SubscriptionType } from '../contract.ts'
import type { DispatchContext } from './dispatcher.ts'
import { createHashSelector, type HashSelector } from './hash-selectors.ts'
import type { Member } from './member.ts'
import { PriorityRing } from './priority-ring.ts'
import { SingleActiveDispatcher } from './single-active.ts'

const PASSING = { redeliveries: 0, withEpoch: false }

/** The rules of a subscription on a topic that stores nothing: a message is taken now, or it is lost. */
export interface PassingDispatcher {
  readonly type: SubscriptionType
  readonly members: readonly Member[]
  readonly activeConsumer: Member | undefined
  /** @throws BrokerError ConsumerAssignError; nothing has changed then. */
  join(member: Member): void
  leave(member: Member): void
  /** False: nobody takes it. */
  offer(entry: Entry): boolean
  hashRangesOf(member: Member): readonly string[] | undefined
}

export function createPassingDispatcher(options: ConsumerOptions, context: DispatchContext): PassingDispatcher {
  switch (options.type) {
    case 'Exclusive':
    case 'Failover':
      return new SingleActiveDispatcher(options.type, context)
    case 'Shared':
      return new PassingShared(context)
    case 'Key_Shared':
      return new PassingKeyShared(context, options.keyShared?.mode ?? 'AUTO_SPLIT')
  }
}

class PassingShared implements PassingDispatcher {
  readonly type = 'Shared'
  readonly members: Member[] = []
  readonly activeConsumer = undefined
  readonly #context: DispatchContext
  readonly #ring = new PriorityRing()

  constructor(context: DispatchContext) {
    this.#context = context
  }

  join(member: Member): void {
    this.members.push(member)
    this.#ring.add(member)
  }

  leave(member: Member): void {
    const index = this.members.indexOf(member)
    if (index >= 0) this.members.splice(index, 1)
    this.#ring.remove(member)
  }

  offer(entry: Entry): boolean {
    const taker = this.#ring.next()
    if (taker === undefined) return false
    this.#context.send(taker, entry, this.#context.reader.read(entry, false), PASSING)
    return true
  }

  hashRangesOf(): undefined {
    return undefined
  }
}

class PassingKeyShared implements PassingDispatcher {
  readonly type = 'Key_Shared'
  readonly members: Member[] = []
  readonly activeConsumer = undefined
  readonly #context: DispatchContext
  readonly #selector: HashSelector

  constructor(context: DispatchContext, mode: 'AUTO_SPLIT' | 'STICKY') {
    this.#context = context
    this.#selector = createHashSelector(mode, context.settings)
  }

  join(member: Member): void {
    this.#selector.add(member)
    this.members.push(member)
  }

  leave(member: Member): void {
    const index = this.members.indexOf(member)
    if (index >= 0) this.members.splice(index, 1)
    this.#selector.remove(member)
  }

  offer(entry: Entry): boolean {
    const info = this.#context.reader.read(entry, true)
    const taker = this.#selector.ownerOf(info.hash)
    if (taker?.canTake !== true) return false
    this.#context.send(taker, entry, info, PASSING)
    return true
  }

  hashRangesOf(member: Member): readonly string[] {
    return this.#selector.rangesOf(member)
  }
}
