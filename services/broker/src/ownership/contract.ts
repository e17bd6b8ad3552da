import type { Compare } from '@strata/metadata'
import type { ListenerUrls } from '../connection/listeners.ts'
import type { TopicName } from '../namespace/topic-name.ts'

/*
  Who serves what. A namespace is divided into bundles (ranges of the hash of a topic's name); a bundle is served by one broker
  at a time; a topic by the broker that holds its bundle. README.md beside this file has the states, rules and invariants.
*/

/** A range of hashes of one namespace. Immutable, compared by `toString`. */
export interface BundleName {
  /** `tenant/namespace` */
  readonly namespace: string
  /** Inclusive, unsigned 32 bits. */
  readonly start: number
  /** Exclusive, but for the last range, whose end is 0xffffffff inclusive, as Pulsar has it. */
  readonly end: number
  /** `0x00000000_0x40000000`, as Pulsar writes ranges. */
  readonly range: string
  /** `tenant/namespace/range` */
  toString(): string
}

/** One start of one broker, as the registry shows it. */
export interface BrokerAddress {
  /** `host:port` of HTTP, Pulsar's broker id: the same after a restart. */
  readonly id: string
  /** Random, of one registration of one process: never the same again. A broker that lost its lease comes back as another one. */
  readonly instance: string
  readonly version: string
  readonly startedAtMs: number
  /** For clients that name no listener. */
  readonly urls: ListenerUrls
  /** By the name of a listener. */
  readonly listeners: ReadonlyMap<string, ListenerUrls>
  /** It takes no new bundles: it is going away, or an operator said so. */
  readonly isDraining: boolean
}

/** This broker's hold on a bundle. */
export interface BundleHold {
  readonly bundle: BundleName
  /** Grows with every change of who holds the bundle: the revision at which this broker took it. */
  readonly epoch: number
  /**
   * What every transaction compares that must not be made once the bundle is another's: opening a log (raising its epoch),
   * deleting a topic. Appends and cursors need it not: they stand on the epoch of the log, and on fencing. Undefined: this
   * broker is the only one there can be, and nothing is compared.
   */
  readonly guard: Compare | undefined
}

export type Placement =
  { readonly kind: 'here'; readonly hold: BundleHold } | { readonly kind: 'there'; readonly broker: BrokerAddress }

/** Why a bundle is where it is, or is not served: for people. */
export interface Explanation {
  readonly bundle: string
  readonly state: 'none' | 'owned' | 'handing over'
  readonly owner: string | undefined
  readonly next: string | undefined
  /** Of the present state. */
  readonly sinceMs: number | undefined
  readonly deadlineMs: number | undefined
  /** One line each, newest last: what was decided, by whom, why. */
  readonly reasons: readonly string[]
}

/** What the rest of a broker asks about ownership. Every method may be called at any time from the event loop. */
export interface Ownership {
  /** As it is registered now: the instance changes with every registration. */
  readonly self: BrokerAddress
  /** Brokers of the cluster that count as living, this one included; sorted by id. */
  brokers(): readonly BrokerAddress[]
  /** The broker that decides about balance; undefined: none at this moment. */
  leader(): BrokerAddress | undefined
  /** Bundles that this broker holds. */
  held(): readonly BundleName[]
  /** Everything that is known to be owned: bundle → broker. Pages of it are the caller's work. */
  owners(): ReadonlyMap<string, BrokerAddress>
  /** @throws NamespaceError NAMESPACE_NOT_FOUND */
  bundleOf(name: TopicName): Promise<BundleName>
  /** In order. @throws NamespaceError NAMESPACE_NOT_FOUND */
  bundlesOf(namespace: string): Promise<readonly BundleName[]>
  /** The hold, if this broker has it now and may act on it: nothing is asked of anyone. */
  holdOf(bundle: BundleName): BundleHold | undefined
  /** The owner as far as it is known here, without giving the bundle to anyone. */
  ownerOf(bundle: BundleName): BrokerAddress | undefined
  /**
   * Where the bundle is served; given to a broker if nobody has it. Held while it is moving, for at most `LOCATE_MS_MAX`, and
   * answered the moment there is an owner. `take`: whoever asks believes that this broker should have it (`authoritative`).
   * @throws BrokerError MetadataError: no owner in time, the metadata store is not reached; TooManyRequests: too many wait
   */
  locate(bundle: BundleName, options?: { take?: boolean }): Promise<Placement>
  /**
   * Moves a bundle away from this broker: to the broker named, else to the one that fits best, else (nobody else is there)
   * only its topics are closed. Resolves when the next owner serves it.
   * @throws BrokerError NotAllowedError: no such broker; MetadataError: this broker does not hold it, the store is not reached
   */
  unload(bundle: BundleName, options?: { to?: string }): Promise<void>
  /**
   * Divides a bundle that this broker holds at the boundaries given (ascending, strictly inside it): one transaction, both
   * halves stay here; with `unload` they move on. @throws BrokerError NotAllowedError for boundaries that do not fit
   */
  split(bundle: BundleName, boundaries: readonly number[], options?: { unload?: boolean }): Promise<void>
  /**
   * Makes one bundle of two neighbours that this broker holds both: one transaction, topics stay open.
   * @throws BrokerError NotAllowedError: `right` does not follow `left`; MetadataError: one of them is not held here or is
   * moving, the namespace was divided anew meanwhile, the store is not reached
   */
  merge(left: BundleName, right: BundleName): Promise<void>
  explain(bundle: BundleName): Promise<Explanation>
  /**
   * Hands everything over and leaves the registry: part of a graceful stop. Bounded by the caller. A second one does not wait for the
   * pace of the first.
   * @param options.unloadsPerSecond So many bundles begin to move each second; 0, or left out: as many as go. Where nobody could
   * take them, they close at once.
   */
  drain(options?: { unloadsPerSecond?: number }): Promise<void>
  close(): Promise<void>
}

/** What ownership asks of the topics of a broker. */
export interface BundleTopics {
  /** Names of loaded topics of the bundle: told to the next owner so that it can load them ahead. */
  loaded(bundle: BundleName): readonly TopicName[]
  /**
   * Closes all topics of a bundle: publishes in flight are answered or failed, pending acknowledgements persisted, logs
   * closed; then clients get CLOSE with the address of `next`, those that understand it. Never throws.
   */
  release(bundle: BundleName, next: BrokerAddress | undefined): Promise<void>
  /** The bundle is another's already: stops dispatching at once, writes nothing, sends clients to `next`. */
  drop(bundle: BundleName, next: BrokerAddress | undefined): Promise<void>
  /** The bundle was just taken: loads these, as many at a time as the settings allow. A failure is logged, no more. */
  preload(bundle: BundleName, names: readonly TopicName[]): void
  /**
   * True: no message is dispatched and no publication begins, until it is false again, and clients are sent away. Set when
   * this broker's lease is past its deadline and its peers can reach the metadata store.
   */
  suspend(isSuspended: boolean): void
}

/** How long a question is held while a bundle has no owner. */
export const LOCATE_MS_MAX = 20_000
