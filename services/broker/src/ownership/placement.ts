import { crc32 } from 'node:zlib'
import type { BrokerAddress, BundleName } from './contract.ts'

export interface PlaceRequest {
  readonly bundle: BundleName
  /** Living and not draining, without those that failed to take something lately; never empty. Sorted by id. */
  readonly brokers: readonly BrokerAddress[]
}

export interface Placed {
  readonly broker: BrokerAddress
  /** For people. */
  readonly reason: string
}

/** Chooses who takes a bundle that nobody has. Pure: what it knows of load was handed to it before. Undefined: none may. */
export type Place = (request: PlaceRequest) => Placed | undefined

/** The broker whose hash together with the bundle's is highest: brokers that come and go move few bundles. */
export function placeByHash({ bundle, brokers }: PlaceRequest): Placed {
  const key = bundle.toString()
  let best: BrokerAddress | undefined
  let bestRank = -1
  for (const broker of brokers) {
    const rank = mixed(crc32(`${broker.id} ${key}`))
    if (rank <= bestRank) continue
    best = broker
    bestRank = rank
  }
  if (best === undefined) throw new Error('there is no broker to place a bundle on')
  return { broker: best, reason: 'by hash' }
}

/** CRCs of texts that differ in one place differ by the same bits whatever else is in them: their order would follow. */
function mixed(crc: number): number {
  let hash = Math.imul(crc ^ (crc >>> 16), 0x85eb_ca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2_ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}
