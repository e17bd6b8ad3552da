import { strict as assert } from 'node:assert'
import type { Clock } from '@strata/base'
import { transactUntilAnswered, type Compare, type MetadataRecord, type MetadataStore } from '@strata/metadata'
import { brokerError } from '../errors.ts'
import { namespaceError } from '../namespace/errors.ts'
import { keys } from '../namespace/rows.ts'
import type { TopicName } from '../namespace/topic-name.ts'
import { bundleOfHash, bundlesBetween, evenBoundaries, HASH_MAX, hashOf } from './bundle-name.ts'
import type { BundleName } from './contract.ts'
import { decodeBoundaries, decodeBundleCount, encodeBoundaries, ownershipKeys } from './rows.ts'

/** How a namespace is divided at present. */
export interface Division {
  readonly bundles: readonly BundleName[]
  /** The rows it follows from: a transaction that compares them is made under this division. */
  readonly compares: readonly [namespace: Compare, bundles: Compare]
}

/** What a split or a merge writes, and what it compares. */
export interface DivisionChange {
  readonly compares: readonly Compare[]
  readonly change: { readonly kind: 'put'; readonly key: string; readonly value: Uint8Array }
  readonly parts: readonly BundleName[]
}

/** Of a namespace whose row names no number. */
export const BUNDLES_DEFAULT = 4
const NAMESPACES_CACHED_MAX = 10_000
const BUNDLES_MAX = 4096

/**
 * How namespaces are divided, remembered until a watch says that it changed. A division that was read while a change of it
 * was told is not remembered.
 */
export class Bundles {
  readonly #store: MetadataStore
  readonly #known = new Map<string, Division>()
  readonly #reading = new Map<string, { isStale: boolean; readonly division: Promise<Division> }>()
  readonly #watches: { close(): void }[] = []

  private constructor(store: MetadataStore) {
    this.#store = store
  }

  /** @param onChange a namespace was divided anew, made or removed @throws MetadataError */
  static async open(store: MetadataStore, onChange: (namespace: string) => void = () => undefined): Promise<Bundles> {
    const bundles = new Bundles(store)
    for (const prefix of ['namespaces/', ownershipKeys.bundles]) {
      const watch = await store.watch(prefix, events => {
        for (const { key } of events) {
          const namespace = key.slice(prefix.length)
          bundles.forget(namespace)
          onChange(namespace)
        }
      })
      bundles.#watches.push(watch)
    }
    return bundles
  }

