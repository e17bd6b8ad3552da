import { reasonOf, type Clock, type Logger } from '@strata/base'
import {
  MetadataError,
  transactUntilAnswered,
  type Change,
  type Compare,
  type Lease,
  type MetadataStore
} from '@strata/metadata'
import { isNamespaceError } from '../namespace/errors.ts'
import type { Bundles } from './bundles.ts'
import type { BundleName } from './contract.ts'
import type { Outcome, OwnershipEffect, OwnershipEvent, RowChange } from './events.ts'
import { eventOf } from './ownership-watch.ts'
import { encodeOwner, encodeSuspicion, ownershipKeys } from './rows.ts'

type Transact = Extract<OwnershipEffect, { kind: 'transact' }>

/** Of one broker at a time: a broker that died may leave thousands of bundles. */
const UNDER_WAY_MAX = 64
const PATIENCE_MS = 2_000
/** The names are a hint, and a row is small. */
const NAMES_MAX = 300
const NAMES_BYTES_MAX = 24 * 1024

interface TransactionDoors {
  readonly store: MetadataStore
  readonly clock: Clock
  readonly logger: Logger
  readonly bundles: Bundles
  readonly registration: { readonly instance: () => string; readonly lease: () => Lease | undefined }
  /** Topics of a bundle that were loaded when its hand-over began. */
  readonly loadedTopics: (bundle: BundleName) => readonly string[]
  readonly tell: (event: OwnershipEvent) => void
}

/** Carries out what the machine wants to be written, and tells it what came of it. */
export class Transactions {
  readonly #doors: TransactionDoors
  readonly #queue: Transact[] = []
  #underWay = 0

  constructor(doors: TransactionDoors) {
    this.#doors = doors
  }

  submit(transact: Transact): void {
    this.#queue.push(transact)
    this.#pump()
  }

  #pump(): void {
    while (this.#underWay < UNDER_WAY_MAX) {
      const transact = this.#queue.shift()
      if (transact === undefined) return
      this.#underWay++
      void this.#run(transact)
    }
  }

  /** Rejects for a bug only, which ends the process. */
  async #run(transact: Transact): Promise<void> {
    const outcome = await this.#outcomeOf(transact)
    this.#underWay--
    this.#doors.tell({ kind: 'transacted', id: transact.id, outcome })
    this.#pump()
  }

  async #outcomeOf({ compares, changes, within }: Transact): Promise<Outcome> {
    const { bundles, logger, registration } = this.#doors
    try {
      const division = within === undefined ? undefined : await bundles.of(within.namespace)
      if (within !== undefined && division?.bundles.some(({ range }) => range === within.range) !== true) {
        bundles.forget(within.namespace) // should it be older than the row that it is held against
        return { kind: 'obsolete' }
      }
      const lease = registration.lease()
      if (lease === undefined) return { kind: 'failed' }
      const all = [...compares, ...(division?.compares ?? [])]
      return await this.#commit(all, { changes: changes.map(change => this.#encode(change, lease)), within })
    } catch (error) {
      if (isNamespaceError(error, 'NAMESPACE_NOT_FOUND')) return { kind: 'obsolete' }
      if (!MetadataError.is(error)) throw error
      logger.debug({ event: 'ownership.write_failed', reason: reasonOf(error) }, 'a row was not written')
      return { kind: 'failed' }
    }
  }

  async #commit(
    compares: readonly Compare[],
    { changes, within }: { changes: readonly Change[]; within: BundleName | undefined }
  ): Promise<Outcome> {
    const { store, clock, logger, bundles, tell } = this.#doors
    const result = await transactUntilAnswered(store, { compares, changes }, { clock, patienceMs: PATIENCE_MS })
    if (result.committed) return { kind: 'committed', revision: result.revision }
    for (const { key, current } of result.conflicts) {
      const event = current === undefined ? undefined : eventOf(current, { source: 'answer', logger })
      if (event !== undefined) tell(event)
      else if (within !== undefined && isDivision(key, within)) bundles.forget(within.namespace)
    }
    return { kind: 'conflict' }
  }

  #encode(change: RowChange, lease: Lease): Change {
    const { clock, loadedTopics, registration } = this.#doors
    switch (change.kind) {
      case 'own': {
        const { bundle, row, namesTopics } = change
        const names = namesTopics ? bounded(loadedTopics(bundle)) : []
        const value = encodeOwner({ ...row, loadedTopics: names })
        return { kind: 'put', key: ownershipKeys.owner(bundle.toString()), value, lease }
      }
      case 'suspect': {
        const key = ownershipKeys.suspicion(change.instance, registration.instance())
        const value = encodeSuspicion('its connection broke, and its port refuses', clock.wallMs())
        return { kind: 'put', key, value, lease }
      }
      default:
        return change
    }
  }
}

function isDivision(key: string, { namespace }: BundleName): boolean {
  return key === ownershipKeys.bundlesOf(namespace) || key === `namespaces/${namespace}`
}

function bounded(names: readonly string[]): string[] {
  const some: string[] = []
  let bytes = 0
  for (const name of names.slice(0, NAMES_MAX)) {
    bytes += Buffer.byteLength(name)
    if (bytes > NAMES_BYTES_MAX) break
    some.push(name)
  }
  return some
}
