import { comparePositions } from '@strata/cursor-protocol'
import fc from 'fast-check'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { DispatchContext } from './dispatcher.ts'
import { KeySharedDispatcher } from './key-shared.ts'
import { LogPump } from './log-pump.ts'
import { Member } from './member.ts'
import { PersistentSubscription } from './persistent-subscription.ts'
import { PositionHeap } from './position-heap.ts'
import { SharedDispatcher } from './shared.ts'
import { SingleActiveDispatcher } from './single-active.ts'
import { FakeCursor } from './testing/fake-log.ts'
import { play, steps, type RunOptions } from './testing/dispatch-run.ts'
import { TrackedDispatcher } from './tracked.ts'

/*
  Each mutant breaks one rule of dispatch, from outside. The property test must notice, and for the reason given: the
  law of the model (testing/dispatch-model.ts) or the assertion that the rule stands behind.
*/

const SEED = 20_260_101
const RUNS = 400

interface Mutant {
  readonly breaks: string
  readonly run: RunOptions
  readonly expect: RegExp
  readonly mutate: () => void
}

const shared: RunOptions = { type: 'Shared' }
const keyShared: RunOptions = { type: 'Key_Shared' }

/** Replaces a method; `original` is bound to the object it is called on. */
function replace<T extends object, K extends keyof T>(
  prototype: T,
  name: K,
  by: (this: T, original: T[K]) => T[K]
): void {
  const original = prototype[name]
  vi.spyOn(prototype as Record<K, () => unknown>, name as never).mockImplementation(function (
    this: T,
    ...given: unknown[]
  ) {
    const bound = (original as (...all: unknown[]) => unknown).bind(this) as T[K]
    return (by.call(this, bound) as (...all: unknown[]) => unknown)(...given)
  } as never)
}