  /** @throws NamespaceError NAMESPACE_NOT_FOUND; MetadataError UNAVAILABLE */
  async of(namespace: string): Promise<Division> {
    const known = this.#known.get(namespace)
    if (known !== undefined) return known
    const reading = this.#reading.get(namespace)
    if (reading?.isStale === false) return reading.division
    const fresh = { isStale: false, division: this.#read(namespace) }
    this.#reading.set(namespace, fresh)
    try {
      const division = await fresh.division
      if (!fresh.isStale) this.#remember(namespace, division)
      return division
    } finally {
      if (this.#reading.get(namespace) === fresh) this.#reading.delete(namespace)
    }
  }

  /** @throws NamespaceError NAMESPACE_NOT_FOUND; MetadataError UNAVAILABLE */
  async bundleOf(name: TopicName): Promise<BundleName> {
    const { bundles } = this.#known.get(name.namespace) ?? (await this.of(name.namespace))
    return bundleOfHash(bundles, hashOf(name))
  }

  /** @throws BrokerError NotAllowedError: there is no such bundle, or the boundaries are not ascending inside it */
  async splitOf(bundle: BundleName, boundaries: readonly number[]): Promise<DivisionChange> {
    const { bundles, compares } = await this.of(bundle.namespace)
    const at = requiredIndex(bundles, bundle)
    const edges = [bundle.start, ...boundaries, bundle.end]
    if (boundaries.length === 0 || edges.some((edge, index) => index > 0 && edge <= (edges[index - 1] ?? 0))) {
      throw brokerError('NotAllowedError', 'boundaries must be ascending, strictly inside the bundle')
    }
    if (bundles.length + boundaries.length > BUNDLES_MAX) {
      throw brokerError('NotAllowedError', `a namespace is divided into ${BUNDLES_MAX} bundles at most`)
    }
    const starts = bundles.map(({ start }) => start)
    const all = [...starts.slice(0, at), ...edges.slice(0, -1), ...starts.slice(at + 1), HASH_MAX]
    return changeOf(bundle.namespace, { compares, all, edges })
  }

  /** @throws BrokerError NotAllowedError: they are not two bundles of the namespace, side by side in this order */
  async mergeOf(left: BundleName, right: BundleName): Promise<DivisionChange> {
    const { bundles, compares } = await this.of(left.namespace)
    const at = requiredIndex(bundles, left)
    if (bundles[at + 1]?.toString() !== right.toString()) {
      throw brokerError('NotAllowedError', `${right.toString()} does not follow ${left.toString()}`)
    }
    const all = [...bundles.filter((_, index) => index !== at + 1).map(({ start }) => start), HASH_MAX]
    return changeOf(left.namespace, { compares, all, edges: [left.start, right.end] })
  }

  /** Writes it, where nobody owns bundles by rows. @throws BrokerError MetadataError: someone was faster */
  async write(namespace: string, { compares, change }: DivisionChange, clock: Clock): Promise<void> {
    const result = await transactUntilAnswered(this.#store, { compares, changes: [change] }, { clock })
    this.forget(namespace)
    if (!result.committed) throw brokerError('MetadataError', 'the namespace was divided anew meanwhile')
  }

  /** It is read again when it is asked for next. */
  forget(namespace: string): void {
    this.#known.delete(namespace)
    const reading = this.#reading.get(namespace)
    if (reading !== undefined) reading.isStale = true
  }

  close(): void {
    for (const watch of this.#watches.splice(0)) watch.close()
  }

  async #read(namespace: string): Promise<Division> {
    const namespaceKey = keys.namespace(namespace)
    const bundlesKey = ownershipKeys.bundlesOf(namespace)
    for (;;) {
      const row = await this.#store.get(namespaceKey)
      if (row === undefined) throw namespaceError('NAMESPACE_NOT_FOUND', 'Namespace does not exist')
      const divided = await this.#store.get(bundlesKey)
      const again = await this.#store.get(namespaceKey)
      // both as of one moment: a namespace may be removed and made anew in between
      if (again?.version === row.version) return divisionOf(namespace, row, divided)
    }
  }

  #remember(namespace: string, division: Division): void {
    const oldest = this.#known.keys().next().value
    if (this.#known.size >= NAMESPACES_CACHED_MAX && oldest !== undefined) this.#known.delete(oldest)
    this.#known.set(namespace, division)
  }
}

/** @throws BrokerError NotAllowedError */
function requiredIndex(bundles: readonly BundleName[], bundle: BundleName): number {
  const at = bundles.findIndex(({ range }) => range === bundle.range)
  if (at === -1) throw brokerError('NotAllowedError', `there is no bundle ${bundle.toString()} any more`)
  return at
}

/** @param division `all`: boundaries of the namespace afterwards; `edges`: those of the new bundles */
function changeOf(
  namespace: string,
  division: { compares: readonly Compare[]; all: readonly number[]; edges: readonly number[] }
): DivisionChange {
  return {
    compares: division.compares,
    change: { kind: 'put', key: ownershipKeys.bundlesOf(namespace), value: encodeBoundaries(division.all) },
    parts: bundlesBetween(namespace, division.edges)
  }
}

function divisionOf(namespace: string, row: MetadataRecord, divided: MetadataRecord | undefined): Division {
  const boundaries =
    divided === undefined ? evenBoundaries(decodeBundleCount(row) ?? BUNDLES_DEFAULT) : decodeBoundaries(divided)
  assert(boundaries.length >= 2, 'a namespace has a bundle')
  return {
    bundles: bundlesBetween(namespace, boundaries),
    compares: [
      { key: row.key, version: row.version },
      { key: ownershipKeys.bundlesOf(namespace), version: divided?.version ?? 0 }
    ]
  }
}
