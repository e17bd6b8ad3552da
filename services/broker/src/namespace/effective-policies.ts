import { strict as assert } from 'node:assert'
import type { LogPersistence, RetentionPolicy } from '@strata/managed-ledger'
import type { BrokerSettings } from '../config/settings.ts'
import type { Rate } from '../limits/rate-pair.ts'
import type { QuotaAction } from './policy-quotas.ts'
import type { DispatchRateValue } from './policy-rates.ts'
import { strategyOfAutoUpdate } from './policy-schemas.ts'
import {
  POLICY_NAMES,
  specOf,
  type PolicyName,
  type PolicyValues,
  type PolicyLayer,
  type SetPolicies
} from './policy-table.ts'

export interface PolicyDispatchRate extends Rate {
  /** Besides what is published meanwhile. */
  readonly isRelative: boolean
}

/** undefined: no limit. */
export interface BacklogLimits {
  /** Bytes. */
  readonly size: BacklogLimit | undefined
  /** Seconds. */
  readonly age: BacklogLimit | undefined
}

interface BacklogLimit {
  readonly limit: number
  readonly action: QuotaAction
}

/** What holds for a namespace or a topic: what was set over the broker's settings. Never stored, always derived. */
export interface EffectivePolicies {
  readonly retention: RetentionPolicy
  /** Messages older than this are acknowledged for every subscription; 0: never. */
  readonly messageTtlSeconds: number
  readonly autoTopicCreation: { readonly allowed: boolean; readonly partitions: number }
  readonly autoSubscriptionCreation: boolean
  readonly schemaCompatibilityStrategy: string
  readonly isAllowAutoUpdateSchema: boolean
  readonly schemaValidationEnforced: boolean
  readonly encryptionRequired: boolean
  /** This cluster is one of those that have the topic. */
  readonly isServedHere: boolean
  readonly maxTopicsPerNamespace: number
  readonly maxProducersPerTopic: number
  readonly maxConsumersPerTopic: number
  readonly maxConsumersPerSubscription: number
  readonly maxSubscriptionsPerTopic: number
  readonly maxUnackedMessagesPerConsumer: number
  readonly maxUnackedMessagesPerSubscription: number
  /** With headers; 0: whatever the broker takes. */
  readonly maxMessageBytes: number
  /** undefined: all that there are. */
  readonly subscriptionTypes: readonly string[] | undefined
  readonly backlog: BacklogLimits
  readonly persistence: LogPersistence
  readonly publishRate: Rate
  /** The group whose rates it shares, by name; undefined: none. */
  readonly resourceGroup: string | undefined
  /** Names of filters with commas between, in their order. */
  readonly entryFilters: string
  /** Of all subscriptions together. */
  readonly dispatchRate: PolicyDispatchRate
  /** Of each subscription that `dispatchRateOf` says nothing of. */
  readonly subscriptionDispatchRate: PolicyDispatchRate
  /** By the subscription's name. */
  readonly dispatchRateOf: ReadonlyMap<string, PolicyDispatchRate>
  /** Attempts of one consumer in a period; 0: no limit. */
  readonly subscribeRate: { readonly attempts: number; readonly periodMs: number }
  /** Subscriptions unused for this long are deleted; 0: never. */
  readonly subscriptionExpirationMinutes: number
  /** Of its properties: those that are labels of its metrics. */
  readonly metricPropertyKeys: readonly string[]
  readonly inactiveTopics: {
    readonly delete: boolean
    readonly mode: 'delete_when_no_subscriptions' | 'delete_when_subscriptions_caught_up'
    readonly maxInactiveSeconds: number
  }
}

const CURSOR_FLUSH_MS_MIN = 20
const CURSOR_FLUSH_MS_MAX = 3_600_000

/** Of each policy the first layer that says something, the most particular layer first, with what it leaves to those above. */
export function layered(layers: readonly SetPolicies[]): SetPolicies {
  const own: Partial<Record<PolicyName, unknown>> = {}
  for (const name of POLICY_NAMES) {
    const { isOpen, within } = specOf(name)
    for (const layer of layers) {
      const value = layer[name]
      if (value === undefined || isOpen?.(value) === true) continue
      own[name] = own[name] === undefined ? value : within?.(own[name], value)
      if (within === undefined) break
    }
  }
  const set = own as SetPolicies
  const older = strategyOfAutoUpdate(set.schemaAutoUpdateCompatibilityStrategy)
  if (older === undefined || set.schemaCompatibilityStrategy !== undefined) return set
  return { ...set, schemaCompatibilityStrategy: older }
}

/** One policy as it holds, in the form of the admin API; undefined: neither anybody nor the broker says anything. */
export function appliedValue<Name extends PolicyName>(
  name: Name,
  layers: readonly SetPolicies[],
  settings: BrokerSettings
): PolicyValues[Name] | undefined {
  return applied(name, layered(layers), settings)
}

function applied<Name extends PolicyName>(
  name: Name,
  own: SetPolicies,
  settings: BrokerSettings
): PolicyValues[Name] | undefined {
  const value: unknown = own[name] ?? specOf(name).ofBroker?.(settings)
  return value as PolicyValues[Name] | undefined
}

