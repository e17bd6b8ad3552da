import { HASH_MAX, hashOf } from '../ownership/bundle-name.ts'
import type { BundleName } from '../ownership/contract.ts'
import type { Topic } from './topic.ts'

interface Entry {
  readonly topic: Topic
  readonly hash: number
}

/** Topics in memory, by name and by bundle. Bundles are ranges: one that is divided or merged moves nothing here. */
export class LoadedTopics {
  readonly #byName = new Map<string, Entry>()
  readonly #byNamespace = new Map<string, Set<Entry>>()

  get size(): number {
    return this.#byName.size
  }

  get(key: string): Topic | undefined {
    return this.#byName.get(key)?.topic
  }

  *values(): IterableIterator<Topic> {
    for (const { topic } of this.#byName.values()) yield topic
  }

  add(topic: Topic): void {
    const entry = { topic, hash: hashOf(topic.name) }
    this.#byName.set(topic.fullName, entry)
    const { namespace } = topic.name
    const others = this.#byNamespace.get(namespace)
    if (others === undefined) this.#byNamespace.set(namespace, new Set([entry]))
    else others.add(entry)
  }

  /** False: it was not there, or another object is under its name. */
  remove(topic: Topic): boolean {
    const entry = this.#byName.get(topic.fullName)
    if (entry?.topic !== topic) return false
    this.#byName.delete(topic.fullName)
    const { namespace } = topic.name
    const others = this.#byNamespace.get(namespace)
    others?.delete(entry)
    if (others?.size === 0) this.#byNamespace.delete(namespace)
    return true
  }

  inNamespace(namespace: string): Topic[] {
    return [...(this.#byNamespace.get(namespace) ?? [])].map(({ topic }) => topic)
  }

  inBundle({ namespace, start, end }: BundleName): Topic[] {
    const inside: Topic[] = []
    for (const { topic, hash } of this.#byNamespace.get(namespace) ?? []) {
      if (hash >= start && (hash < end || end === HASH_MAX)) inside.push(topic)
    }
    return inside
  }
}
