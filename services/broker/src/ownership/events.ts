import type { Compare } from '@strata/metadata'
import type { BrokerAddress, BundleName } from './contract.ts'

/*
  What goes into the state machine of ownership and what comes out of it. Times are monotonic milliseconds of this process,
  but for those in rows. Brokers are named by their instance.
*/

/** Who has a bundle, as stored. */
export interface OwnerRow {
  /** Empty: nobody has it, and `next` may take it. */
  readonly owner: string
  /** Empty: it is not handed over. */
  readonly next: string
  /** Wall time of who wrote the row. */
  readonly sinceMs: number
  /** How long the hand-over may take, counted by everyone from when they see the row: clocks need not agree. */
  readonly movingMs: number
  readonly reason: string
  readonly loadedTopics: readonly string[]
}

/** How something became known. What is told by an answer counts only if it is newer than all that the watch has told. */
export type Source = 'watch' | 'answer'

export type PeerAnswer = 'reaches' | 'lost' | 'silent'

export type Outcome =
  | { readonly kind: 'committed'; readonly revision: number }
  /** What is there instead was told as events before, where it is there at all. */
  | { readonly kind: 'conflict' }
  /** No definite answer, or the lease was gone: if it was made after all, the watch will tell. */
  | { readonly kind: 'failed' }
  /** The namespace has no such bundle, or is gone. */
  | { readonly kind: 'obsolete' }

export type OwnershipEvent =
  | { readonly kind: 'registered'; readonly self: BrokerAddress; readonly version: number }
  | { readonly kind: 'lease-lost' }
  | {
      readonly kind: 'broker'
      readonly instance: string
      /** Undefined: it is not registered any more. */
      readonly broker: BrokerAddress | undefined
      readonly version: number
      readonly source: Source
    }
  | {
      readonly kind: 'row'
      readonly bundle: string
      readonly row: OwnerRow | undefined
      readonly version: number
      readonly source: Source
    }
  /** `version` 0: it was taken back. */
  | { readonly kind: 'suspicion'; readonly instance: string; readonly by: string; readonly version: number }
  | { readonly kind: 'peer-down'; readonly instance: string }
  | { readonly kind: 'peer-up'; readonly instance: string }
  | { readonly kind: 'peers-answered'; readonly round: number; readonly answers: readonly PeerAnswer[] }
  | { readonly kind: 'locate'; readonly id: number; readonly bundle: BundleName; readonly take: boolean }
  | UnloadRequest
  | {
      /** A split (one bundle becomes several) or a merge (several become one); `bundles` and `parts` cover the same range. */
      readonly kind: 'redivide'
      readonly id: number
      readonly bundles: readonly BundleName[]
      readonly parts: readonly BundleName[]
      /** The rows of the division as it was, and what is written instead. */
      readonly compares: readonly Compare[]
      readonly change: RawPut
    }
  /** The namespace has no such bundle any more. */
  | { readonly kind: 'obsolete'; readonly bundle: string }
  | { readonly kind: 'leave' }
  /** The topics that were released or dropped are closed. */
  | { readonly kind: 'closed'; readonly bundle: string }
  | { readonly kind: 'transacted'; readonly id: number; readonly outcome: Outcome }
  | { readonly kind: 'tick' }

export interface UnloadRequest {
  readonly kind: 'unload'
  readonly id: number
  readonly bundle: BundleName
  /** The id of a broker. */
  readonly to: string | undefined
  /** Storage is out of reach: topics are dropped as they are, for the next owner to recover. */
  readonly isAbrupt: boolean
}

export interface RawPut {
  readonly kind: 'put'
  readonly key: string
  readonly value: Uint8Array
}

export type RowChange =
  /** `namesTopics`: the names of those that are loaded are added. */
  | { readonly kind: 'own'; readonly bundle: BundleName; readonly row: OwnerRow; readonly namesTopics: boolean }
  | { readonly kind: 'suspect'; readonly instance: string }
  | { readonly kind: 'delete'; readonly key: string }
  | RawPut

export type LocateAnswer =
  | { readonly kind: 'here' }
  | { readonly kind: 'there'; readonly broker: BrokerAddress }
  | { readonly kind: 'refused'; readonly reason: string }

export type OwnershipEffect =
  | {
      readonly kind: 'transact'
      readonly id: number
      readonly compares: readonly Compare[]
      readonly changes: readonly RowChange[]
      /** Also compares that the namespace has this bundle. */
      readonly within: BundleName | undefined
    }
  /** It is handed over: topics are closed, or, if `isAbrupt`, dropped. */
  | {
      readonly kind: 'release'
      readonly bundle: BundleName
      readonly next: BrokerAddress | undefined
      readonly isAbrupt: boolean
    }
  | { readonly kind: 'drop'; readonly bundle: BundleName; readonly next: BrokerAddress | undefined }
  | { readonly kind: 'preload'; readonly bundle: BundleName; readonly names: readonly string[] }
  | { readonly kind: 'suspend'; readonly isSuspended: boolean }
  | { readonly kind: 'located'; readonly id: number; readonly answer: LocateAnswer }
  /** Of an unload, a split or a merge. `refusal` undefined: it is done. */
  | { readonly kind: 'done'; readonly id: number; readonly refusal: Refusal | undefined }
  | { readonly kind: 'ask-peers'; readonly round: number; readonly peers: readonly BrokerAddress[] }
  /** This registration is over: register anew. */
  | { readonly kind: 'rejoin' }
  /** For people; `bundle` empty: about this broker. */
  | { readonly kind: 'decided'; readonly bundle: string; readonly text: string }

export interface Refusal {
  readonly code: 'NotAllowedError' | 'MetadataError'
  readonly reason: string
}