/** Pure. `layers`: what was set, the most particular first: topic, then namespace. */
export function effectivePolicies(layers: readonly PolicyLayer[], settings: BrokerSettings): EffectivePolicies {
  const own = layered(layers)
  const of = <Name extends PolicyName>(name: Name): PolicyValues[Name] => {
    return applied(name, own, settings) ?? assert.fail(`the broker says nothing of ${name}`)
  }
  const { retentionTimeInMinutes: minutes, retentionSizeInMB: megabytes } = of('retention')
  const rate = of('publishRate')
  const [bySize, byAge] = [of('backlogQuotaSize'), of('backlogQuotaAge')]
  const subscribeRate = of('subscribeRate')
  return {
    retention: {
      timeMs: minutes < 0 ? -1 : minutes * 60_000,
      sizeBytes: megabytes < 0 ? -1 : megabytes * 1024 * 1024
    },
    messageTtlSeconds: of('messageTTL'),
    autoTopicCreation: autoTopicCreation(of('autoTopicCreation'), settings),
    autoSubscriptionCreation: of('autoSubscriptionCreation').allowAutoSubscriptionCreation,
    schemaCompatibilityStrategy: of('schemaCompatibilityStrategy'),
    isAllowAutoUpdateSchema: of('isAllowAutoUpdateSchema'),
    schemaValidationEnforced: of('schemaValidationEnforced'),
    encryptionRequired: of('encryptionRequired'),
    isServedHere: [...of('replicationClusters'), ...of('allowedClusters')].includes(settings.clusterName),
    maxTopicsPerNamespace: of('maxTopicsPerNamespace'),
    maxProducersPerTopic: of('maxProducersPerTopic'),
    maxConsumersPerTopic: of('maxConsumersPerTopic'),
    maxConsumersPerSubscription: of('maxConsumersPerSubscription'),
    maxSubscriptionsPerTopic: of('maxSubscriptionsPerTopic'),
    maxUnackedMessagesPerConsumer: of('maxUnackedMessagesPerConsumer'),
    maxUnackedMessagesPerSubscription: of('maxUnackedMessagesPerSubscription'),
    // what the broker says of these two holds for every frame and every subscription anyway
    maxMessageBytes: own.maxMessageSize ?? 0,
    subscriptionTypes: own.subscriptionTypesEnabled,
    backlog: {
      size: bySize.limitSize < 0 ? undefined : { limit: bySize.limitSize, action: bySize.policy },
      age: byAge.limitTime <= 0 ? undefined : { limit: byAge.limitTime, action: byAge.policy }
    },
    persistence: persistence(own, of('persistence').managedLedgerMaxMarkDeleteRate),
    publishRate: {
      messagesPerSecond: Math.max(0, rate.publishThrottlingRateInMsg),
      bytesPerSecond: Math.max(0, rate.publishThrottlingRateInByte)
    },
    resourceGroup: own.resourceGroup,
    entryFilters: settings.allowOverrideEntryFilters ? of('entryFilters').entryFilterNames : settings.entryFilterNames,
    dispatchRate: dispatchRate(of('dispatchRate')),
    subscriptionDispatchRate: dispatchRate(of('subscriptionDispatchRate')),
    dispatchRateOf: dispatchRatesOf(layers),
    subscribeRate: {
      attempts: Math.max(0, subscribeRate.subscribeThrottlingRatePerConsumer),
      periodMs: Math.max(1, subscribeRate.ratePeriodInSecond) * 1000
    },
    subscriptionExpirationMinutes: of('subscriptionExpirationTime'),
    metricPropertyKeys: of('allowedTopicPropertyKeysForMetrics'),
    inactiveTopics: inactiveTopics(of('inactiveTopicPolicies'))
  }
}

/** A topic of which nobody says anything is kept as the broker keeps everything. */
function persistence({ persistence: own }: SetPolicies, writesPerSecond: number): LogPersistence {
  const quorum = own && {
    ensembleSize: own.bookkeeperEnsemble,
    writeQuorum: own.bookkeeperWriteQuorum,
    ackQuorum: own.bookkeeperAckQuorum
  }
  const flushMs = Math.min(CURSOR_FLUSH_MS_MAX, Math.max(CURSOR_FLUSH_MS_MIN, 1000 / writesPerSecond))
  return { quorum, cursorFlushMs: writesPerSecond > 0 ? flushMs : undefined }
}

function dispatchRate(policy: DispatchRateValue): PolicyDispatchRate {
  const seconds = Math.max(1, policy.ratePeriodInSecond)
  return {
    messagesPerSecond: Math.max(0, policy.dispatchThrottlingRateInMsg) / seconds,
    bytesPerSecond: Math.max(0, policy.dispatchThrottlingRateInByte) / seconds,
    isRelative: policy.relativeToPublishRate
  }
}

/** Of single subscriptions. The most particular layer comes last, over the others. */
function dispatchRatesOf(layers: readonly PolicyLayer[]): ReadonlyMap<string, PolicyDispatchRate> {
  const rates = new Map<string, PolicyDispatchRate>()
  for (const { dispatchRateOfSubscription } of [...layers].reverse()) {
    for (const [name, value] of Object.entries(dispatchRateOfSubscription ?? {})) rates.set(name, dispatchRate(value))
  }
  return rates
}

function autoTopicCreation(
  policy: PolicyValues['autoTopicCreation'],
  settings: BrokerSettings
): EffectivePolicies['autoTopicCreation'] {
  const isPartitioned = policy.topicType === 'partitioned'
  return {
    allowed: policy.allowAutoTopicCreation,
    partitions: isPartitioned ? (policy.defaultNumPartitions ?? settings.defaultNumPartitions) : 0
  }
}

function inactiveTopics(policy: PolicyValues['inactiveTopicPolicies']): EffectivePolicies['inactiveTopics'] {
  const { inactiveTopicDeleteMode: mode, deleteWhileInactive, maxInactiveDurationSeconds } = policy
  return {
    delete: deleteWhileInactive && mode !== undefined,
    mode: mode === 'delete_when_subscriptions_caught_up' ? mode : 'delete_when_no_subscriptions',
    maxInactiveSeconds: maxInactiveDurationSeconds
  }
}