const mutants: Mutant[] = [
  {
    breaks: 'an entry costs its messages: here it costs one permit',
    run: { type: 'Exclusive' },
    expect: /^(credit|sum)/,
    mutate: () => {
      replace(DispatchContext.prototype, 'send', original => (member, entry, info, how) => {
        const before = member.sent
        const messages = original(member, entry, info, how)
        member.sent = before + 1
        return messages
      })
    }
  },
  {
    breaks: 'what is acknowledged of a batch costs no permit: here it does',
    run: shared,
    expect: /^(sum|credit|stall|limit)/,
    mutate: () => {
      replace(DispatchContext.prototype, 'send', original => (member, entry, info, how) => {
        const before = member.sent
        const messages = original(member, entry, info, how)
        member.sent = before + info.messages
        return messages
      })
    }
  },
  {
    breaks: 'a full socket takes nothing',
    run: shared,
    expect: /^socket/,
    mutate: () => {
      vi.spyOn(Member.prototype, 'canTake', 'get').mockImplementation(function (this: Member) {
        return this.permits > 0 && !this.isBlocked && !this.isGone
      })
    }
  },
  {
    breaks: 'a consumer with its fill of unacknowledged messages takes nothing',
    run: shared,
    expect: /^limit/,
    mutate: () => {
      vi.spyOn(Member.prototype, 'canTake', 'get').mockImplementation(function (this: Member) {
        return this.permits > 0 && !this.isGone && this.connection.isWritable
      })
    }
  },
  {
    breaks: 'FLOW schedules a turn',
    run: shared,
    expect: /^stall/,
    mutate: () => {
      vi.spyOn(PersistentSubscription.prototype, 'onFlow').mockImplementation(() => {})
    }
  },
  {
    breaks: 'a socket that opens schedules a turn',
    run: { type: 'Exclusive' },
    expect: /^stall/,
    mutate: () => {
      vi.spyOn(PersistentSubscription.prototype, 'onWritable').mockImplementation(() => {})
    }
  },
  {
    breaks: 'what is acknowledged before the scan comes to it is left out',
    run: shared,
    expect: /^acked/,
    mutate: () => {
      vi.spyOn(LogPump.prototype, 'noteAcknowledged').mockImplementation(() => {})
    }
  },
  {
    breaks: 'what is acknowledged while pending is left out',
    run: shared,
    expect: /^acked/,
    mutate: () => {
      const prototype = TrackedDispatcher.prototype as unknown as { isPending: () => boolean }
      vi.spyOn(prototype, 'isPending').mockImplementation(() => true)
    }
  },
  {
    breaks: 'an acknowledgement takes the entry off its holder',
    run: shared,
    expect: /^(sum|acked|stall)/,
    mutate: () => {
      vi.spyOn(TrackedDispatcher.prototype, 'acknowledged').mockImplementation(() => 1)
    }
  },
  {
    breaks: 'part of a batch acknowledged takes that part off its holder',
    run: shared,
    expect: /^sum/,
    mutate: () => {
      vi.spyOn(TrackedDispatcher.prototype, 'acknowledgedPart').mockImplementation(() => 0)
    }
  },
  {
    breaks: 'what a leaving consumer held goes to the others',
    run: shared,
    expect: /^(sum|stall|lost)/,
    mutate: () => {
      replace(TrackedDispatcher.prototype, 'leave', function (original) {
        return member => {
          if (this.members.length > 1) this.members.splice(this.members.indexOf(member), 1)
          else original(member)
        }
      })
    }
  },
  {
    breaks: 'leaving does not raise redelivery counts',
    run: shared,
    expect: /^count/,
    mutate: () => {
      replace(TrackedDispatcher.prototype, 'leave', function (original) {
        return member => {
          this.redeliver(member, undefined)
          original(member)
        }
      })
    }
  },
  {
    breaks: 'REDELIVER sends back only what that consumer holds',
    run: shared,
    expect: /^(twice|count|sum)/,
    mutate: () => {
      replace(TrackedDispatcher.prototype, 'redeliver', function (original) {
        return (_member, positions) => {
          for (const member of this.members) original(member, positions)
          return false
        }
      })
    }
  },
  {
    breaks: 'a pending position that could not be read waits again',
    run: shared,
    expect: /^(stall|lost)/,
    mutate: () => {
      vi.spyOn(TrackedDispatcher.prototype, 'requeue').mockImplementation(() => {})
    }
  },
  {
    breaks: 'the subscription as a whole has a limit',
    run: shared,
    expect: /^limit/,
    mutate: () => {
      vi.spyOn(TrackedDispatcher.prototype, 'beginTurn').mockImplementation(() => {})
    }
  },
  {
    breaks: 'pending before new',
    run: shared,
    expect: /^(stall|lost)/,
    mutate: () => {
      vi.spyOn(SharedDispatcher.prototype, 'popPending').mockImplementation(() => false)
    }
  },
  {
    breaks: 'a hash is with one consumer until drained',
    run: { type: 'Key_Shared', keyShared: { mode: 'AUTO_SPLIT', ranges: [], allowOutOfOrderDelivery: true } },
    expect: /^(together|order)/,
    mutate: () => {}
  },
  {
    breaks: 'pending entries of a key come lowest first',
    run: keyShared,
    expect: /^order/,
    mutate: () => {
      // Else an entry that is not the lowest would be put back for ever.
      vi.spyOn(PositionHeap.prototype, 'isBefore').mockImplementation(() => false)
      replace(PositionHeap.prototype, 'push', original => (ledgerId, entryId, entry) => {
        original(ledgerId, -entryId, entry)
      })
      const entryId = Object.getOwnPropertyDescriptor(PositionHeap.prototype, 'entryId')?.get
      vi.spyOn(PositionHeap.prototype, 'entryId', 'get').mockImplementation(function (this: PositionHeap) {
        return -(entryId?.call(this) as number)
      })
      replace(PositionHeap.prototype, 'forEach', original => visit => {
        original((ledgerId, negative, entry) => {
          visit(ledgerId, -negative, entry)
        })
      })
    }
  },
  {
    breaks: 'a new entry does not overtake pending ones of its consumer',
    run: keyShared,
    expect: /^(order|stall)/,
    mutate: () => {
      const size = Object.getOwnPropertyDescriptor(PositionHeap.prototype, 'size')?.get
      let isOffering = false
      vi.spyOn(PositionHeap.prototype, 'size', 'get').mockImplementation(function (this: PositionHeap) {
        return isOffering ? 0 : (size?.call(this) as number)
      })
      replace(KeySharedDispatcher.prototype, 'popPending', original => () => turn++ % 3 === 0 && original())
      replace(KeySharedDispatcher.prototype, 'offer', original => entry => {
        isOffering = true
        try {
          return original(entry)
        } finally {
          isOffering = false
        }
      })
      let turn = 0
    }
  },
  {
    breaks: 'what an owner let go of reaches the new owner',
    run: keyShared,
    expect: /^(stall|lost)/,
    mutate: () => {
      const prototype = KeySharedDispatcher.prototype as unknown as { onReleased: () => void }
      vi.spyOn(prototype, 'onReleased').mockImplementation(() => {})
    }
  },
  {
    breaks: 'a REDELIVER of a consumer that is not active changes nothing',
    run: { type: 'Failover' },
    expect: /^(order|twice)/,
    mutate: () => {
      vi.spyOn(SingleActiveDispatcher.prototype, 'redeliver').mockImplementation(() => true)
    }
  },
  {
    breaks: 'REDELIVER starts again at the mark-delete position',
    run: { type: 'Exclusive' },
    expect: /^(stall|lost)/,
    mutate: () => {
      vi.spyOn(SingleActiveDispatcher.prototype, 'redeliver').mockImplementation(() => false)
    }
  },
  {
    breaks: 'a rewind leaves out what is acknowledged beyond the mark-delete position',
    run: { type: 'Exclusive' },
    expect: /^acked/,
    mutate: () => {
      const prototype = FakeCursor.prototype
      const isAcknowledged = prototype.isAcknowledged
      vi.spyOn(prototype, 'isAcknowledged').mockImplementation(function (this: FakeCursor, ledgerId, entryId) {
        const { markDelete } = this
        return comparePositions({ ledgerId, entryId }, markDelete) <= 0 && isAcknowledged.call(this, ledgerId, entryId)
      })
    }
  }
]

describe('the property test notices', () => {
  afterEach(() => {
    vi.restoreAllMocks()
  })

  for (const mutant of mutants) {
    test(mutant.breaks, async () => {
      mutant.mutate()
      const property = fc.asyncProperty(steps, async list => {
        await play(list, mutant.run)
      })
      const result = await fc.check(property, { seed: SEED, numRuns: RUNS, endOnFailure: true })
      expect(result.failed, 'the mutant lived').toBe(true)
      expect((result.errorInstance as Error).message).toMatch(mutant.expect)
    })
  }
})
