import { randomInt } from 'node:crypto'
import { create, fromBinary, toBinary, type Message, type MessageInitShape } from '@bufbuild/protobuf'
import type { GenMessage } from '@bufbuild/protobuf/codegenv2'
import type { Clock, Logger } from '@strata/base'
import { EtcdFailure } from './etcd-failure.ts'
import type { EtcdMembers, EtcdStream, StreamListener } from './etcd-members.ts'
import { AUTHENTICATE, type Answer, type Rpc } from './etcd-rpc.ts'

export interface AskOptions {
  /** May the request be sent again when it is not known whether it was carried out? */
  readonly mayRepeat: boolean
  /** Before each attempt. */
  readonly onSend?: () => void
  /** An attempt went unanswered: it may have been carried out, and may still be. */
  readonly onUnclear?: () => void
}

export interface EtcdSessionOptions {
  readonly members: EtcdMembers
  readonly username?: string | undefined
  readonly password?: string | undefined
  /** How long one attempt may take, and a request with all its attempts. */
  readonly attemptMs: number
  readonly patienceMs: number
  readonly clock: Clock
  readonly logger: Logger
  /** Called once, when nothing is believed any more. */
  readonly onReplaced?: (reason: string) => void
}

const FIRST_PAUSE_MS = 20
const PAUSE_MS_MAX = 1_000

/**
 * Requests to the cluster as a whole: who we are, whether it is still the same store, and what is asked again.
 *
 * Invariants
 *   - What may have been carried out is sent again only if its asker says that this does no harm.
 *   - No linearizable answer is older than one that came before it was asked. An answer that is means that the store was
 *     set back (a backup was restored): from then on nothing is believed any more, until the process starts anew.
 *   - What another cluster answers is not believed.
 */
export class EtcdSession {
  readonly clock: Clock
  readonly log: Logger
  readonly #options: EtcdSessionOptions
  #token: Promise<string | undefined> | undefined
  #clusterId: bigint | undefined
  #newestRevision = 0n
  #isReplaced = false
  #isStrangerKnown = false
  #isClosed = false

  constructor(options: EtcdSessionOptions) {
    this.#options = options
    this.clock = options.clock
    this.log = options.logger
  }

