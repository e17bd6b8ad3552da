import type { BrokerAddress } from './contract.ts'
import {
  BrokerRowSchema,
  BundleOwnerRowSchema,
  BundlesRowSchema,
  NamespaceRowSchema,
  SuspicionRowSchema,
  type ListenerRow
} from '../generated/broker_pb.ts'
import type { ListenerUrls } from '../connection/listeners.ts'
import { decodeRow, encodeRow } from '../namespace/rows.ts'
import type { OwnerRow } from './events.ts'

/** Keys of everything that is about who serves what; see README.md. */
export const ownershipKeys = {
  brokers: 'brokers/',
  broker: (instance: string): string => `brokers/${instance}`,
  owners: 'bundle-owners/',
  owner: (bundle: string): string => `bundle-owners/${bundle}`,
  bundles: 'bundles/',
  bundlesOf: (namespace: string): string => `bundles/${namespace}`,
  suspicions: 'broker-suspicions/',
  suspicion: (instance: string, by: string): string => `broker-suspicions/${instance}/${by}`,
  leader: 'broker-leader'
}

interface StoredRow {
  readonly key: string
  readonly value: Uint8Array
}

export interface BrokerIdentity {
  readonly address: BrokerAddress
  readonly host: string
  readonly pid: number
  readonly capabilities: readonly string[]
}

export function encodeBroker({ address, host, pid, capabilities }: BrokerIdentity): Uint8Array {
  return encodeRow(BrokerRowSchema, {
    id: address.id,
    version: address.version,
    startedAtMs: BigInt(Math.trunc(address.startedAtMs)),
    host,
    pid,
    urls: listenerRow('', address.urls),
    listeners: [...address.listeners].map(([name, urls]) => listenerRow(name, urls)),
    draining: address.isDraining,
    capabilities: [...capabilities]
  })
}

/** @throws BrokerError MetadataError */
export function decodeBroker(instance: string, row: StoredRow): BrokerAddress {
  const { id, version, startedAtMs, urls, listeners, draining } = decodeRow(BrokerRowSchema, row)
  return {
    id,
    instance,
    version,
    startedAtMs: Number(startedAtMs),
    urls: urlsOf(urls),
    listeners: new Map(listeners.map(listener => [listener.name, urlsOf(listener)])),
    isDraining: draining
  }
}

export function encodeOwner(row: OwnerRow): Uint8Array {
  return encodeRow(BundleOwnerRowSchema, {
    owner: row.owner,
    next: row.next,
    sinceMs: BigInt(row.sinceMs),
    deadlineMs: BigInt(row.next === '' ? 0 : row.sinceMs + row.movingMs),
    released: row.owner === '' && row.next !== '',
    reason: row.reason,
    loadedTopics: [...row.loadedTopics]
  })
}

/** @throws BrokerError MetadataError */
export function decodeOwner(row: StoredRow): OwnerRow {
  const { owner, next, sinceMs, deadlineMs, released, reason, loadedTopics } = decodeRow(BundleOwnerRowSchema, row)
  return {
    owner: released ? '' : owner,
    next,
    sinceMs: Number(sinceMs),
    movingMs: Math.max(0, Number(deadlineMs - sinceMs)),
    reason,
    loadedTopics
  }
}

export function encodeBoundaries(boundaries: readonly number[]): Uint8Array {
  return encodeRow(BundlesRowSchema, { boundaries: [...boundaries] })
}

/** @throws BrokerError MetadataError */
export function decodeBoundaries(row: StoredRow): number[] {
  return decodeRow(BundlesRowSchema, row).boundaries
}

/** How many bundles a namespace was made with. @throws BrokerError MetadataError */
export function decodeBundleCount(row: StoredRow): number | undefined {
  return decodeRow(NamespaceRowSchema, row).bundleCount
}

export function encodeSuspicion(reason: string, wallMs: number): Uint8Array {
  return encodeRow(SuspicionRowSchema, { atMs: BigInt(Math.trunc(wallMs)), reason })
}

function listenerRow(name: string, urls: ListenerUrls) {
  return {
    name,
    brokerUrl: urls.brokerUrl ?? '',
    brokerUrlTls: urls.brokerUrlTls ?? '',
    httpUrl: urls.httpUrl ?? '',
    httpUrlTls: urls.httpUrlTls ?? ''
  }
}

function urlsOf(row: ListenerRow | undefined): ListenerUrls {
  return {
    brokerUrl: orNothing(row?.brokerUrl),
    brokerUrlTls: orNothing(row?.brokerUrlTls),
    httpUrl: orNothing(row?.httpUrl),
    httpUrlTls: orNothing(row?.httpUrlTls)
  }
}

function orNothing(text: string | undefined): string | undefined {
  return text === undefined || text === '' ? undefined : text
}
