import type { BrokerAddress } from './contract.ts'
import type { PeerAnswer } from './events.ts'

/** How a broker sees others beside the metadata store. */
export interface PeerDoor {
  /**
   * Keeps a connection to a peer. `onDown`: it broke, or never stood, and new ones are refused; a time-out is no refusal.
   * `onUp`: it stands again. The returned function ends it.
   */
  watch(peer: BrokerAddress, listener: PeerListener): () => void
  /** Does it reach the metadata store? Bounded in time, never rejects. */
  ask(peer: BrokerAddress): Promise<PeerAnswer>
}

export interface PeerListener {
  onDown(): void
  onUp(): void
}

/** With more brokers than this, each watches only a few. */
const ALL_WATCH_ALL_MAX = 8
const WATCHED_OF_MANY = 3

/** Whom a broker watches: everyone, or the next ones in a ring by id. @param brokers sorted by id */
export function watchedBy(instance: string, brokers: readonly BrokerAddress[]): readonly BrokerAddress[] {
  const others = brokers.filter(broker => broker.instance !== instance)
  if (brokers.length <= ALL_WATCH_ALL_MAX) return others
  const at = brokers.findIndex(broker => broker.instance === instance)
  return Array.from({ length: WATCHED_OF_MANY }, (_, i) => brokers[(at + 1 + i) % brokers.length]).filter(
    broker => broker !== undefined
  )
}

/** Keeps a connection to every peer that this broker is to watch. */
export class PeerWatch {
  readonly #door: PeerDoor
  readonly #tell: (instance: string, isDown: boolean) => void
  readonly #watched = new Map<string, () => void>()

  constructor(door: PeerDoor, tell: (instance: string, isDown: boolean) => void) {
    this.#door = door
    this.#tell = tell
  }

  update(instance: string, brokers: readonly BrokerAddress[]): void {
    const wanted = new Map(watchedBy(instance, brokers).map(peer => [peer.instance, peer]))
    for (const [name, end] of this.#watched) {
      if (wanted.has(name)) continue
      end()
      this.#watched.delete(name)
    }
    for (const [name, peer] of wanted) {
      if (this.#watched.has(name)) continue
      const end = this.#door.watch(peer, {
        onDown: () => this.#tell(name, true),
        onUp: () => this.#tell(name, false)
      })
      this.#watched.set(name, end)
    }
  }

  close(): void {
    for (const end of this.#watched.values()) end()
    this.#watched.clear()
  }
}
