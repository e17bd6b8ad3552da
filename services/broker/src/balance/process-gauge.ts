import { monitorEventLoopDelay, performance, type EventLoopUtilization, type IntervalHistogram } from 'node:perf_hooks'

/** How busy this process was since it was asked before. */
export interface ProcessGauge {
  sample(): { readonly lagMs: number; readonly loop: number; readonly cpu: number }
  close(): void
}

const LAG_RESOLUTION_MS = 20

export function openProcessGauge(): ProcessGauge {
  return new NodeGauge()
}

class NodeGauge implements ProcessGauge {
  readonly #delay: IntervalHistogram = monitorEventLoopDelay({ resolution: LAG_RESOLUTION_MS })
  #loop: EventLoopUtilization = performance.eventLoopUtilization()
  #cpu: NodeJS.CpuUsage = process.cpuUsage()
  #atMs = performance.now()

  constructor() {
    this.#delay.enable()
  }

  sample(): { lagMs: number; loop: number; cpu: number } {
    const nowMs = performance.now()
    const elapsedMs = Math.max(1, nowMs - this.#atMs)
    const loop = performance.eventLoopUtilization()
    const cpu = process.cpuUsage()
    const busy = performance.eventLoopUtilization(loop, this.#loop).utilization
    const cpuMs = (cpu.user + cpu.system - this.#cpu.user - this.#cpu.system) / 1000
    // the histogram has the time between two looks, which without any delay is its resolution
    const lagMs = Math.max(0, this.#delay.percentile(99) / 1e6 - LAG_RESOLUTION_MS)
    this.#delay.reset()
    this.#loop = loop
    this.#cpu = cpu
    this.#atMs = nowMs
    return { lagMs, loop: Number.isFinite(busy) ? busy : 0, cpu: cpuMs / elapsedMs }
  }

  close(): void {
    this.#delay.disable()
  }
}
