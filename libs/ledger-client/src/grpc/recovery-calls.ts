import { status, type ClientReadableStream, type ServiceError } from '@grpc/grpc-js'
import { CodedError, type LedgerId } from '@strata/base'
import type { LacAnswer, ReadAnswer } from '../contract.ts'
import { LedgerError } from '../errors.ts'
import {
  decodeRecoverAnswers,
  RECOVERY_ORDERS_MAX,
  type RecoveryAnswer,
  type RecoveryOrder,
  type RecoveryReadLimits
} from './recovery-messages.ts'

export interface RecoveryDoors {
  /** One call for all of them. @throws LedgerError: the node is not asked any more */
  together(orders: readonly RecoveryOrder[]): ClientReadableStream<Buffer>
  fence(ledgerId: LedgerId): Promise<LacAnswer>
  read(ledgerId: LedgerId, limits: RecoveryReadLimits): Promise<ReadAnswer>
  /** undefined: the node ended the call before it had answered. */
  errorOf(error: ServiceError | undefined): Error
}

interface Waiting {
  readonly order: RecoveryOrder
  /** Only what answers the order; anything else is a failure. */
  readonly answer: (answer: RecoveryAnswer) => void
  readonly reject: (error: Error) => void
  readonly askAlone: () => void
}

/**
 * Fences and fencing reads of many ledgers, at one node: those of a turn of the event loop go in one call. When a broker takes
 * over from another they come by the hundred, and what a call costs by itself is many times what it asks of the node.
 *
 * Each is answered by itself, and means what it means alone: one that fails, or is slow, holds up none of the others. One that
 * finds nobody to go with goes alone, and all do where the node does not know the call.
 */
export class RecoveryCalls {
  readonly #doors: RecoveryDoors
  #waiting: Waiting[] = []

  constructor(doors: RecoveryDoors) {
    this.#doors = doors
  }

  fence(ledgerId: LedgerId): Promise<LacAnswer> {
    return new Promise((resolve, reject) => {
      this.#push({
        order: { ledgerId, read: undefined },
        answer: answer => ('lac' in answer ? resolve(answer.lac) : reject(this.#refused(answer))),
        reject,
        askAlone: () => void this.#doors.fence(ledgerId).then(resolve, reject)
      })
    })
  }

  read(ledgerId: LedgerId, limits: RecoveryReadLimits): Promise<ReadAnswer> {
    return new Promise((resolve, reject) => {
      this.#push({
        order: { ledgerId, read: limits },
        answer: answer => ('read' in answer ? resolve(answer.read) : reject(this.#refused(answer))),
        reject,
        askAlone: () => void this.#doors.read(ledgerId, limits).then(resolve, reject)
      })
    })
  }

  #refused(answer: RecoveryAnswer): Error {
    const reason = 'failure' in answer ? answer.failure : 'an answer to something else'
    return LedgerError.create('UNAVAILABLE', { reason })
  }

  #push(waiting: Waiting): void {
    this.#waiting.push(waiting)
    if (this.#waiting.length === 1) setImmediate(() => this.#flush())
  }

  #flush(): void {
    const waiting = this.#waiting
    this.#waiting = []
    if (waiting.length === 1) waiting[0]?.askAlone()
    else {
      for (let from = 0; from < waiting.length; from += RECOVERY_ORDERS_MAX) {
        this.#askTogether(waiting.slice(from, from + RECOVERY_ORDERS_MAX))
      }
    }
  }

  #askTogether(asked: readonly Waiting[]): void {
    const open = new Map(asked.entries())
    const failAll = (error: Error): void => {
      for (const { reject } of open.values()) reject(error)
      open.clear()
    }
    let stream: ClientReadableStream<Buffer>
    try {
      stream = this.#doors.together(asked.map(({ order }) => order))
    } catch (error) {
      if (!(error instanceof CodedError)) throw error
      failAll(error)
      return
    }
    stream.on('data', (message: Buffer) => {
      try {
        for (const answer of decodeRecoverAnswers(message)) {
          open.get(answer.index)?.answer(answer)
          open.delete(answer.index)
        }
      } catch (error) {
        if (!LedgerError.is(error, 'MALFORMED_MESSAGE')) throw error
        failAll(error)
        stream.cancel()
      }
    })
    stream.on('end', () => {
      // as a rule all are answered by now, and an error costs the stack that it keeps
      if (open.size > 0) failAll(this.#doors.errorOf(undefined))
    })
    stream.on('error', (error: ServiceError) => {
      if (error.code === status.UNIMPLEMENTED) {
        for (const { askAlone } of open.values()) askAlone()
        open.clear()
      } else failAll(this.#doors.errorOf(error))
    })
  }
}
