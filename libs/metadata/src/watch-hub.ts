import type { Watch, WatchEvent, WatchListener } from './metadata-store.ts'

/**
 * Hands committed changes to those who watch, one batch a revision, in the order they are published. A watch sees what
 * is published after it was added (M3). A listener that throws is a bug: it ends the process, not the commit.
 */
export class WatchHub {
  readonly #watches = new Set<{ readonly prefix: string; readonly listener: WatchListener }>()

  add(prefix: string, listener: WatchListener): Watch {
    const watch = { prefix, listener }
    this.#watches.add(watch)
    return { close: () => void this.#watches.delete(watch) }
  }

  /** All changes of one revision. */
  publish(events: readonly WatchEvent[]): void {
    for (const watch of [...this.#watches]) {
      const wanted = events.filter(event => event.key.startsWith(watch.prefix))
      if (wanted.length > 0 && this.#watches.has(watch)) deliver(watch.listener, wanted)
    }
  }

  close(): void {
    this.#watches.clear()
  }
}

/** A listener that throws is a bug: it ends the process, and nothing else here. */
export function deliver(listener: WatchListener, events: readonly WatchEvent[]): void {
  try {
    listener(events)
  } catch (error) {
    process.nextTick(() => {
      throw error
    })
  }
}
