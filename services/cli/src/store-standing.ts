import { readClusterName } from '@strata/broker'
import type { Logger } from '@strata/base'
import { AVAILABLE_BOOKIES_PREFIX, bookieIdOfKey, decodeAvailableBookie, WatchedRows } from '@strata/ledger-client'
import { decodeStoreHold, FeatureGate, STORE_HOLD_KEY, type MetadataStore } from '@strata/metadata'
import { CommandFailure, EXIT } from './failure.ts'

/**
 * Whether a process without a disk may act on a metadata store: by what is said in it. Not while the store is held (it is being
 * filled, or was restored), and not while a storage node set itself aside since the store is older than what its disk has seen:
 * a ledger's record from before would name nodes that never got its last entries.
 */
export class StoreStanding {
  /** Resolves with one line when nobody may act on the store any more: the process ends. Never otherwise. */
  readonly over: Promise<Error>
  readonly #closing: (() => void)[] = []
  readonly #url: string
  #end: (error: Error) => void = () => undefined
  #found: Error | undefined

  private constructor(url: string) {
    this.#url = url
    this.over = new Promise(resolve => (this.#end = resolve))
  }

  /**
   * @throws CommandFailure: the store is held, a node set itself aside, or the metadata is another cluster's; MetadataError, also
   *   LEVEL_UNKNOWN
   */
  static async open(
    metadata: MetadataStore,
    { url, clusterName, logger }: { url: string; clusterName: string; logger: Logger }
  ): Promise<StoreStanding> {
    const named = await readClusterName(metadata)
    if (named !== undefined && named !== clusterName) {
      const line = `the metadata at ${url} is of cluster ${named}, not ${clusterName}: change clusterName or metadataStoreUrl`
      throw new CommandFailure(line, { exitCode: EXIT.settings })
    }
    const standing = new StoreStanding(url)
    try {
      const gate = await FeatureGate.open(metadata, { logger })
      standing.#closing.push(() => gate.close())
      await standing.#watch(metadata, STORE_HOLD_KEY, (_, value) => standing.#held(value))
      await standing.#watch(metadata, AVAILABLE_BOOKIES_PREFIX, (key, value) => standing.#bookie(key, value))
      if (standing.#found !== undefined) throw standing.#found
      return standing
    } catch (error) {
      standing.close()
      throw error
    }
  }

  /** The driver found out by itself. */
  replaced(reason: string): void {
    this.#over(`the metadata store at ${this.#url} is not the one it was (${reason}): start this process anew`)
  }

  close(): void {
    for (const close of this.#closing.splice(0)) close()
  }

  async #watch(
    metadata: MetadataStore,
    prefix: string,
    onRow: (key: string, value: Uint8Array | undefined) => void
  ): Promise<void> {
    const rows = await WatchedRows.open(metadata, prefix, onRow)
    this.#closing.push(() => rows.close())
  }

  #held(value: Uint8Array | undefined): void {
    if (value === undefined) return
    const { kind, reason } = decodeStoreHold(value)
    const advice = kind === 'filling' ? 'run that to its end' : 'run strata fsck --accept-store'
    this.#over(`nobody may act on the metadata at ${this.#url} yet, since ${reason}: ${advice}`)
  }

  #bookie(key: string, value: Uint8Array | undefined): void {
    const id = bookieIdOfKey(key)
    if (id === undefined || value === undefined) return
    const { state, signedCount = 0 } = decodeAvailableBookie(id, value)
    // one that has signed nothing yet, or cannot tell for a moment, says nothing of the store
    if (state !== 'set-aside' || signedCount === 0) return
    const why = 'this metadata store is not the one that it left'
    this.#over(`storage node ${id} set itself aside, since ${why}: run strata fsck --accept-store`)
  }

  #over(line: string): void {
    this.#found ??= new CommandFailure(line)
    this.#end(this.#found)
  }
}
