/** What one broker makes of a limit, as it was lately. */
export interface Demand {
  readonly perSecond: number
  /** Somebody had to wait: it would have taken more. */
  readonly isHeldBack: boolean
}

/** Who is not held back has so much room over what it uses. */
const HEADROOM = 1.1
/** Part of an equal share that a broker keeps which uses nothing, so that its next message need not wait for the others. */
const IDLE_PART = 0.05

/**
 * What each of several brokers may use of a limit, in their order: who needs less than an equal share keeps what it needs,
 * and those that would take more share the rest alike. The sum is the limit, and nobody is left with nothing. Pure, so that
 * brokers which know the same demands agree.
 */
export function sharesOf(limit: number, demands: readonly Demand[]): number[] {
  const idle = (limit / demands.length) * IDLE_PART
  const wants = demands.map(({ perSecond, isHeldBack }) =>
    isHeldBack ? limit : Math.max(idle, Math.min(limit, perSecond * HEADROOM))
  )
  const byWant = wants.map((want, index) => ({ want, index })).sort((a, b) => a.want - b.want)
  const shares = wants.map(() => 0)
  let left = limit
  byWant.forEach(({ want, index }, at) => {
    const share = Math.min(want, left / (byWant.length - at))
    shares[index] = share
    left -= share
  })
  return shares.map(share => share + left / shares.length)
}
