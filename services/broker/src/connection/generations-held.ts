import type { TopicName } from '../namespace/topic-name.ts'

interface Held {
  readonly topic: string
  readonly generation: string
}

/**
 * Which generation of its topic each producer (or each consumer) of a connection has, or had when the broker sent it away.
 * The protocol does not carry it; but clients keep the id of a producer or consumer for as long as that object lives, and
 * come back on the connection that they have. Until the client closes it, an id means the same object.
 */
export class GenerationsHeld {
  readonly #countMax: number
  readonly #byId = new Map<number, Held>()

  /** `countMax`: more are not remembered, the oldest go first. */
  constructor(countMax: number) {
    this.#countMax = countMax
  }

  note(id: number, name: TopicName, generation: string): void {
    this.#byId.delete(id)
    this.#byId.set(id, { topic: name.toString(), generation })
    for (const oldest of this.#byId.keys()) {
      if (this.#byId.size <= this.#countMax) break
      this.#byId.delete(oldest)
    }
  }

  /** undefined: this connection knows of none. */
  of(id: number, name: TopicName): { readonly generation: string } | undefined {
    const held = this.#byId.get(id)
    return held?.topic === name.toString() ? held : undefined
  }

  forget(id: number): void {
    this.#byId.delete(id)
  }
}
