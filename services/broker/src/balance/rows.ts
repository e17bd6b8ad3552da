import { decodeSegment, encodeSegment } from '@strata/metadata'
import {
  BalanceDecisionsRowSchema,
  BundleLoadsRowSchema,
  FailureDomainRowSchema,
  IsolationPolicyRowSchema,
  LoadDigestRowSchema,
  LoadReportRowSchema,
  ResourceQuotaRowSchema
} from '../generated/broker_pb.ts'
import { decodeRow, encodeRow } from '../namespace/rows.ts'
import type { BrokerLoad, BundleLoad } from './load.ts'
import type { ResourceQuota } from './quotas.ts'

/** Keys of everything that balance keeps in the metadata store. Names that people choose are one segment each. */
export const balanceKeys = {
  reports: 'load-reports/',
  report: (instance: string): string => `load-reports/${instance}`,
  reportPage: (instance: string, page: number): string => `load-reports/${instance}/${page}`,
  digests: 'load-digest/',
  digest: (page: number): string => `load-digest/${page}`,
  decisions: 'balance-decisions/',
  decision: (slot: number): string => `balance-decisions/${String(slot).padStart(3, '0')}`,
  isolation: 'isolation-policies/',
  isolationOf: (cluster: string): string => `isolation-policies/${encodeSegment(cluster)}/`,
  isolationPolicy: (cluster: string, name: string): string =>
    `isolation-policies/${encodeSegment(cluster)}/${encodeSegment(name)}`,
  domains: 'failure-domains/',
  domainsOf: (cluster: string): string => `failure-domains/${encodeSegment(cluster)}/`,
  domain: (cluster: string, name: string): string => `failure-domains/${encodeSegment(cluster)}/${encodeSegment(name)}`,
  quotas: 'resource-quotas/',
  usualQuota: 'resource-quotas/usual',
  quotasOfBundles: 'resource-quotas/bundles/',
  /** Of a namespace, `tenant/namespace`. */
  quotasOf: (namespace: string): string => `resource-quotas/bundles/${namespace}/`,
  /** `bundle`: `tenant/namespace/range` */
  quota: (bundle: string): string => `resource-quotas/bundles/${bundle}`
}

interface StoredRow {
  readonly key: string
  readonly value: Uint8Array
}

/** The last part of a key, as it was before it became a segment. */
export function lastSegment(key: string): string | undefined {
  return decodeSegment(key.slice(key.lastIndexOf('/') + 1))
}

/** `instance`, and the page where it is one. */
export function reportOfKey(key: string): { instance: string; page: number | undefined } {
  const [instance = '', page] = key.slice(balanceKeys.reports.length).split('/')
  return { instance, page: page === undefined ? undefined : Number(page) }
}

/** Bundles of a page: some 25 KB. */
export const BUNDLES_PER_PAGE = 250

export interface StoredReport {
  readonly atMs: number
  readonly load: BrokerLoad
  readonly pages: number
}

const PERMILLE = 1000

export function encodeReport({ atMs, load, pages }: StoredReport): Uint8Array {
  return encodeRow(LoadReportRowSchema, {
    atMs: BigInt(Math.trunc(atMs)),
    messagesIn: load.messagesIn,
    messagesOut: load.messagesOut,
    bytesIn: load.bytesIn,
    bytesOut: load.bytesOut,
    topics: load.topics,
    producers: load.producers,
    consumers: load.consumers,
    bundles: load.bundles,
    lagMs: Math.round(load.lagMs),
    loopPermille: Math.round(load.loop * PERMILLE),
    cpuPermille: Math.round(load.cpu * PERMILLE),
    memoryPermille: Math.round(load.memory * PERMILLE),
    pages
  })
}

/** @throws BrokerError MetadataError */
export function decodeReport(row: StoredRow): StoredReport {
  const { atMs, pages, loopPermille, cpuPermille, memoryPermille, ...rates } = decodeRow(LoadReportRowSchema, row)
  return {
    atMs: Number(atMs),
    pages,
    load: {
      messagesIn: rates.messagesIn,
      messagesOut: rates.messagesOut,
      bytesIn: rates.bytesIn,
      bytesOut: rates.bytesOut,
      topics: rates.topics,
      producers: rates.producers,
      consumers: rates.consumers,
      bundles: rates.bundles,
      lagMs: rates.lagMs,
      loop: loopPermille / PERMILLE,
      cpu: cpuPermille / PERMILLE,
      memory: memoryPermille / PERMILLE
    }
  }
}

