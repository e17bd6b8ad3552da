import type { Entry } from '@strata/managed-ledger'
import { MetadataView, readMessageMetadata, stickyKeyHash, wireErrors } from '@strata/wire'

/** What dispatch needs to know of an entry. One object is reused for all entries: read it at once. */
export interface EntryInfo {
  /** Messages in the batch, 1 for what is no batch. */
  messages: number
  publishTimeMs: number
  /** 1..65535; 0 when it was not asked for. */
  hash: number
  /** -1: the message is not chunked. */
  chunkId: number
  chunks: number
  /** '' unless chunked. */
  uuid: string
}

/**
 * Reads the metadata of entries. Bytes that make no sense read as one message without a key: what was stored was checked
 * when it came in, and a message must not be lost for a field that cannot be read.
 */
export class EntryReader {
  readonly info: EntryInfo = { messages: 1, publishTimeMs: 0, hash: 0, chunkId: -1, chunks: 0, uuid: '' }
  readonly #view = new MetadataView()

  read(entry: Entry, withHash: boolean): EntryInfo {
    const { payload } = entry
    try {
      readMessageMetadata(payload, 0, payload.length, this.#view)
    } catch (error) {
      if (!wireErrors.is(error)) throw error
      return this.#setUnreadable(withHash)
    } finally {
      // A payload is a slice of a whole read: it must not outlive its turn here, in every subscription.
      this.#view.reader.close()
    }
    const { info } = this
    const view = this.#view
    info.messages = Math.max(view.numMessages, 1)
    info.publishTimeMs = view.publishTimeMs
    info.chunkId = view.chunkId
    info.chunks = view.chunkCount
    info.uuid = view.chunkId >= 0 && view.uuidStart >= 0 ? payload.toString('latin1', view.uuidStart, view.uuidEnd) : ''
    info.hash = withHash ? stickyKeyHash(payload, view) : 0
    return info
  }

  #setUnreadable(withHash: boolean): EntryInfo {
    const { info } = this
    info.messages = 1
    info.publishTimeMs = 0
    info.chunkId = -1
    info.chunks = 0
    info.uuid = ''
    info.hash = withHash ? 1 : 0
    return info
  }
}
