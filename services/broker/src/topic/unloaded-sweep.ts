import { comparePositions, trimmableLedgers } from '@strata/cursor-protocol'
import type { SweptLog } from '@strata/managed-ledger'
import type { EffectivePolicies } from '../namespace/policies.ts'

/** What the sweep knows of a topic that nobody has loaded. */
export interface UnloadedTopic {
  /** undefined: nothing was ever stored. */
  readonly log: SweptLog | undefined
  readonly policies: EffectivePolicies
  /** Wall clock; nobody has used it since. */
  readonly unusedSinceMs: number
}

/** What is due for a topic; all but `delete` need it in memory. */
export interface DueWork {
  readonly delete: boolean
  /** Of ledgers that could not be dropped unopened. */
  readonly trim: boolean
  readonly expireMessages: boolean
  readonly expireSubscriptions: boolean
}

export function dueWork(topic: UnloadedTopic, nowMs: number): DueWork {
  const { log, policies } = topic
  const unusedMs = nowMs - topic.unusedSinceMs
  const { retention, subscriptionExpirationMinutes } = policies
  const keptSeconds = secondsKept(policies)
  const hasCursors = log?.slowestCursor !== undefined
  const neededSinceMs = log === undefined ? undefined : closedAtOfFirstNeeded(log)
  return {
    delete: isDeletable(topic, unusedMs),
    trim: log !== undefined && trimmableLedgers(log.ledgers, { slowest: log.slowestCursor, retention, nowMs }) > 0,
    expireMessages:
      hasCursors && keptSeconds > 0 && neededSinceMs !== undefined && nowMs - neededSinceMs >= keptSeconds * 1000,
    expireSubscriptions:
      hasCursors && subscriptionExpirationMinutes > 0 && unusedMs >= subscriptionExpirationMinutes * 60_000
  }
}

/** How long a message waits for its subscriptions; 0: for ever. */
function secondsKept({ messageTtlSeconds: ttl, backlog: { age } }: EffectivePolicies): number {
  if (age?.action !== 'consumer_backlog_eviction') return ttl
  return ttl > 0 ? Math.min(ttl, age.limit) : age.limit
}

/** The rule for topics in memory, from what the log's metadata says. */
function isDeletable({ log, policies }: UnloadedTopic, unusedMs: number): boolean {
  const { inactiveTopics, retention } = policies
  if (!inactiveTopics.delete || unusedMs < inactiveTopics.maxInactiveSeconds * 1000) return false
  if (log?.slowestCursor !== undefined) {
    if (inactiveTopics.mode !== 'delete_when_subscriptions_caught_up') return false
    if (closedAtOfFirstNeeded(log) !== undefined) return false
  }
  return retention.timeMs >= 0 && unusedMs >= retention.timeMs
}

/** Of the first ledger with an entry that some cursor still needs. */
function closedAtOfFirstNeeded({ ledgers, slowestCursor }: SweptLog): number | undefined {
  if (slowestCursor === undefined) return undefined
  const isNeeded = ({ ledgerId, entries }: { ledgerId: number; entries: number }): boolean =>
    comparePositions({ ledgerId, entryId: entries - 1 }, slowestCursor) > 0
  return ledgers.find(isNeeded)?.closedAtMs
}
