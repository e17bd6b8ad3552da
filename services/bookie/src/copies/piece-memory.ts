/** A piece as other nodes ask for it, with the headers of its records. What is larger is not kept. */
const PIECE_BYTES_MAX = 2.5 * 1024 * 1024
/** As many as are read for others at a time. */
const KEPT_MAX = 4

export interface LentMemory {
  readonly bytes: Buffer
  /** To be called when nobody looks at it any more; called again it does nothing. Without a call it is collected in the end. */
  readonly release: () => void
}

/** Memory for pieces on their way to other nodes, used again and again: V8 collects everything for each few fresh ones. */
export class PieceMemory {
  readonly #kept: Buffer[] = []

  /** Not zeroed. */
  lend(bytes: number): LentMemory {
    if (bytes > PIECE_BYTES_MAX) return { bytes: Buffer.allocUnsafeSlow(bytes), release: () => undefined }
    const whole = this.#kept.pop() ?? Buffer.allocUnsafeSlow(PIECE_BYTES_MAX)
    let isLent = true
    const release = (): void => {
      if (isLent && this.#kept.length < KEPT_MAX) this.#kept.push(whole)
      isLent = false
    }
    return { bytes: whole.subarray(0, bytes), release }
  }
}
