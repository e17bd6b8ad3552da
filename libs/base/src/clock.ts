/** The only door to time. Production passes `systemClock`, tests a `ManualClock`. */
export interface Clock {
  /** Monotonic milliseconds; the origin is arbitrary. */
  nowMs(): number
  /** Milliseconds since 1970, for what people and clients read. It may jump. */
  wallMs(): number
  /** Calls `run` once, `delayMs` from now. The returned function cancels it and may be called again. */
  after(delayMs: number, run: () => void): () => void
}

export const systemClock: Clock = {
  nowMs: () => performance.now(),
  wallMs: () => Date.now(),
  after(delayMs, run) {
    const timer = setTimeout(run, delayMs)
    return () => {
      clearTimeout(timer)
    }
  }
}

/** Calls `run` every `periodMs` until the returned function is called. The next period starts when `run` returns. */
export function every(clock: Clock, periodMs: number, run: () => void): () => void {
  let stopped = false
  const tick = (): void => {
    run()
    if (!stopped) cancel = clock.after(periodMs, tick)
  }
  let cancel = clock.after(periodMs, tick)
  return () => {
    stopped = true
    cancel()
  }
}
