import { getHeapStatistics, setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { every, systemClock, type Clock } from '@strata/base'

const LOOK_MS = 5_000
/** Share of a core below which a process has nothing to do. */
const IDLE_SHARE = 0.05
/** More than what was left by the last collection by so much of it, and no less than so many bytes, is worth others. */
const WORTH_SHARE = 0.2
const WORTH_BYTES_MIN = 16 * 1024 * 1024
/** Of a larger heap a collection may take longer than anybody should wait: V8 goes through it in steps. */
const HEAP_BYTES_MAX = 1024 * 1024 * 1024
/** The first empties most pages, the next ones give them back to the system. */
const COLLECTIONS = 3

export interface ProcessMeter {
  /** CPU time so far, ms. */
  cpuMs(): number
  /** What V8 holds, garbage included, in its heap and outside of it for its objects; bytes. */
  heldBytes(): number
  /** Collects all that there is, at once. */
  collect(): void
}

/**
 * Gives back what the last load left behind. V8 lets a server's heap grow to several times what is in use before it goes through
 * the whole of it, and does not look again when nothing is allocated any more: a process that was busy once would keep
 * hundreds of megabytes for ever. Until the process ends, or the returned function is called.
 */
export function collectWhenIdle(clock: Clock = systemClock, meter: ProcessMeter = thisProcess()): () => void {
  let cpuMs = meter.cpuMs()
  let lookedMs = clock.nowMs()
  let leftBytes = 0
  let due = 0
  return every(clock, LOOK_MS, () => {
    const share = (meter.cpuMs() - cpuMs) / (clock.nowMs() - lookedMs)
    const heldBytes = meter.heldBytes()
    const isWorth = heldBytes >= leftBytes + Math.max(WORTH_BYTES_MIN, leftBytes * WORTH_SHARE)
    if (isWorth && heldBytes <= HEAP_BYTES_MAX) due = COLLECTIONS
    if (due > 0 && share <= IDLE_SHARE) {
      meter.collect()
      leftBytes = meter.heldBytes()
      due--
    }
    cpuMs = meter.cpuMs() // a collection is not what it has to do
    lookedMs = clock.nowMs()
  })
}

function thisProcess(): ProcessMeter {
  setFlagsFromString('--expose-gc')
  const gc = runInNewContext('gc') as () => void
  return {
    cpuMs() {
      const { user, system } = process.cpuUsage()
      return (user + system) / 1000
    },
    heldBytes() {
      const { total_heap_size: heap, external_memory: external } = getHeapStatistics()
      return heap + external
    },
    collect: () => {
      gc()
    }
  }
}
