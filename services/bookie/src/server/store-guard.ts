import type { Clock, Logger } from '@strata/base'
import type { Bookie } from '../bookie-types.ts'
import { systemCode } from '../errors.ts'
import type { StoreStanding } from '../volume/store-signature.ts'

/** So long at most is what the node knows of the store behind what is in it. */
const SIGN_MS = 30_000

/**
 * Whether the node may serve by what the metadata store says. One that was set back, emptied or swapped tells of ledgers what
 * is not so any more: recovery by it would cut off what was acknowledged, and repair would copy from the wrong nodes. So the
 * node sets itself aside, and nobody but `strata fsck` uses it, until an operator accepts the store.
 */
export class StoreGuard {
  readonly #bookie: Pick<Bookie, 'signMetadata'>
  readonly #clock: Clock
  readonly #log: Logger
  #standing: StoreStanding = { kind: 'unclear' }
  #signedMs = -Infinity

  constructor(bookie: Pick<Bookie, 'signMetadata'>, { clock, logger }: { clock: Clock; logger: Logger }) {
    this.#bookie = bookie
    this.#clock = clock
    this.#log = logger
  }

  /** undefined: the node may serve. Asks now and then, and all the time while it may not. @throws MetadataError */
  async reasonToStayAside(): Promise<{ reason: string; signedCount: number } | undefined> {
    const isDue = this.#standing.kind !== 'trusted' || this.#clock.nowMs() - this.#signedMs >= SIGN_MS
    if (isDue) await this.look()
    return reasonOf(this.#standing)
  }

  /** Something happened to the store. @throws MetadataError */
  async look(): Promise<void> {
    const before = this.#standing.kind
    this.#signedMs = this.#clock.nowMs()
    this.#standing = await this.#sign()
    const { kind } = this.#standing
    if (kind === before || kind === 'unclear') return
    if (kind !== 'trusted') {
      const fields = { event: 'bookie.set_aside', ...this.#standing }
      this.#log.error(
        fields,
        'the metadata store is not the one that this node left: it is not used until that is put right'
      )
    } else if (before !== 'unclear') {
      this.#log.info(
        { event: 'bookie.store_accepted' },
        'an operator accepted the metadata store: the node is used again'
      )
    }
  }

  /** A disk that takes no signature, such as a full one, says nothing about the store. */
  async #sign(): Promise<StoreStanding> {
    try {
      return await this.#bookie.signMetadata()
    } catch (error) {
      if (!/^E[A-Z]+$/.test(systemCode(error)) || this.#standing.kind === 'unclear') throw error
      this.#log.warn(
        { event: 'bookie.signature_failed', err: error },
        'the disk takes no signature of the metadata store now'
      )
      return this.#standing
    }
  }
}

function reasonOf(standing: StoreStanding): { reason: string; signedCount: number } | undefined {
  switch (standing.kind) {
    case 'trusted':
      return undefined
    case 'foreign':
      return { reason: 'the metadata store names another cluster, or none: run strata fsck', signedCount: 0 }
    case 'set back': {
      const reason = 'the metadata store was set back to an older copy, or emptied: run strata fsck --accept-store'
      return { reason, signedCount: standing.signedCount }
    }
    case 'unclear':
      return { reason: 'the metadata store changes while it is looked at', signedCount: 0 }
  }
}
