import { reasonOf, type Logger } from '@strata/base'
import type { TopicName } from '../namespace/topic-name.ts'
import { isInBundle } from '../ownership/bundle-name.ts'
import type { BundleName } from '../ownership/contract.ts'

/** Topics that nobody finds any more and that are not closed yet: whoever wants one of them waits until it is. */
export class LeavingTopics {
  readonly #logger: Logger
  readonly #byName = new Map<string, { readonly name: TopicName; readonly done: Promise<void> }>()

  constructor(logger: Logger) {
    this.#logger = logger
  }

  has(name: TopicName): boolean {
    return this.#byName.has(name.toString())
  }

  /** Never rejects; undefined: it is not leaving. */
  of(name: TopicName): Promise<void> | undefined {
    return this.#byName.get(name.toString())?.done
  }

  async all(): Promise<void> {
    await Promise.all([...this.#byName.values()].map(({ done }) => done))
  }

  async ofBundle(bundle: BundleName): Promise<void> {
    const leaving = [...this.#byName.values()].filter(({ name }) => isInBundle(bundle, name))
    await Promise.all(leaving.map(({ done }) => done))
  }

  /** Resolves once it has left; never rejects. */
  add(name: TopicName, leaving: Promise<void>): Promise<void> {
    const key = name.toString()
    const done = leaving
      .catch((error: unknown) => {
        const reason = reasonOf(error)
        this.#logger.warn({ event: 'topic.close_failed', topic: key, reason }, 'a topic did not close cleanly')
      })
      .finally(() => {
        if (this.#byName.get(key)?.done === done) this.#byName.delete(key)
      })
    this.#byName.set(key, { name, done })
    return done
  }
}
