import type { EntryInfo } from './entry-info.ts'
import type { Member } from './member.ts'

/** Chunked messages that are on their way to a consumer. Past it the oldest loses its tie, not its data. */
const CHUNKED_MESSAGES_MAX = 1000

/** Which consumer has begun which chunked message. */
export class ChunkTies {
  readonly #owners = new Map<string, Member>()

  /** Who must get this chunk; undefined: it begins a message, is no chunk, or its beginning is not known. */
  ownerOf(info: EntryInfo): Member | undefined {
    return info.chunkId > 0 ? this.#owners.get(info.uuid) : undefined
  }

  /** The chunk goes to the member. */
  tie(member: Member, info: EntryInfo): void {
    if (info.chunkId === info.chunks - 1) {
      this.#owners.delete(info.uuid)
      return
    }
    if (this.#owners.size >= CHUNKED_MESSAGES_MAX && !this.#owners.has(info.uuid)) {
      for (const oldest of this.#owners.keys()) {
        this.#owners.delete(oldest)
        break
      }
    }
    this.#owners.set(info.uuid, member)
  }

  forget(member: Member): void {
    for (const [uuid, owner] of this.#owners) if (owner === member) this.#owners.delete(uuid)
  }

  clear(): void {
    this.#owners.clear()
  }
}
