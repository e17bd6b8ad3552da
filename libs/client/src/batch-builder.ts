import { WriteBuffer, writeSingleMessageMetadata, type MessageFields } from '@strata/wire'
import type { SendCallback } from './producer-options.ts'

/** Messages that will share an entry, already encoded one behind the other. */
export class BatchBuilder {
  readonly #body = new WriteBuffer()
  readonly callbacks: SendCallback[] = []
  /** Bytes of the payloads, as they were charged to the memory limit. */
  payloadBytes = 0
  first: MessageFields | undefined
  last: MessageFields | undefined

  get count(): number {
    return this.callbacks.length
  }

  /** Encoded, before compression. */
  get bytes(): number {
    return this.#body.length
  }

  add(fields: MessageFields, payload: Uint8Array, callback: SendCallback): void {
    writeSingleMessageMetadata(this.#body, fields, payload.length)
    this.#body.ensure(payload.length)
    this.#body.copy(payload, 0, payload.length)
    this.callbacks.push(callback)
    this.payloadBytes += payload.length
    this.first ??= fields
    this.last = fields
  }

  take(): Buffer {
    return this.#body.take()
  }
}
