export interface UsedLimit {
  readonly messages: number
  readonly bytes: number
  /** Somebody had to wait for messages, or for bytes. */
  readonly isOutOfMessages: boolean
  readonly isOutOfBytes: boolean
}

/** What was made of a limit since it was asked last, for those who share it with other brokers. */
export class LimitUse {
  #messages = 0
  #bytes = 0
  #isOutOfMessages = false
  #isOutOfBytes = false

  onSpent(messages: number, bytes: number): void {
    this.#messages += messages
    this.#bytes += bytes
  }

  /** Somebody has to wait, for that of the two. */
  onHeldBack(usedUp: 'messages' | 'bytes' | undefined): void {
    if (usedUp === 'messages') this.#isOutOfMessages = true
    if (usedUp === 'bytes') this.#isOutOfBytes = true
  }

  /** And begins anew. */
  take(): UsedLimit {
    const taken = {
      messages: this.#messages,
      bytes: this.#bytes,
      isOutOfMessages: this.#isOutOfMessages,
      isOutOfBytes: this.#isOutOfBytes
    }
    this.#messages = 0
    this.#bytes = 0
    this.#isOutOfMessages = false
    this.#isOutOfBytes = false
    return taken
  }
}
