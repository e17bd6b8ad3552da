import type { Clock } from '@strata/base'

/** How long a probed peer may take to answer. */
const PROBE_MS = 5000

export interface KeepAliveHost {
  readonly clock: Clock
  intervalMs(): number
  isConnected(): boolean
  isPaused(): boolean
  canPing(): boolean
  sendPing(): void
  sendPong(): void
  /** Reads one step although the socket is paused. */
  readOnce(): void
  close(reason: string): void
}

/**
 * Is the peer there? A ping each interval; two intervals of silence end the connection, one without a handshake too.
 *
 * A socket whose reads we paused is never timed out by us. Its peer may be waiting for a PONG to a PING that lies unread
 * behind what we cannot take yet: it is told at each half interval that we live, and a step is read.
 */
export class KeepAlive {
  readonly #host: KeepAliveHost
  #cancel: (() => void) | undefined
  #isSecondHalf = false
  #isAwaiting = false
  #probe: { resolve: (isAlive: boolean) => void; cancel: () => void; result: Promise<boolean> } | undefined

  constructor(host: KeepAliveHost) {
    this.#host = host
    this.#schedule()
  }

  /** Anything that came in. */
  onData(): void {
    this.#isAwaiting = false
    if (this.#probe !== undefined) this.#settleProbe(true)
  }

  probe(): Promise<boolean> {
    if (this.#probe !== undefined) return this.#probe.result
    const { clock } = this.#host
    let resolve: (isAlive: boolean) => void = () => undefined
    const result = new Promise<boolean>(done => {
      resolve = done
    })
    const cancel = clock.after(PROBE_MS, () => {
      this.#host.close('it did not answer a probe')
      this.#settleProbe(false)
    })
    this.#probe = { resolve, cancel, result }
    this.#host.sendPing()
    if (this.#host.isPaused()) this.#host.readOnce()
    return result
  }

  stop(): void {
    this.#cancel?.()
    this.#cancel = undefined
    this.#settleProbe(false)
  }

  #settleProbe(isAlive: boolean): void {
    const probe = this.#probe
    if (probe === undefined) return
    this.#probe = undefined
    probe.cancel()
    probe.resolve(isAlive)
  }

  #schedule(): void {
    this.#cancel = this.#host.clock.after(this.#host.intervalMs() / 2, () => {
      this.#schedule()
      this.#onHalf()
    })
  }

  #onHalf(): void {
    const host = this.#host
    if (host.isPaused()) {
      this.#isAwaiting = false
      host.sendPong()
      host.readOnce()
      return
    }
    this.#isSecondHalf = !this.#isSecondHalf
    if (this.#isSecondHalf) return
    if (!host.isConnected()) {
      host.close('no handshake in time')
      return
    }
    if (!host.canPing()) return
    if (this.#isAwaiting) {
      host.close('it was silent for two keep-alive intervals')
      return
    }
    this.#isAwaiting = true
    host.sendPing()
  }
}
