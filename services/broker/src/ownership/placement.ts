import { createHash } from 'node:crypto'
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
export const placeByHash: Place = ({ bundle, brokers }) => {
  let best: { readonly broker: BrokerAddress; readonly rank: string } | undefined
  for (const broker of brokers) {
    const rank = createHash('md5').update(`${broker.id} ${bundle.toString()}`).digest('hex')
    if (best === undefined || rank > best.rank) best = { broker, rank }
  }
  if (best === undefined) throw new Error('there is no broker to place a bundle on')
  return { broker: best.broker, reason: 'by hash' }
}
