import type { BrokerSettings } from '../config/settings.ts'
import { fields, type PolicySpecs, type Problem } from './policy-spec.ts'

/** How much may wait for the slowest subscription, and what happens past it. */
export interface QuotaPolicies {
  /** Bytes: `limitSize`. */
  backlogQuotaSize: BacklogQuotaValue
  /** Age of the oldest message: `limitTime`, in seconds. */
  backlogQuotaAge: BacklogQuotaValue
}

export interface BacklogQuotaValue {
  /** What tools of before `limitSize` read. */
  limit: number
  limitSize: number
  limitTime: number
  policy: QuotaAction
}

export const QUOTA_ACTIONS = ['producer_request_hold', 'producer_exception', 'consumer_backlog_eviction'] as const

export type QuotaAction = (typeof QUOTA_ACTIONS)[number]

/** By the name of their kind, which is how Pulsar's map has them. */
export const QUOTA_KINDS = {
  destination_storage: 'backlogQuotaSize',
  message_age: 'backlogQuotaAge'
} as const satisfies Readonly<Record<string, keyof QuotaPolicies>>

const BYTES_PER_GB = 1024 ** 3

export const quotaPolicies: PolicySpecs<QuotaPolicies> = {
  backlogQuotaSize: {
    field: 'backlog_quota_map',
    mapKey: 'destination_storage',
    parse: parseQuota,
    ofBroker: defaultQuota
  },
  backlogQuotaAge: { field: 'backlog_quota_map', mapKey: 'message_age', parse: parseQuota, ofBroker: defaultQuota }
}

export function defaultQuota(settings: BrokerSettings): BacklogQuotaValue {
  const { backlogQuotaDefaultLimitGB: gb, backlogQuotaDefaultLimitBytes: bytes } = settings
  const limitSize = gb > 0 ? gb * BYTES_PER_GB : bytes
  return {
    limit: limitSize,
    limitSize,
    limitTime: settings.backlogQuotaDefaultLimitSecond,
    policy: settings.backlogQuotaDefaultRetentionPolicy as QuotaAction
  }
}

function parseQuota(value: unknown): BacklogQuotaValue | Problem {
  const { limit, limitSize, limitTime, policy } = fields(value)
  const action = QUOTA_ACTIONS.find(known => known === policy)
  if (action === undefined) return { problem: 'the attribute policy cannot be null' }
  const [size, time] = [wholeOf(limitSize ?? limit ?? 0), wholeOf(limitTime ?? 0)]
  if (size === undefined || time === undefined) return { problem: 'the limits must be whole numbers' }
  return { limit: size, limitSize: size, limitTime: time, policy: action }
}

/** Also as text: clients send both. */
function wholeOf(value: unknown): number | undefined {
  const parsed = typeof value === 'string' && /^-?\d+$/.test(value) ? Number(value) : value
  return Number.isSafeInteger(parsed) ? (parsed as number) : undefined
}
