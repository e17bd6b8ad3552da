import type { Clock } from '@strata/base'
import type { TopicName } from '../namespace/topic-name.ts'
import type { TopicRegistry } from './topic-registry.ts'

/** For a deletion that another broker carries through; one that is not ended because that broker went away ends by itself. */
const BLOCK_MS = 60_000

/** Topics that nobody may begin to use here because another broker asked for it. */
export class TimedBlocks {
  readonly #clock: Clock
  readonly #topics: Pick<TopicRegistry, 'block' | 'unload'>
  readonly #ends = new Map<string, () => void>()

  constructor(options: { clock: Clock; topics: Pick<TopicRegistry, 'block' | 'unload'> }) {
    this.#clock = options.clock
    this.#topics = options.topics
  }

  /** Asked for again, it begins anew. @throws NamespaceError NOT_EMPTY, BEING_DELETED */
  async begin(name: TopicName, options: { force: boolean }): Promise<void> {
    const key = name.toString()
    this.end(name)
    const unblock = this.#topics.block([name], options)
    const cancel = this.#clock.after(BLOCK_MS, () => {
      this.end(name)
    })
    this.#ends.set(key, () => {
      cancel()
      unblock()
    })
    await this.#topics.unload(name)
  }

  end(name: TopicName): void {
    const key = name.toString()
    const end = this.#ends.get(key)
    this.#ends.delete(key)
    end?.()
  }

  close(): void {
    for (const end of this.#ends.values()) end()
    this.#ends.clear()
  }
}
