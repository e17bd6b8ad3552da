import type { TopicName } from '../namespace/topic-name.ts'

/** Topics by their full names, or all of a namespace by `tenant/namespace/*`. */
export class PinnedTopics {
  /** As it was written, so that it is read anew only when that changes. */
  readonly text: string
  readonly #names = new Set<string>()
  readonly #namespaces = new Set<string>()

  constructor(text: string) {
    this.text = text
    for (const part of text.split(',')) {
      const name = part.trim()
      if (name.endsWith('/*')) this.#namespaces.add(name.slice(0, -2).replace(/^[\w-]+:\/\//, ''))
      else if (name !== '') this.#names.add(name.includes('://') ? name : `persistent://${name}`)
    }
  }

  /** A partitioned topic that is pinned pins its partitions. */
  has(name: TopicName): boolean {
    if (this.#names.size === 0 && this.#namespaces.size === 0) return false
    return (
      this.#names.has(name.toString()) ||
      (name.isPartition && this.#names.has(name.base.toString())) ||
      this.#namespaces.has(name.namespace)
    )
  }
}
