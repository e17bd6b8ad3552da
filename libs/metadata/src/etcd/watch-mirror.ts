import { compareKeys } from '../keys.ts'
import type { WatchEvent } from '../metadata-store.ts'
import type { KeyVersion } from './etcd-reader.ts'

export interface Difference {
  /** Keys that are new or have changed, by revision, one list a revision, in order. */
  readonly changed: readonly (readonly KeyVersion[])[]
  /** Keys that are gone, in the order of keys. */
  readonly deleted: readonly string[]
}

/**
 * What someone who got every event of a watch knows to be there: the keys and their versions. When the events in between
 * are compacted away, this alone can tell what was deleted. Pure.
 */
export class WatchMirror {
  readonly #versions: Map<string, number>

  constructor(keys: readonly KeyVersion[]) {
    this.#versions = new Map(keys.map(({ key, version }) => [key, version]))
  }

  apply(events: readonly WatchEvent[]): void {
    for (const { key, value, version } of events) {
      if (value === undefined) this.#versions.delete(key)
      else this.#versions.set(key, version)
    }
  }

  /** What leads from here to `keys`, the listing of a later revision. */
  differenceTo(keys: readonly KeyVersion[]): Difference {
    const byVersion = new Map<number, KeyVersion[]>()
    const listed = new Set<string>()
    for (const row of keys) {
      listed.add(row.key)
      if (this.#versions.get(row.key) === row.version) continue
      const others = byVersion.get(row.version)
      if (others === undefined) byVersion.set(row.version, [row])
      else others.push(row)
    }
    const changed = [...byVersion].sort(([a], [b]) => a - b).map(([, rows]) => rows)
    const deleted = [...this.#versions.keys()].filter(key => !listed.has(key)).sort(compareKeys)
    return { changed, deleted }
  }
}
