import { readdirSync } from 'node:fs'
import { setPriority } from 'node:os'
import { constants, PerformanceObserver, type PerformanceEntry } from 'node:perf_hooks'
import { getHeapStatistics, setFlagsFromString } from 'node:v8'

/** V8's workers and the thread that wakes them: Node makes them before any other. */
const PLATFORM_THREADS = 5
const NICE = 10

/** V8's limit is 64 MB (`kExternalAllocationSoftLimit`); what comes while it marks must still fit. */
const GROWTH_BYTES = 44 * 1024 * 1024
/** Of what is left by a collection, in percent: how much may come until the next one (`--heap-growing-percent`, which `bin/strata.js` sets). */
const GROWING_PERCENT = 400

/**
 * Has V8 mark its heap beside what the process has to do, not in place of it; until the process ends.
 *
 * Once 64 MB more are held outside of the heap, V8 marks on the main thread, 5 to 10 ms with each further buffer: who reads twenty
 * waits until all is marked, and everybody with them. So marking is to begin before that, in steps of the event loop. V8
 * counts from when to begin in percent of the room that the last collection left: what that is changes with each of them.
 */
export function collectInBackground(): void {
  lowerPlatformThreads()
  const adjust = (): void => setFlagsFromString(`--incremental-marking-soft-trigger=${triggerPercent()}`)
  adjust()
  new PerformanceObserver(list => {
    if (list.getEntries().some(isMajor)) adjust()
  }).observe({ entryTypes: ['gc'] })
}

function triggerPercent(): number {
  const roomBytes = (getHeapStatistics().used_heap_size * GROWING_PERCENT) / 100
  return Math.min(100, Math.max(1, Math.round((GROWTH_BYTES / roomBytes) * 100)))
}

/** Node's types leave `detail` out. */
function isMajor(entry: PerformanceEntry & { readonly detail?: { readonly kind?: number } }): boolean {
  return entry.detail?.kind === constants.NODE_PERFORMANCE_GC_MAJOR
}

/**
 * Threads that mark and optimize give way to those that answer somebody. Where there are fewer cores than they, four that mark
 * for 50 ms at the priority of the main one leave it a fifth of its time. The main thread does what they leave undone, in
 * steps. On Linux, where a thread has a priority of its own; elsewhere nothing is done.
 */
function lowerPlatformThreads(): void {
  if (process.platform !== 'linux') return
  try {
    const threads = readdirSync('/proc/self/task').map(Number)
    const others = threads.filter(thread => thread > process.pid).sort((a, b) => a - b)
    for (const thread of others.slice(0, PLATFORM_THREADS)) setPriority(thread, NICE)
  } catch {
    // a thread that has ended, or a /proc that is not to be read: it is about speed alone
  }
}
