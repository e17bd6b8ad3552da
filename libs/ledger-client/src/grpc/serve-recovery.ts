import type { ServerWritableStream } from '@grpc/grpc-js'
import { CodedError, type LedgerId } from '@strata/base'
import type { BookieNode } from '../contract.ts'
import {
  encodedAnswer,
  encodeRecoverAnswers,
  type EncodedAnswer,
  type RecoveryAnswer,
  type RecoveryOrder,
  type RecoveryReadLimits
} from './recovery-messages.ts'

export type RecoverCall = ServerWritableStream<Buffer, Buffer>

export interface RecoverDoors {
  fence(ledgerId: LedgerId): ReturnType<BookieNode['readLac']>
  read(ledgerId: LedgerId, limits: RecoveryReadLimits): ReturnType<BookieNode['read']>
}

/** Of one call: as much is read ahead of a peer that takes nothing. */
const READS_AT_ONCE = 8
/** An answer more may be in a message, never much more. */
const MESSAGE_BYTES = 1024 * 1024

/**
 * Carries out the orders of one call: the fences all at once, since one sync does for many; the reads a few at a time, and only
 * while the peer takes what was read. Each is answered when it is done, those of a turn in one message.
 */
export async function answerRecover(
  call: RecoverCall,
  orders: readonly RecoveryOrder[],
  doors: RecoverDoors
): Promise<void> {
  const answers = new AnswerWriter(call)
  const reads: (() => Promise<void>)[] = []
  const fences: Promise<void>[] = []
  for (const [index, { ledgerId, read }] of orders.entries()) {
    if (read === undefined) {
      fences.push(answers.put(index, async () => ({ index, lac: await doors.fence(ledgerId) })))
    } else reads.push(() => answers.put(index, async () => ({ index, read: await doors.read(ledgerId, read) })))
  }
  const waiting = reads.values()
  const readInTurn = async (): Promise<void> => {
    for (const next of waiting) {
      await answers.drained()
      await next()
    }
  }
  await Promise.all([...fences, ...Array.from({ length: Math.min(READS_AT_ONCE, reads.length) }, readInTurn)])
  answers.end()
}

class AnswerWriter {
  readonly #call: RecoverCall
  #answers: EncodedAnswer[] = []
  #bytes = 0
  #isFlushDue = false

  constructor(call: RecoverCall) {
    this.#call = call
  }

  /** Writes what `work` gives, or why it failed. What is no operating error is a bug. */
  async put(index: number, work: () => Promise<RecoveryAnswer>): Promise<void> {
    let answer: RecoveryAnswer
    try {
      answer = await work()
    } catch (error) {
      if (!(error instanceof CodedError)) throw error
      answer = { index, failure: String(error.code) }
    }
    if (this.#call.cancelled) return
    const encoded = encodedAnswer(answer)
    this.#answers.push(encoded)
    this.#bytes += encoded.bytes
    if (this.#bytes >= MESSAGE_BYTES) this.#flush()
    else this.#flushLater()
  }

  /** The peer has taken what was written, or waits for nothing any more. */
  async drained(): Promise<void> {
    const call = this.#call
    if (!call.writableNeedDrain || call.cancelled) return
    await new Promise<void>(resolve => {
      const done = (): void => {
        call.off('drain', done)
        call.off('cancelled', done)
        resolve()
      }
      call.on('drain', done)
      call.on('cancelled', done)
    })
  }

  end(): void {
    this.#flush()
    this.#call.end()
  }

  #flushLater(): void {
    if (this.#isFlushDue) return
    this.#isFlushDue = true
    setImmediate(() => {
      this.#isFlushDue = false
      this.#flush()
    })
  }

  #flush(): void {
    if (this.#answers.length === 0 || this.#call.cancelled) return
    this.#call.write(encodeRecoverAnswers(this.#answers))
    this.#answers = []
    this.#bytes = 0
  }
}