  /**
   * Asks until there is an answer, with growing pauses, at one member after the other, for as long as `patienceMs`.
   * @throws EtcdFailure
   */
  async ask<Request extends Message, Response extends Answer>(
    rpc: Rpc<Request, Response>,
    request: MessageInitShape<GenMessage<NoInfer<Request>>>,
    options: AskOptions
  ): Promise<Response> {
    const endMs = this.clock.nowMs() + this.#options.patienceMs
    for (let attempt = 0; ; attempt++) {
      try {
        options.onSend?.()
        const leftMs = endMs - this.clock.nowMs()
        return await this.askOnce(rpc, request, Math.max(1, Math.min(this.#options.attemptMs, leftMs)))
      } catch (error) {
        if (!(error instanceof EtcdFailure)) throw error
        if (error.isUnclear) options.onUnclear?.()
        const pauseMs = backoffMs(attempt)
        const isFutile = this.#isClosed || !error.isPassing || this.clock.nowMs() + pauseMs >= endMs
        if (isFutile || (error.isUnclear && !options.mayRepeat)) throw error
        await this.pause(pauseMs)
      }
    }
  }

  /** One attempt; a second one if all that was wrong was the token. @throws EtcdFailure */
  async askOnce<Request extends Message, Response extends Answer>(
    rpc: Rpc<Request, Response>,
    request: MessageInitShape<GenMessage<NoInfer<Request>>>,
    timeoutMs: number
  ): Promise<Response> {
    const bytes = rpc.encode?.(request) ?? toBinary(rpc.request, create(rpc.request, request))
    const endMs = this.clock.nowMs() + timeoutMs
    for (let isFirst = true; ; isFirst = false) {
      const held = (this.#token ??= this.#authenticate())
      const token = await this.#tokenOf(held)
      const floor = this.#newestRevision
      try {
        const leftMs = Math.max(1, endMs - this.clock.nowMs())
        const answer = await this.#options.members.call(rpc.path, bytes, { token, timeoutMs: leftMs })
        const response = decode(rpc.response, answer)
        this.#checkHeader(response, rpc.isLinearizable ? floor : undefined)
        return response
      } catch (error) {
        if (!(error instanceof EtcdFailure) || error.kind !== 'stale-token') throw error
        this.#forget(held)
        // a member that lags may not know the newest token yet
        if (!isFirst) throw new EtcdFailure('refused', error.message, error)
      }
    }
  }

  /** @throws EtcdFailure */
  async stream(path: string, listener: StreamListener): Promise<EtcdStream> {
    const held = (this.#token ??= this.#authenticate())
    const token = await this.#tokenOf(held)
    return this.#options.members.stream(path, token, {
      onMessage: bytes => listener.onMessage(bytes),
      onEnd: failure => {
        if (failure.kind === 'stale-token') this.#forget(held)
        listener.onEnd(failure)
      }
    })
  }

  /** Makes the failure; from now on everything fails so. */
  replaced(reason: string): EtcdFailure {
    if (!this.#isReplaced) this.#options.onReplaced?.(reason)
    this.#isReplaced = true
    this.log.error(
      { event: 'etcd.replaced', reason },
      'The metadata store is not what it was: nothing is done with it any more.'
    )
    return new EtcdFailure('replaced', reason)
  }

  pause(pauseMs: number): Promise<void> {
    return new Promise(resolve => this.clock.after(pauseMs, resolve))
  }

  /** Nothing is asked again from now on. */
  stopRepeating(): void {
    this.#isClosed = true
  }

  close(): void {
    this.#isClosed = true
    this.#options.members.close()
  }

  async #tokenOf(held: Promise<string | undefined>): Promise<string | undefined> {
    try {
      return await held
    } catch (error) {
      this.#forget(held)
      // whatever became of the log-in, the request itself was not sent
      if (error instanceof EtcdFailure && error.isPassing) throw new EtcdFailure('unsent', error.message, error)
      throw error
    }
  }

  #forget(held: Promise<string | undefined>): void {
    if (this.#token === held) this.#token = undefined
  }

  async #authenticate(): Promise<string | undefined> {
    const { username, password, attemptMs, members } = this.#options
    if (username === undefined) return undefined
    const request = toBinary(
      AUTHENTICATE.request,
      create(AUTHENTICATE.request, { name: username, password: password ?? '' })
    )
    try {
      const answer = await members.call(AUTHENTICATE.path, request, { token: undefined, timeoutMs: attemptMs })
      return decode(AUTHENTICATE.response, answer).token
    } catch (error) {
      // a server that asks for no password takes every request without one
      if (error instanceof EtcdFailure && error.message.includes('authentication is not enabled')) return undefined
      throw error
    }
  }

  /** Another member may be one of ours; this one may be again, when what was mixed up is put right. */
  #stranger(clusterId: bigint): EtcdFailure {
    const reason = `cluster ${clusterId} instead of ${this.#clusterId ?? 0n}`
    if (!this.#isStrangerKnown) {
      this.#isStrangerKnown = true
      this.log.error(
        { event: 'etcd.stranger_answered', reason },
        'A member of another etcd cluster answers; it is not believed.'
      )
    }
    return new EtcdFailure('refused', reason)
  }

  #checkHeader({ header }: Answer, floor: bigint | undefined): void {
    if (this.#isReplaced) throw new EtcdFailure('replaced', 'the store was set back while it was in use')
    if (header === undefined) throw new EtcdFailure('unclear', 'an answer without a header')
    this.#clusterId ??= header.clusterId
    if (header.clusterId !== this.#clusterId) throw this.#stranger(header.clusterId)
    if (floor === undefined) return
    if (header.revision < floor) throw this.replaced(`revision ${header.revision} after ${floor}`)
    if (header.revision > this.#newestRevision) this.#newestRevision = header.revision
  }
}

/** @throws EtcdFailure: what came is no such message */
export function decode<Response extends Message>(schema: GenMessage<Response>, bytes: Uint8Array): Response {
  try {
    return fromBinary(schema, bytes)
  } catch (error) {
    throw new EtcdFailure('unclear', 'an answer that is no message', error)
  }
}

/** Doubling from `FIRST_PAUSE_MS`, up to half of it left to chance, so that many who failed together come back apart. */
export function backoffMs(attempt: number): number {
  const most = Math.min(FIRST_PAUSE_MS * 2 ** Math.min(attempt, 20), PAUSE_MS_MAX)
  return most - randomInt(Math.floor(most / 2) + 1)
}
