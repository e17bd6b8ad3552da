import { reasonOf, type Logger } from '@strata/base'
import type { MetadataStore, Watch, WatchEvent } from '@strata/metadata'
import { isBrokerError } from '../errors.ts'
import { scanAll } from '../namespace/rows.ts'
import type { OwnershipEvent } from './events.ts'
import { decodeBroker, decodeOwner, ownershipKeys } from './rows.ts'

interface Told {
  readonly key: string
  readonly value: Uint8Array | undefined
  readonly version: number
}

/**
 * Everything that is stored about brokers, owners and suspicions, first as it is and then as it changes, in the order of each
 * kind. What is told by a watch while the first listing is made stands behind it.
 */
export class OwnershipWatch {
  readonly #store: MetadataStore
  readonly #logger: Logger
  readonly #tell: (event: OwnershipEvent) => void
  readonly #watches: Watch[] = []

  constructor(options: { store: MetadataStore; logger: Logger; tell: (event: OwnershipEvent) => void }) {
    this.#store = options.store
    this.#logger = options.logger
    this.#tell = options.tell
  }

  /** @throws MetadataError; nothing is watched then */
  async open(): Promise<void> {
    try {
      await this.#follow(ownershipKeys.brokers)
      await this.#follow(ownershipKeys.suspicions)
      await this.#follow(ownershipKeys.owners)
    } catch (error) {
      this.close()
      throw error
    }
  }

  close(): void {
    for (const watch of this.#watches.splice(0)) watch.close()
  }

  async #follow(prefix: string): Promise<void> {
    let held: WatchEvent[] | undefined = []
    const watch = await this.#store.watch(prefix, events => {
      if (held !== undefined) held.push(...events)
      else for (const event of events) this.#onChange(event)
    })
    this.#watches.push(watch)
    for await (const record of scanAll(this.#store, prefix)) this.#onChange(record)
    const late = held
    held = undefined
    for (const event of late) this.#onChange(event)
  }

  #onChange(told: Told): void {
    const event = eventOf(told, { source: 'watch', logger: this.#logger })
    if (event !== undefined) this.#tell(event)
  }
}

/** Undefined for a row that this version cannot read: it is logged, and left to those that wrote it. */
export function eventOf(
  { key, value, version }: Told,
  options: { source: 'watch' | 'answer'; logger: Logger }
): OwnershipEvent | undefined {
  const { source, logger } = options
  try {
    if (key.startsWith(ownershipKeys.brokers)) {
      const instance = key.slice(ownershipKeys.brokers.length)
      const broker = value === undefined ? undefined : decodeBroker(instance, { key, value })
      return { kind: 'broker', instance, broker, version, source }
    }
    if (key.startsWith(ownershipKeys.owners)) {
      const bundle = key.slice(ownershipKeys.owners.length)
      const row = value === undefined ? undefined : decodeOwner({ key, value })
      return { kind: 'row', bundle, row, version, source }
    }
    if (!key.startsWith(ownershipKeys.suspicions)) return undefined
    const [instance = '', by = ''] = key.slice(ownershipKeys.suspicions.length).split('/')
    return { kind: 'suspicion', instance, by, version: value === undefined ? 0 : version }
  } catch (error) {
    if (!isBrokerError(error)) throw error
    logger.error({ event: 'ownership.row_unreadable', key, reason: reasonOf(error) }, 'a row cannot be read')
    return undefined
  }
}