export function encodeBundleLoads(bundles: readonly BundleLoad[]): Uint8Array {
  return encodeRow(BundleLoadsRowSchema, { bundles: [...bundles] })
}

/** @throws BrokerError MetadataError */
export function decodeBundleLoads(row: StoredRow): BundleLoad[] {
  return decodeRow(BundleLoadsRowSchema, row).bundles.map(each => ({
    bundle: each.bundle,
    messagesIn: each.messagesIn,
    messagesOut: each.messagesOut,
    bytesIn: each.bytesIn,
    bytesOut: each.bytesOut,
    topics: each.topics,
    sessions: each.sessions,
    siblings: each.siblings
  }))
}

/** What placement goes by, of all brokers. */
export interface BrokerUsage {
  readonly instance: string
  /** Percent. */
  readonly usage: number
  readonly topics: number
}

export function encodeDigest(brokers: readonly BrokerUsage[]): Uint8Array {
  return encodeRow(LoadDigestRowSchema, {
    brokers: brokers.map(({ instance, usage, topics }) => ({ instance, usagePercent: Math.round(usage), topics }))
  })
}

/** @throws BrokerError MetadataError */
export function decodeDigest(row: StoredRow): BrokerUsage[] {
  return decodeRow(LoadDigestRowSchema, row).brokers.map(({ instance, usagePercent, topics }) => ({
    instance,
    usage: usagePercent,
    topics
  }))
}

/** A decision as people see it. */
export interface LoggedDecision {
  readonly kind: 'move' | 'split' | 'merge'
  readonly bundle: string
  /** Broker ids; `to` empty: it stays. */
  readonly from: string
  readonly to: string
  readonly reason: string
  /** 'done', or why it was not. */
  readonly outcome: string
}

export interface DecisionCycle {
  readonly atMs: number
  /** Id of the broker that decided. */
  readonly leader: string
  readonly decisions: readonly LoggedDecision[]
}

export function encodeCycle({ atMs, leader, decisions }: DecisionCycle): Uint8Array {
  return encodeRow(BalanceDecisionsRowSchema, {
    atMs: BigInt(Math.trunc(atMs)),
    leader,
    decisions: [...decisions]
  })
}

/** @throws BrokerError MetadataError */
export function decodeCycle(row: StoredRow): DecisionCycle {
  const { atMs, leader, decisions } = decodeRow(BalanceDecisionsRowSchema, row)
  return {
    atMs: Number(atMs),
    leader,
    decisions: decisions.map(({ kind, bundle, from, to, reason, outcome }) => ({
      kind: kind === 'split' || kind === 'merge' ? kind : 'move',
      ...{ bundle, from, to, reason, outcome }
    }))
  }
}

/** As the admin API takes and shows it. */
export interface IsolationData {
  readonly namespaces: readonly string[]
  readonly primary: readonly string[]
  readonly secondary: readonly string[]
  readonly policyType: string
  readonly parameters: Readonly<Record<string, string>>
}

export function encodeIsolation(data: IsolationData): Uint8Array {
  return encodeRow(IsolationPolicyRowSchema, {
    namespaces: [...data.namespaces],
    primary: [...data.primary],
    secondary: [...data.secondary],
    policyType: data.policyType,
    parameters: { ...data.parameters }
  })
}

/** @throws BrokerError MetadataError */
export function decodeIsolation(row: StoredRow): IsolationData {
  const { namespaces, primary, secondary, policyType, parameters } = decodeRow(IsolationPolicyRowSchema, row)
  return { namespaces, primary, secondary, policyType, parameters }
}

export function encodeDomain(brokers: readonly string[]): Uint8Array {
  return encodeRow(FailureDomainRowSchema, { brokers: [...brokers] })
}

/** Ids of brokers. @throws BrokerError MetadataError */
export function decodeDomain(row: StoredRow): readonly string[] {
  return decodeRow(FailureDomainRowSchema, row).brokers
}

export function encodeQuota(quota: ResourceQuota): Uint8Array {
  return encodeRow(ResourceQuotaRowSchema, quota)
}

/** @throws BrokerError MetadataError */
export function decodeQuota(row: StoredRow): ResourceQuota {
  const { msgRateIn, msgRateOut, bandwidthIn, bandwidthOut, memory, dynamic } = decodeRow(ResourceQuotaRowSchema, row)
  return { msgRateIn, msgRateOut, bandwidthIn, bandwidthOut, memory, dynamic }
}
