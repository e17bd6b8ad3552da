import type { MetadataView } from '@strata/wire'
import type { MessageId } from './message-id.ts'

interface Partial {
  readonly chunkCount: number
  readonly chunks: Buffer[]
  readonly ids: MessageId[]
}

export interface Assembled {
  readonly payload: Buffer
  readonly ids: readonly MessageId[]
}

/** Puts chunked messages together again. Holds a bounded number of unfinished ones; the oldest goes first. */
export class ChunkAssembler {
  readonly #pendingMax: number
  readonly #partials = new Map<string, Partial>()

  constructor(pendingMax: number) {
    this.#pendingMax = pendingMax
  }

  /**
   * Takes a chunk. Returns the message if it was the last one, 'more' if others are to come, and the ids that are to
   * be acknowledged or forgotten if it makes no sense.
   */
  add(
    view: MetadataView,
    buffer: Buffer,
    id: MessageId
  ): Assembled | 'more' | { readonly dropped: readonly MessageId[] } {
    const uuid = buffer.toString('utf8', view.uuidStart, view.uuidEnd)
    const payload = buffer.subarray(view.payloadStart, view.payloadEnd)
    if (view.chunkId === 0) this.#partials.set(uuid, { chunkCount: view.chunkCount, chunks: [], ids: [] })
    const partial = this.#partials.get(uuid)
    if (partial === undefined) return { dropped: [id] }
    if (view.chunkId < partial.chunks.length) return { dropped: [] } // it came before
    if (view.chunkId !== partial.chunks.length) {
      this.#partials.delete(uuid)
      return { dropped: [...partial.ids, id] }
    }
    partial.chunks.push(payload)
    partial.ids.push(id)
    if (partial.chunks.length < partial.chunkCount) return this.#dropOldest()
    this.#partials.delete(uuid)
    return { payload: Buffer.concat(partial.chunks), ids: partial.ids }
  }

  #dropOldest(): 'more' | { readonly dropped: readonly MessageId[] } {
    if (this.#partials.size <= this.#pendingMax) return 'more'
    const [oldest] = this.#partials
    if (oldest === undefined) return 'more'
    this.#partials.delete(oldest[0])
    return { dropped: oldest[1].ids }
  }

  clear(): void {
    this.#partials.clear()
  }
}
