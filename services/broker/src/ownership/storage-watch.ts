import { reasonOf, type Clock, type Logger } from '@strata/base'
import type { BrokerAddress } from './contract.ts'
import type { PeerAnswer } from './events.ts'
import { StorageReach, type StorageCounts } from './storage-reach.ts'

/** How a broker, and its peers, learn whether it reaches the storage nodes. */
export interface StorageDoor {
  /** Do as many nodes answer, now, as must have an entry before it is acknowledged? Bounded in time, never rejects. */
  reaches(): Promise<boolean>
  /** Does that peer? Bounded in time, never rejects. */
  ask(peer: BrokerAddress): Promise<PeerAnswer>
}

interface StorageWatchOptions {
  readonly clock: Clock
  readonly logger: Logger
  readonly door: StorageDoor
  /** Nothing was stored for so long: bundles go to brokers that reach storage. */
  readonly giveUpMs: number
  readonly counts: () => StorageCounts
  readonly ownership: {
    readonly self: BrokerAddress
    brokers(): readonly BrokerAddress[]
    giveUp(): Promise<void>
    setDraining(isDraining: boolean): Promise<void>
  }
}

const LOOK_MS = 500

/** Carries out what `StorageReach` decides: one look after the other. */
export class StorageWatch {
  readonly #options: StorageWatchOptions
  readonly #reach: StorageReach
  #cancel: () => void = () => undefined
  #isClosed = false

  constructor(options: StorageWatchOptions) {
    this.#options = options
    this.#reach = new StorageReach(options)
  }

  /** It serves nothing because of that. */
  get hasGivenUp(): boolean {
    return this.#reach.hasGivenUp
  }

  start(): void {
    if (this.#isClosed) return
    this.#cancel = this.#options.clock.after(LOOK_MS, () => {
      void this.#look().finally(() => this.start())
    })
  }

  close(): void {
    this.#isClosed = true
    this.#cancel()
  }

  /** Never rejects. */
  async #look(): Promise<void> {
    const { clock, counts, door, ownership } = this.#options
    if (this.#reach.onLook(counts(), clock.nowMs()) === 'none') return
    const reaches = await door.reaches()
    if (!this.#mayAct()) return
    const step = this.#reach.onProbed(reaches, clock.nowMs())
    if (step === 'return') await this.#return()
    if (step !== 'ask-peers') return
    const peers = ownership.brokers().filter(({ instance }) => instance !== ownership.self.instance)
    const answers = await Promise.all(peers.map(peer => door.ask(peer)))
    if (this.#mayAct() && this.#reach.onPeers(answers) === 'give-up') await this.#giveUp()
  }

  #mayAct(): boolean {
    return !this.#isClosed
  }

  async #giveUp(): Promise<void> {
    const { logger, ownership } = this.#options
    logger.error(
      { event: 'broker.storage_lost' },
      'storage is out of reach, and not for other brokers: bundles go to them'
    )
    await ownership.giveUp().catch((error: unknown) => this.#warn(error))
  }

  async #return(): Promise<void> {
    const { logger, ownership } = this.#options
    logger.info({ event: 'broker.storage_back' }, 'storage is in reach again')
    await ownership.setDraining(false).catch((error: unknown) => this.#warn(error))
  }

  #warn(error: unknown): void {
    const fields = { event: 'broker.storage_untold', reason: reasonOf(error) }
    this.#options.logger.warn(fields, 'the cluster could not be told of the storage nodes that are out of reach')
  }
}
